# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the packet generator through a contender's gateway and judges what comes out."""

import json
import re
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .contenders import PKTGEN
from .lab import IPV4, CommandError, Family, run

ABI = Path(__file__).resolve().parents[2] / "include" / "linkbal" / "abi.h"

# Packets lost in a round; more than this, and its figures are not used.
MOST_LOST = 0.001
# Of the flows, each link of an equally weighted pair must carry at least this part.
LEAST_SHARE = 0.35
# Of the packets, the fast path must have forwarded at least this part itself; the rest are renewals.
LEAST_FAST = 0.8


@dataclass(frozen=True)
class Case:
    """One thing that is measured of a contender."""

    flows: int = 1000
    cores: int = 1
    family: Family = IPV4

    @property
    def name(self):
        return f"{self.family.name} {self.flows} flows {self.cores} core{'s' * (self.cores > 1)}"

    def as_json(self):
        return {"family": self.family.name, "flows": self.flows, "cores": self.cores,
                "frame_bytes": 60 if self.family is IPV4 else 70}


class Round:
    """One measured run; `problem` says why it must not be used, None if it may."""

    def __init__(self, sample, contender, case, fast=None):
        self.sample = sample
        self.fast = fast
        cores = sample["cores"]
        sent = sum(core["sent"] for core in cores)
        received = sum(sample["received"])
        self.lost = 1 - received / sent
        kept = received / sent
        self.wall_rate = kept * sum(core["sent"] / core["wall_ns"] for core in cores) * 1e9
        self.rate = kept * sum(core["sent"] / (core["cpu_ns"] or core["wall_ns"])
                               for core in cores) * 1e9
        self.instructions = per_packet(cores, "instructions", received)
        self.cycles = per_packet(cores, "cycles", received)
        self.fast_share = fast[contender.fast] / received if fast and received else None
        self.problem = self._judge(contender, case)

    def _judge(self, contender, case):
        census = self.sample["census"]
        if self.lost > MOST_LOST:
            return f"{self.lost:.2%} of the packets lost"
        if census["missing"]:
            return f"{census['missing']} of {case.flows} flows did not arrive"
        if census["repeated"]:
            return f"{census['repeated']} flows came by more than one uplink"
        if contender.fast and (self.fast_share or 0) < LEAST_FAST:
            return f"only {self.fast_share or 0:.1%} of the packets took the fast path"
        used = [n for n in census["flows"] if n]
        if len(used) != min(contender.uplinks, case.flows):
            return f"{len(used)} uplinks carried traffic, not {contender.uplinks}"
        if len(used) > 1 and case.flows >= 100 and min(used) / case.flows < LEAST_SHARE:
            return f"flows per uplink: {census['flows']}"
        return None

    def as_json(self):
        return {"packets_per_second": self.rate, "packets_per_second_wall": self.wall_rate,
                "instructions_per_packet": self.instructions, "cycles_per_packet": self.cycles,
                "fast_share": self.fast_share, "fast_path": self.fast,
                "problem": self.problem, "sample": self.sample}


class Failed:
    """A round that gave no figures at all."""

    def __init__(self, problem):
        self.problem = problem

    def as_json(self):
        return {"problem": self.problem}


def per_packet(cores, name, packets):
    counts = [core[name] for core in cores]
    return None if None in counts or not packets else sum(counts) / packets


def dump(lab, name):
    """The entries of one of the instance's maps, as their type says."""
    text = run("bpftool", "-j", "map", "dump", "pinned", f"/sys/fs/bpf/{lab.instance}/{name}")
    return [entry["formatted"] for entry in json.loads(text)]


def fast_counters(lab):
    """What the fast path did since it was loaded: name of an lb_fast -> packets.

    XDP: those that eth0 has redirected before the kernel made a packet of them.
    """
    names = re.findall(r"LB_FAST_(\w+) =\s*(\d+)", ABI.read_text())
    left = of_all_cpus(lab, "fast_counters", "packets")
    counters = {name: left[int(index)] for name, index in names}
    redirected = re.findall(r"rx_queue_\d+_xdp_redirect: (\d+)", lab.script("ethtool -S eth0\n"))
    return counters | {"FORWARDED": sum(of_all_cpus(lab, "uplink_counters", "fast")),
                       "XDP": sum(map(int, redirected))}


def of_all_cpus(lab, name, field):
    return [sum(each["value"][field] for each in entry["values"]) for entry in dump(lab, name)]


def difference(after, before):
    return after and {name: after[name] - before[name] for name in after}


def lease_seconds(lab):
    """How long the leases are that the fast path gives at present."""
    constants = dump(lab, "settings")[0]["value"][".rodata.settings"][0]["settings"]
    return dump(lab, "lease")[0]["value"]["ticks"] / constants["ticks_per_second"]


def command(lab, case, cpus, seconds, answered):
    words = [str(PKTGEN), "packets", "--paced", "--generator", lab.port_of_host(),
             "--flows", str(case.flows), "--seconds", str(seconds),
             "--cpus", ",".join(str(cpu) for cpu in cpus), *case.family.flag]
    for uplink in lab.uplinks:
        words += ["--receiver", lab.port_of(uplink)]
    return words + (["--answered"] if answered else [])


def paced(words, look):
    """Runs pktgen; calls look() before and after the measured time. Returns its JSON and both."""
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        seen = []
        for line in process.stdout:
            if line.strip() not in ("ready", "measured"):
                sample = json.loads(line)
                continue
            seen.append(look())
            process.stdin.write("\n")
            process.stdin.flush()
        complaint = process.stderr.read()
    if process.returncode != 0:
        raise CommandError(complaint.strip() or f"pktgen: ended with {process.returncode}")
    return sample, *seen


def measure(lab, contender, case, *, seconds, cpus, answered=False):
    """One round; `answered`: first have every flow answered."""
    look = (lambda: fast_counters(lab)) if contender.fast else lambda: None
    try:
        sample, before, after = paced(command(lab, case, cpus, seconds, answered), look)
    except CommandError as error:
        return Failed(str(error))
    return Round(sample, contender, case, difference(after, before))


def spread(values):
    """Median with minimum and maximum; None for no values."""
    values = [v for v in values if v is not None]
    if not values:
        return None
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratios(rounds, base, value=lambda r: r.rate):
    """Of the same round of two contenders or cases, where both are valid."""
    return spread([value(a) / value(b) for a, b in zip(rounds, base)
                   if not a.problem and not b.problem])
