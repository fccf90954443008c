# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices without an Ethernet header, on either side."""

import pytest
from lab import Balancer, Config, Lab, differences, ping, snapshot, tcp_who, udp_who
from lab.clients import Udp


@pytest.fixture(scope="module", params=[("lan",), (2,), ("lan", 1, 2)],
                ids=["LAN", "one uplink", "everything"])
def tunnelled(linkbal, request):
    with Lab(hosts=2, uplinks=2, tun=request.param) as lab:
        before = snapshot(lab)
        balancer = Balancer(lab, linkbal)
        balancer.up(Config(lab))
        yield lab
        assert lab.spoofed() == 0
        balancer.down()
        assert not differences(before, snapshot(lab))


@pytest.mark.parametrize("family", [4, 6])
def test_connections_take_both_links(tunnelled, family):
    for who in (tcp_who, udp_who):
        seen = who(tunnelled, 200, family)
        assert seen == {u.address(family): pytest.approx(100, abs=22) for u in tunnelled.uplinks}


@pytest.mark.parametrize("family", [4, 6])
def test_one_client_and_server(tunnelled, family):
    """Ports and turns are read right: a wrong header offset would put all on one link."""
    seen = tcp_who(tunnelled, 100, family, hosts=tunnelled.hosts[:1],
                   servers=tunnelled.servers(family)[:1])
    assert sorted(seen.values()) == pytest.approx([50, 50], abs=2)


@pytest.mark.parametrize("family", [4, 6])
def test_fragments_and_ping(tunnelled, family):
    client = Udp(tunnelled.hosts[0], tunnelled.servers(family)[0])
    assert client.ask(10) == client.ask(4000)
    assert len(ping(tunnelled.hosts[:1], tunnelled.servers(family))) == 20
