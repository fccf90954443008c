# SPDX-License-Identifier: GPL-2.0-or-later
"""What the fast path is held to: medians of the ratios of one run."""

from .report import print_rows, ranged


def case(figures, group, name, **wanted):
    """The contender's line in a group of packets, None if it was not measured."""
    for line in figures["packets"].get(group, {}).get(name, ()):
        if all(line[key] == value for key, value in wanted.items()):
            return line
    return None


def first(figures, name):
    return next(iter(figures["packets"].get("packets", {}).get(name, ())), None)


def against(line, base):
    return line and line["against"].get(base)


def itself(line):
    return line and line["against_first"]


def part(figures, name, contender):
    return (figures.get(name) or {}).get(contender)


# Title, goal, figures -> ratio.
GOALS = [
    ("xdp, 1,000 flows, against classic", 6.5,
     lambda f: against(first(f, "xdp"), "classic")),
    ("xdp, 1,000 flows, against bare XDP redirect", 0.90,
     lambda f: against(first(f, "xdp"), "redirect")),
    ("xdp, 1,000,000 flows, renewals included, against its own 1,000", 0.75,
     lambda f: itself(case(f, "flows", "xdp", flows=1_000_000))),
    ("tc, 1,000 flows, against classic", 1.8,
     lambda f: against(first(f, "tc"), "classic")),
    ("bulk TCP, tc, both directions, against classic", 1.2,
     lambda f: against(part(f, "bulk", "tc"), "classic")),
    ("new connections per second, tc, against nftables", 1.0,
     lambda f: against(part(f, "connections", "tc"), "nftables")),
    ("new connections per second, xdp, against nftables", 1.0,
     lambda f: against(part(f, "connections", "xdp"), "nftables")),
    ("two cores against one, xdp", 1.9,
     lambda f: itself(case(f, "packets", "xdp", cores=2))),
    ("IPv6 against IPv4, xdp", 0.9,
     lambda f: itself(case(f, "packets", "xdp", family="ipv6"))),
]


def measured(figures):
    """What of the goals was measured."""
    found = [{"measure": title, "goal": goal, "ratio": ratio(figures)}
             for title, goal, ratio in GOALS]
    return [each for each in found if each["ratio"]]


def print_goals(found):
    if not found:
        return
    print()
    print_rows([["measure", "goal", "ratio"], *[
        [each["measure"], f"{each['goal']:.2f}", ranged(each["ratio"])] for each in found]])
