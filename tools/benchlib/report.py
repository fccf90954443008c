# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables for people, the JSON for programs, and what kind of machine it was."""

import os
import platform
from pathlib import Path

from .measure import ratios, spread

BASES = ("classic", "nftables", "redirect")


def machine():
    """General facts only: nothing that names the machine."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return {"cpus": os.cpu_count(), "cpu_model": model, "architecture": platform.machine(),
            "kernel": ".".join(platform.release().split("-")[0].split(".")[:3])}


def rate_of(case):
    """Of one core, what it costs; of several, what they do together in the time that passes."""
    return (lambda r: r.rate) if case.cores == 1 else (lambda r: r.wall_rate)


def compare(case, base):
    """The rate that is comparable between two cases: elapsed time, if either has several cores."""
    return rate_of(max(case, base, key=lambda c: c.cores))


def line_of(rounds, case):
    valid = [r for r in rounds if not r.problem]
    return {
        **case.as_json(),
        "valid_rounds": len(valid),
        "rounds": len(rounds),
        "packets_per_second": spread(map(rate_of(case), valid)),
        "packets_per_second_wall": spread(r.wall_rate for r in valid),
        "instructions_per_packet": spread(r.instructions for r in valid),
        "cycles_per_packet": spread(r.cycles for r in valid),
        "fast_share": spread(r.fast_share for r in valid),
    }


def summary(results):
    """results: contender name -> case -> rounds, all of the same length. Contender name -> lines."""
    table = {}
    for name, cases in results.items():
        first = next(iter(cases), None)
        table[name] = [{
            **line_of(rounds, case),
            "against": {base: ratios(rounds, results[base][case], rate_of(case)) for base in BASES
                        if case in results.get(base, ())},
            "against_first": None if case == first else
            ratios(rounds, cases[first], compare(case, first)),
            # The same by processor time, which other programs on the machine do not disturb.
            "against_first_by_processor_time": None if case == first else
            ratios(rounds, cases[first]),
        } for case, rounds in cases.items()]
    return table


def number(value, scale=1.0, digits=2):
    return "-" if value is None else f"{value['median'] / scale:.{digits}f}"


def ranged(value, scale=1.0, digits=2):
    if value is None:
        return "-"
    low, high = value["min"] / scale, value["max"] / scale
    return f"{number(value, scale, digits)} ({low:.{digits}f}-{high:.{digits}f})"


def print_rows(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def case_title(line):
    cores = "one core" if line["cores"] == 1 else f"{line['cores']} cores"
    family = {"ipv4": "IPv4", "ipv6": "IPv6"}[line["family"]]
    return f"{line['flows']:,} flows, {cores}, {family}, {line['frame_bytes']}-byte UDP"


def print_table(titles, table):
    """One table a case: the lines of the contenders that have it."""
    cases = {}
    for name, lines in table.items():
        for line in lines:
            cases.setdefault(case_title(line), []).append((name, line))
    for title, lines in cases.items():
        bases = [b for b in BASES if any(name == b for name, _ in lines)]
        rows = [["way", "Mpackets/s", *[f"against {b}" for b in bases], "against own first",
                 "instr.", "cycles", "fast", "rounds"]]
        for name, line in lines:
            rows.append([
                titles[name], ranged(line["packets_per_second"], 1e6, 3),
                *[number(line["against"].get(b)) for b in bases],
                number(line["against_first"]),
                number(line["instructions_per_packet"], digits=0),
                number(line["cycles_per_packet"], digits=0),
                number(line["fast_share"], 0.01, 1),
                f"{line['valid_rounds']}/{line['rounds']}"])
        print(f"\n{title}")
        print_rows(rows)


def print_problems(results):
    for name, cases in results.items():
        for case, rounds in cases.items():
            for index, each in enumerate(rounds, 1):
                if each.problem:
                    print(f"round {index} of {name}, {case.name}, is invalid: {each.problem}")


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


def plain_summary(results, unit, bases):
    """Of parts that have one case: contender name -> line; `unit` names the rate."""
    table = {}
    for name, rounds in results.items():
        valid = [r for r in rounds if not r.problem]
        table[name] = {"valid_rounds": len(valid), "rounds": len(rounds),
                       unit: spread(r.rate for r in valid),
                       f"{unit}_wall": spread(r.wall_rate for r in valid),
                       "against": {base: ratios(rounds, results[base]) for base in bases
                                   if base in results}}
    return table


def print_plain_table(heading, titles, table, unit, results):
    """`unit`: the rate's name in the table, and what one is divided by."""
    unit, scale = unit
    bases = list(next(iter(table.values()), {"against": ()})["against"])
    rows = [["way", heading, *[f"against {b}" for b in bases], "rounds"]]
    for name, line in table.items():
        rows.append([titles[name], ranged(line[unit], scale, 3),
                     *[ranged(line["against"][b]) for b in bases],
                     f"{line['valid_rounds']}/{line['rounds']}"])
    print()
    print_rows(rows)
    for name, rounds in results.items():
        for index, each in enumerate(rounds, 1):
            if each.problem:
                print(f"round {index} of {name} is invalid: {each.problem}")
