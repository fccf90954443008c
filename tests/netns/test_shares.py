# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections leave by every uplink, as the weights ask (S1, S8)."""

import pytest
from lab import Balancer, Config, describe, deviation, ping, tcp_who, udp_who

LAB = {"hosts": 4, "uplinks": 3}
WEIGHTS = [(1, 1), (3, 1), (5, 3, 2)]


@pytest.fixture
def balanced(linkbal, shared_lab):
    """Brings linkbal up with some weights, and down afterwards."""
    balancer = Balancer(shared_lab, linkbal)

    def up(weights, **balance):
        named = {f"velox{n}": weight for n, weight in enumerate(weights, 1)}
        balancer.up(Config(shared_lab, named, **balance))
        return shared_lab, named

    yield up
    balancer.down()


def assert_fair(lab, seen, weights, count):
    """Every connection came from the address of an uplink, and the uplinks have their shares."""
    shares = {}
    for address, number in seen.items():
        shares[lab.nameof(address)] = shares.get(lab.nameof(address), 0) + number
    assert sum(shares.values()) == count
    assert set(shares) == set(weights), describe(shares, weights)
    assert max(map(abs, deviation(shares, weights).values())) <= 3, describe(shares, weights)
    assert lab.spoofed() == 0, "packets left by a link that their source address does not belong to"


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_10000_tcp_connections(balanced, weights):
    lab, named = balanced(weights)
    assert_fair(lab, tcp_who(lab, 10_000), named, 10_000)


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_10000_tcp_connections_over_ipv6(balanced, weights):
    lab, named = balanced(weights)
    assert_fair(lab, tcp_who(lab, 10_000, 6), named, 10_000)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_udp_connections(balanced, weights, family):
    lab, named = balanced(weights)
    assert_fair(lab, udp_who(lab, 3000, family), named, 3000)


@pytest.mark.parametrize("family", [4, 6])
def test_both_ways_to_attach(balanced, attach, family):
    lab, named = balanced((3, 1), attach=attach)
    assert_fair(lab, tcp_who(lab, 1000, family), named, 1000)
    assert_fair(lab, udp_who(lab, 1000, family), named, 1000)


def test_one_client_and_one_server(balanced):
    """A hash of addresses alone would put all of these on one link."""
    lab, named = balanced((1, 1))
    seen = tcp_who(lab, 1000, hosts=lab.hosts[:1], servers=lab.servers()[:1])
    assert_fair(lab, seen, named, 1000)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_ping(balanced, weights, family):
    lab, named = balanced(weights)
    before = lab.echoes(family)
    prefixes = ("198.51.100.", "203.0.113.") if family == 4 else ("2001:db8:ff::", "2001:db8:ff::f:")
    servers = [f"{prefix}{n}" for prefix in prefixes for n in range(1, 251)]
    answered = ping(lab.hosts, servers)
    assert len(answered) == len(servers) * len(lab.hosts)
    shares = {name: count - before[name] for name, count in lab.echoes(family).items()}
    # A ping has no turn: each is a pick by chance. More than 6.5 happen once in 10^10 times.
    assert max(map(abs, deviation(shares, named).values())) <= 6.5, describe(shares, named)
    assert sum(shares[n] for n in named) == len(answered)
    assert lab.spoofed() == 0
