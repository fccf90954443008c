# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the packet generator through a contender's gateway and judges what comes out."""

import json
import statistics
from pathlib import Path

from .lab import run

PKTGEN = Path(__file__).resolve().parents[2] / "build" / "tools" / "pktgen" / "pktgen"

# Packets lost in a round; more than this, and its figures are not used.
MOST_LOST = 0.001
# Of the flows, each link of an equally weighted pair must carry at least this part.
LEAST_SHARE = 0.35


class Round:
    """One measured run; `problem` says why it must not be used, None if it may."""

    def __init__(self, sample, contender, flows):
        self.sample = sample
        received = sum(sample["received"])
        self.lost = 1 - received / sample["sent"]
        time = sample["cpu_ns"] or sample["wall_ns"]
        self.rate = received / time * 1e9
        self.wall_rate = received / sample["wall_ns"] * 1e9
        self.instructions = per_packet(sample["instructions"], received)
        self.cycles = per_packet(sample["cycles"], received)
        self.problem = self._judge(contender, flows)

    def _judge(self, contender, flows):
        census = self.sample["census"]
        if self.lost > MOST_LOST:
            return f"{self.lost:.2%} of the packets lost"
        if census["missing"]:
            return f"{census['missing']} of {flows} flows did not arrive"
        if census["repeated"]:
            return f"{census['repeated']} flows came by more than one uplink"
        used = [n for n in census["flows"] if n]
        if len(used) != contender.uplinks:
            return f"{len(used)} uplinks carried traffic, not {contender.uplinks}"
        if len(used) > 1 and flows >= 100 and min(used) / flows < LEAST_SHARE:
            return f"flows per uplink: {census['flows']}"
        return None

    def as_json(self):
        return {"packets_per_second": self.rate, "packets_per_second_wall": self.wall_rate,
                "instructions_per_packet": self.instructions, "cycles_per_packet": self.cycles,
                "problem": self.problem, "sample": self.sample}


def per_packet(count, packets):
    return None if count is None or not packets else count / packets


def measure(lab, contender, *, flows, seconds, warm_up, cpu):
    command = [str(PKTGEN), "--generator", lab.port_of_host(), "--flows", str(flows),
               "--seconds", str(seconds), "--warm-up", str(warm_up), "--cpu", str(cpu)]
    for uplink in lab.uplinks:
        command += ["--receiver", lab.port_of(uplink)]
    return Round(json.loads(run(*command)), contender, flows)


def spread(values):
    """Median with minimum and maximum; None for no values."""
    values = [v for v in values if v is not None]
    if not values:
        return None
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratios(rounds, base):
    """Of the same round of two contenders, where both are valid."""
    return spread([a.rate / b.rate for a, b in zip(rounds, base) if not a.problem and not b.problem])
