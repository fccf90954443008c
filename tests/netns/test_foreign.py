# SPDX-License-Identifier: GPL-2.0-or-later
"""Others on the same machine keep their marks, rules, firewalls and tc programs (P15)."""

import pytest
from lab import Config, snapshot, tcp_who, udp_who
from lab.busy import Busy
from lab.clients import tcp_seen
from lab.foreign import ROUTED, counters, settle_in

LAB = {"hosts": 3, "uplinks": 2}


@pytest.fixture
def inhabited(lab, balancer, attach):
    settle_in(lab)
    before = snapshot(lab)
    balancer.up(Config(lab, attach=attach))
    return lab, before


@pytest.mark.parametrize("family", [4, 6])
def test_marks_and_tc_programs(inhabited, family):
    lab, _ = inhabited
    servers = [s for s in lab.servers(family) if s != ROUTED[family]]
    assert len(tcp_who(lab, 200, family, servers=servers)) == 2
    assert len(udp_who(lab, 200, family, servers=servers)) == 2
    seen = counters(lab)
    assert seen["carried"] > 400
    assert (seen["lost_mark"], seen["lost_tc_mark"], seen["lost_ct_mark"]) == (0, 0, 0)


@pytest.mark.parametrize("family", [4, 6])
def test_rules_that_come_first_win(inhabited, family):
    """And the connection is masqueraded and pinned as it really leaves."""
    lab, _ = inhabited
    for who in (tcp_who, udp_who):
        assert set(who(lab, 60, family, servers=[ROUTED[family]])) == {lab.uplinks[1].address(family)}
    assert lab.spoofed() == 0


def test_a_full_tunnel_for_the_gateway_itself(lab, balancer):
    """The rules that wg-quick makes: all but the tunnel's own packets go by a table of its own."""
    lab.site("vpn", 30)
    for flag, near in (("-4", "10.30.0.2"), ("-6", "2001:db8:30::2")):
        lab.gateway.run("ip", flag, "route", "add", "default", "via", near, "table", "51820")
        lab.gateway.run("ip", flag, "rule", "add", "not", "fwmark", "51820", "lookup", "51820", "pref", "32765")
        lab.gateway.run("ip", flag, "rule", "add", "lookup", "main", "suppress_prefixlength", "0", "pref", "32764")
    balancer.up(Config(lab))
    for family, server in ((4, "203.0.113.9"), (6, "2001:db8:ff::9")):
        assert len(tcp_who(lab, 60, family)) == 2
        way = lab.gateway.output("ip", "route", "get", server)
        assert "dev vpn" in way, way
        way = lab.gateway.output("ip", "route", "get", server, "mark", "51820")
        assert "dev eth1" in way, way
    assert lab.spoofed() == 0


MASQUERADE = """
table ip others_nat {
    chain postrouting {
        type nat hook postrouting priority %s; policy accept;
        oifname { "eth1", "eth2" } masquerade
    }
}"""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("priority", ["90", "100"])
def test_others_may_masquerade_first(lab, balancer, when, priority):
    """The first nat chain that maps a connection ends the hook for all nat chains after it."""
    if when == "before":
        lab.gateway.nft(MASQUERADE % priority)
    balancer.up(Config(lab))
    if when == "after":
        lab.gateway.nft(MASQUERADE % priority)
    assert sum(tcp_who(lab, 60).values()) == 60
    with Busy(lab, 60) as busy:
        assert not busy.stuck()
    assert lab.spoofed() == 0


def test_everything_is_still_there(inhabited):
    lab, before = inhabited
    tcp_who(lab, 20)
    now = snapshot(lab)
    for section in ("rules", "rules6", "routes", "routes6", "nft"):
        missing = set(before[section].splitlines()) - set(now[section].splitlines())
        assert not missing, f"{section}: {missing}"
    assert [q for q in before["qdiscs"].splitlines() if "clsact" in q][0] in now["qdiscs"]
    assert "other.o:[classifier]" in now["programs"]


def test_a_firewall_that_drops_still_drops(inhabited):
    lab, _ = inhabited
    with lab.hosts[0].entered(), pytest.raises(OSError):
        tcp_seen(lab.servers()[0], port=23, timeout=0.5)
