# SPDX-License-Identifier: GPL-2.0-or-later
"""Rounds: all gateways stand side by side, each with its connections, and are measured in turn.

But for many connections: there one gateway after the other takes all its rounds, for leases of the
fast path are as long as there are connections, and would run out while the others have their turn.
"""

import contextlib
import sys
import time
from dataclasses import dataclass

from .lab import IPV4, IPV6, CommandError, ConntrackRoom, Lab
from .measure import Case, Failed, lease_seconds, measure

FLOWS = (1, 1_000, 100_000, 1_000_000)
QUICK_FLOWS = FLOWS[:-1]


@dataclass(frozen=True)
class Group:
    """Cases whose figures are compared with each other: measured in the same rounds."""

    name: str
    cases: tuple  # the first is what the others are compared with
    rounds: int
    in_turn: bool = True  # of the contenders, in every round

    def cases_of(self, contender):
        """What only explains the others' cost is asked for the first case of the packets alone."""
        if not contender.only_packets:
            return self.cases
        return self.cases[:1] if self.name == "packets" else ()

    @property
    def connections(self):
        return sum(max((c.flows for c in self.cases if c.family is family), default=0)
                   for family in (IPV4, IPV6))


def groups(options):
    """The groups that the chosen parts ask for."""
    base = Case(options.flows)
    cases = [base]
    if "cores" in options.parts:
        cases.append(Case(options.flows, cores=2))
    if "families" in options.parts:
        cases.append(Case(options.flows, family=IPV6))
    found = []
    if {"packets", "cores", "families"} & set(options.parts):
        found.append(Group("packets", tuple(cases), options.rounds))
    if "flows" in options.parts:
        sizes = QUICK_FLOWS if options.quick else FLOWS
        # Its own 1,000 flows come first; a million take long to set up, so rounds are fewer.
        sizes = sorted(sizes, key=lambda flows: flows != 1_000)
        found.append(Group("flows", tuple(map(Case, sizes)), max(3, options.rounds // 3),
                           in_turn=False))
    return found


def set_up(contender, stack):
    """The contender's lab, or None where it can't be set up, after saying why."""
    gateway = stack.enter_context(Lab(contender.name))
    stack.callback(contender.tear_down, gateway)
    try:
        contender.set_up(gateway)
    except CommandError as error:
        print(f"bench: {contender.name} is left out: {error}", file=sys.stderr)
        return None
    return gateway


def cpus_of(case, options):
    """The chosen core first, then the next below it."""
    return [options.cpu, *[n for n in reversed(options.cpus) if n != options.cpu]][:case.cores]


def measure_group(group, options):
    """Contender name -> case -> its rounds; without the contenders that could not be set up."""
    contenders = [c for c in options.contenders if group.cases_of(c)]
    together = [contenders] if group.in_turn else [[c] for c in contenders]
    # Half as much again, for what ends only later.
    room = group.connections * len(together[0]) * 3 // 2 if contenders else 0
    results = {}
    with ConntrackRoom(room):
        for each in together:
            results |= measure_rounds(group, each, options)
    return results


def measure_rounds(group, contenders, options):
    with contextlib.ExitStack() as stack:
        labs = {c: set_up(c, stack) for c in contenders}
        labs = {c: lab for c, lab in labs.items() if lab}
        results = {c.name: {case: [] for case in group.cases_of(c)} for c in labs}
        answered = set()
        for index in range(group.rounds):
            for case in group.cases:
                for contender, lab in labs.items():
                    if case in group.cases_of(contender):
                        results[contender.name][case].append(
                            one_round(lab, contender, case, options, answered))
            print(f"\r{group.name}: round {index + 1} of {group.rounds} ", end="", file=sys.stderr,
                  flush=True)
        print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    return results


def one_round(lab, contender, case, options, answered):
    cpus = cpus_of(case, options)
    if len(cpus) < case.cores:
        return Failed(f"needs {case.cores} cores")
    flows = (contender, case.family, case.flows)
    if flows not in answered:
        problem = begin(lab, contender, case, cpus)
        if problem:
            return Failed(problem)
        answered.add(flows)
    return measure(lab, contender, case, seconds=options.seconds, cpus=cpus)


def begin(lab, contender, case, cpus):
    """Has every flow answered, and goes on until leases are renewed at all times; says what failed."""
    if not contender.connects:
        return None
    start = time.monotonic()
    first = measure(lab, contender, case, seconds=0.1, cpus=cpus, answered=True)
    if isinstance(first, Failed):
        return first.problem
    while contender.fast and time.monotonic() - start < lease_seconds(lab):
        measure(lab, contender, case, seconds=min(5.0, lease_seconds(lab)), cpus=cpus)
    return None
