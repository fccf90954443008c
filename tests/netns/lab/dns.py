# SPDX-License-Identifier: GPL-2.0-or-later
"""A DNS server that has one answer, and a client that says what became of its question."""

import contextlib
import socket
import struct
import threading

from .reach import OPEN, REFUSED, SILENT

NAME = "host.example"


class Resolver:
    """Answers every question with 192.0.2.7, by UDP and TCP, at addresses of a namespace; a context
    manager. The addresses are tied to sockets, so that answers come from where the question went."""

    def __init__(self, space, *addresses):
        self._sockets, self._threads = [], []
        with space.entered():
            for address in addresses:
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                datagrams = socket.socket(family, socket.SOCK_DGRAM)
                datagrams.bind((address, 53))
                streams = socket.create_server((address, 53), family=family)
                self._sockets += [datagrams, streams]
                self._threads += [threading.Thread(target=self._datagrams, args=(datagrams,)),
                                  threading.Thread(target=self._streams, args=(streams,))]

    def _datagrams(self, server):
        with contextlib.suppress(OSError):
            while True:
                question, client = server.recvfrom(2000)
                if len(question) > 12:
                    server.sendto(_answer(question), client)

    def _streams(self, server):
        with contextlib.suppress(OSError):
            while True:
                client, _ = server.accept()
                with client, contextlib.suppress(OSError):
                    client.settimeout(5)
                    question = client.recv(2000)[2:]
                    answer = _answer(question)
                    client.sendall(struct.pack("!H", len(answer)) + answer)

    def __enter__(self):
        for thread in self._threads:
            thread.daemon = True
            thread.start()
        return self

    def __exit__(self, *_):
        for server in self._sockets:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
        for thread in self._threads:
            thread.join(5)


def _answer(question):
    """RFC 1035: the question again, and one A record of its name."""
    end = question.index(b"\0", 12) + 5
    head = question[:2] + b"\x81\x80" + struct.pack("!4H", 1, 1, 0, 0)
    record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton("192.0.2.7")
    return head + question[12:end] + record


def asks(space, server, over="udp", patience=4):
    """What dig makes of it: OPEN, REFUSED or, after `patience` seconds, SILENT."""
    done = space.run("dig", "+short", f"+time={patience}", "+tries=1",
                     "+tcp" if over == "tcp" else "+notcp", f"@{server}", NAME, "A", check=False)
    if done.stdout.strip() == "192.0.2.7":
        return OPEN
    # What systems call the ICMP errors of a firewall that refuses.
    said = ("connection refused", "host unreachable", "permission denied")
    return REFUSED if any(words in done.stdout for words in said) else SILENT
