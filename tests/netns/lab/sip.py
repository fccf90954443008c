# SPDX-License-Identifier: GPL-2.0-or-later
"""A call of two real SIP programs (sipp): who calls is in one namespace, who is called in another.

    call = Call(lab, lab.hosts[0], lab.hosts[0].address4, lab.internet, "198.51.100.10")
    process = call.begin()
    address, port = waituntil(call.told)    # where the callee is to send its voice to
"""

import itertools
import re
import subprocess

from .wait import waituntil

PORT, VOICE = 5060, 6000
_calls = itertools.count(1)


class Call:
    """The callee listens from the beginning. The programs speak SIP; voices, at port VOICE of both ends,
    are the tests'."""

    def __init__(self, lab, caller, caller_address, callee, callee_address):
        self._caller, self._own, self._there = caller, caller_address, callee_address
        self._directory = lab.directory
        self._messages = f"{lab.directory}/sip-{next(_calls)}.log"
        self._process = self._start(callee, "uas", callee_address, "-trace_msg", "-message_file",
                                    self._messages)
        lab.processes.append(self._process)
        waituntil(lambda: f":{PORT} " in callee.output("ss", "-ulnH"), what="the callee listens")

    def _start(self, space, role, address, *words):
        """The scenario that sipp has for the role, with a media port that sipp itself does not take; and
        an IPv6 address has no brackets in a session description."""
        text = space.run("sipp", "-sd", role, check=False).stdout.replace("[media_port]", str(VOICE))
        text = text.replace("IN IP[local_ip_type] [local_ip]", "IN IP[media_ip_type] [media_ip]")
        scenario = f"{self._directory}/sip-{role}.xml"
        with open(scenario, "w", encoding="latin1") as file:
            file.write(text)
        return space.popen(
            "sipp", "-sf", scenario, "-i", _literal(address), "-mi", address, "-p", PORT, "-mp", VOICE + 100,
            "-m", 1, "-nostdin", *words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            cwd=self._directory)

    def begin(self):
        """Makes the call, which lasts for a minute if nobody hangs up."""
        return self._start(self._caller, "uac", self._own, "-d", 60000, f"{_literal(self._there)}:{PORT}")

    def end(self):
        """The callee is gone, too."""
        self._process.kill()
        self._process.wait()

    def told(self):
        """(address, port) of the caller's voice, as the callee was told, or None until there is a call."""
        try:
            with open(self._messages, encoding="latin1") as file:
                text = file.read()
        except FileNotFoundError:
            return None
        invited = re.search(r"INVITE .*?\r?\n\r?\n(.*?)m=audio (\d+)", text, re.DOTALL)
        answered = "ACK sip:" in text
        if not invited or not answered:
            return None
        return re.search(r"c=IN IP[46] (\S+)", invited[1])[1], int(invited[2])


def _literal(address):
    return f"[{address}]" if ":" in address else address
