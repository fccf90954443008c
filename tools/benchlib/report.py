# SPDX-License-Identifier: GPL-2.0-or-later
"""The table for people, the JSON for programs, and what kind of machine it was."""

import os
import platform
from pathlib import Path

from .measure import ratios, spread

BASES = ("classic", "nftables")


def machine():
    """General facts only: nothing that names the machine."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return {"cpus": os.cpu_count(), "cpu_model": model, "architecture": platform.machine(),
            "kernel": ".".join(platform.release().split("-")[0].split(".")[:3])}


def summary(results):
    """results: contender name -> list of Round, all of the same length."""
    table = {}
    for name, rounds in results.items():
        valid = [r for r in rounds if not r.problem]
        table[name] = {
            "valid_rounds": len(valid),
            "rounds": len(rounds),
            "packets_per_second": spread(r.rate for r in valid),
            "packets_per_second_wall": spread(r.wall_rate for r in valid),
            "instructions_per_packet": spread(r.instructions for r in valid),
            "cycles_per_packet": spread(r.cycles for r in valid),
            "against": {base: ratios(rounds, results[base]) for base in BASES if base in results},
        }
    return table


def number(value, scale=1.0, digits=2):
    return "-" if value is None else f"{value['median'] / scale:.{digits}f}"


def ranged(value, scale=1.0, digits=2):
    if value is None:
        return "-"
    low, high = value["min"] / scale, value["max"] / scale
    return f"{number(value, scale, digits)} ({low:.{digits}f}-{high:.{digits}f})"


def print_table(titles, table):
    bases = [b for b in BASES if b in table]
    head = ["way", "Mpackets/s", *[f"against {b}" for b in bases], "instr.", "cycles", "rounds"]
    rows = [head]
    for name, line in table.items():
        rows.append([
            titles[name], ranged(line["packets_per_second"], 1e6, 3),
            *[ranged(line["against"][b]) for b in bases],
            number(line["instructions_per_packet"], digits=0),
            number(line["cycles_per_packet"], digits=0),
            f"{line['valid_rounds']}/{line['rounds']}"])
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def print_problems(results):
    for name, rounds in results.items():
        for index, each in enumerate(rounds, 1):
            if each.problem:
                print(f"round {index} of {name} is invalid: {each.problem}")


def print_up_times(times):
    print()
    for each in times:
        print(f"linkbal up, {each['uplinks']} uplinks: {each['up_seconds'] * 1e3:.0f} ms; "
              f"again without a change: {each['unchanged_up_seconds'] * 1e3:.0f} ms")


def print_daemon_times(times):
    print()
    for each in times["outages"]:
        print(f"{each['failure']}: new connections succeed after {ranged(each['milliseconds'], 1, 0)} ms "
              f"({each['runs']} runs); packets lost on the other link: "
              f"{each['packets_lost_on_the_other_link']}")
    for each in times["costs"]:
        print(f"linkbal run, {each['uplinks']} uplinks, {each['targets']} targets each: "
              f"{ranged(each['cpu_percent'], 1, 3)} % of a core, "
              f"{ranged(each['resident_bytes'], 1e6, 1)} MB resident", end="")
        print(f", {ranged(each['probes_sent_of_due'], 0.01, 1)} % of the probes that were due"
              if "probes_sent_of_due" in each else "")
