# SPDX-License-Identifier: GPL-2.0-or-later
"""New connections per second: short TCP connections, from the SYN to the last ACK, on one core."""

import contextlib
import json
import sys

from .contenders import PKTGEN
from .lab import CommandError, ConntrackRoom, run
from .measure import LEAST_SHARE, MOST_LOST, Failed, per_packet
from .rounds import set_up

BASES = ("classic", "nftables")
# What the table of connections is prepared for: those that were closed stay in it for two minutes.
ROOM = 4_000_000


class ConnectionsRound:
    def __init__(self, sample):
        self.sample = sample
        closed = sum(sample["closed"])
        self.rate = closed / (sample["cpu_ns"] or sample["wall_ns"]) * 1e9
        self.wall_rate = closed / sample["wall_ns"] * 1e9
        self.instructions = per_packet([sample], "instructions", closed)
        self.problem = self._judge(closed)

    def _judge(self, closed):
        lost = 1 - closed / self.sample["sent"]
        if lost > MOST_LOST:
            return f"{lost:.2%} of the connections were not closed"
        if min(self.sample["closed"]) / closed < LEAST_SHARE:
            return f"connections per uplink: {self.sample['closed']}"
        return None

    def as_json(self):
        return {"connections_per_second": self.rate, "connections_per_second_wall": self.wall_rate,
                "instructions_per_connection": self.instructions, "problem": self.problem,
                "sample": self.sample}


def one_round(lab, first, options):
    """The round, and the number from which on connections are new ones."""
    words = [str(PKTGEN), "connections", "--client", lab.port_of_host(), "--cpu", str(options.cpu),
             "--first", str(first), "--seconds", str(options.seconds)]
    for uplink in lab.uplinks:
        words += ["--server", lab.port_of(uplink)]
    try:
        sample = json.loads(run(*words))
    except CommandError as error:
        return Failed(str(error)), first
    return ConnectionsRound(sample), sample["next"]


def measure(options):
    """Contender name -> its rounds."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(ConntrackRoom(ROOM))
        labs = {c.name: set_up(c, stack) for c in options.contenders
                if c.connects and not c.only_packets}
        labs = {name: lab for name, lab in labs.items() if lab}
        results = {name: [] for name in labs}
        first = dict.fromkeys(labs, 0)
        for index in range(options.rounds):
            for name, lab in labs.items():
                each, first[name] = one_round(lab, first[name], options)
                results[name].append(each)
            print(f"\rconnections: round {index + 1} of {options.rounds} ", end="", file=sys.stderr,
                  flush=True)
        print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    return results
