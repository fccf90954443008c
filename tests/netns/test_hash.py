# SPDX-License-Identifier: GPL-2.0-or-later
"""What keeps a pick the same: the values of [balance] hash."""

import pytest
from lab import Balancer, Config, tcp_who

LAB = {"hosts": 6, "uplinks": 2}


@pytest.fixture
def balanced(linkbal, shared_lab):
    balancer = Balancer(shared_lab, linkbal)

    def up(mode):
        balancer.up(Config(shared_lab, hash=f'"{mode}"'))
        return shared_lab

    yield up
    balancer.down()


@pytest.mark.parametrize("family", [4, 6])
def test_source_keeps_a_client_on_one_link(balanced, family):
    lab = balanced("source")
    for host in lab.hosts:
        assert len(tcp_who(lab, 40, family, hosts=[host])) == 1


@pytest.mark.parametrize("family", [4, 6])
def test_destination_keeps_a_server_on_one_link(balanced, family):
    lab = balanced("destination")
    prefix = "198.51.100." if family == 4 else "2001:db8:ff::"
    links = {n: set(tcp_who(lab, 18, family, servers=[f"{prefix}{n}"])) for n in range(1, 41)}
    assert all(len(seen) == 1 for seen in links.values())
    assert len(set.union(*links.values())) == 2, "forty servers, all on one link"


@pytest.mark.parametrize("family", [4, 6])
def test_source_destination_keeps_a_pair_on_one_link(balanced, family):
    lab = balanced("source-destination")
    pairs = [(h, s) for h in lab.hosts for s in lab.servers(family)[:7]]
    links = [set(tcp_who(lab, 5, family, hosts=[h], servers=[s])) for h, s in pairs]
    assert all(len(seen) == 1 for seen in links)
    assert len(set.union(*links)) == 2, "42 pairs, all on one link"


@pytest.mark.parametrize("family", [4, 6])
def test_connection_gives_a_pair_the_links_in_turn(balanced, family):
    lab = balanced("connection")
    for host in lab.hosts:
        for server in lab.servers(family)[:4]:
            assert len(tcp_who(lab, 2, family, hosts=[host], servers=[server])) == 2
