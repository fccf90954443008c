# SPDX-License-Identifier: GPL-2.0-or-later
"""Without the BPF programs the kernel's multipath table carries traffic through both links (S5)."""

import pytest
from lab import Config, ping, tcp_who, udp_who
from lab.busy import Busy

LAB = {"hosts": 4, "uplinks": 2}


@pytest.fixture
def detached(lab, balancer, attach):
    balancer.up(Config(lab, attach=attach))
    assert balancer.attached()
    balancer.detach_by_hand()
    assert not balancer.attached()
    return lab


def servers(family):
    prefix = "198.51.100." if family == 4 else "2001:db8:ff::"
    return [f"{prefix}{n}" for n in range(1, 101)]


@pytest.mark.parametrize("family", [4, 6])
def test_both_links_carry_connections(detached, family):
    for who, targets in ((tcp_who, servers(family)), (udp_who, detached.servers(family))):
        seen = who(detached, 400, family, servers=targets)
        assert sum(seen.values()) == 400
        assert {detached.nameof(a) for a in seen} == {"velox1", "velox2"}
    assert detached.spoofed() == 0


@pytest.mark.parametrize("family", [4, 6])
def test_both_links_carry_pings(detached, family):
    assert len(ping(detached.hosts, servers(family))) == 400
    assert min(detached.echoes(family).values()) > 50


def test_open_connections_survive_the_programs(lab, balancer):
    balancer.up(Config(lab))
    with Busy(lab, 100) as busy:
        assert not busy.stuck()
        balancer.detach_by_hand()
        assert not busy.stuck()
        assert len(busy.by_address()) == 2


def test_up_attaches_them_again(lab, balancer, attach):
    balancer.up(Config(lab, attach=attach))
    hooks = set(balancer.attached())
    balancer.detach_by_hand()
    balancer.up()
    assert set(balancer.attached()) == hooks
    seen = tcp_who(lab, 100, hosts=lab.hosts[:1], servers=lab.servers()[:1])
    assert len(seen) == 2
