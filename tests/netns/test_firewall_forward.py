# SPDX-License-Identifier: GPL-2.0-or-later
"""[firewall]: what passes between the LAN and the internet, and what does not (S12)."""

import pytest
from lab import Balancer, Config, differences, ping, snapshot, tcp_who, udp_who, waituntil
from lab.busy import Busy
from lab.clients import Udp
from lab.dns import Resolver, asks
from lab.fast import Watch
from lab.firewall import Firewall
from lab.raw import TCP, ip, lan_wire, uplink_wire
from lab.reach import (OPEN, OUTSIDE, PATIENCE, REFUSED, SILENT, Listener, payload, pings, send, tcp,
                       udp)
from lab.servers import CLOSED, WHO

LAB = {"hosts": 2, "uplinks": 2}
FAMILIES = pytest.mark.parametrize("family", [4, 6])
NAMED = {4: "198.51.100.53", 6: "2001:db8:ff::53"}
OTHER = {4: "198.51.100.54", 6: "2001:db8:ff::54"}
LAN = {4: "192.168.0.0/24", 6: "2001:db8:a::/64"}
SITE = {4: "10.30.1.7", 6: "2001:db8:30:1::7"}


@pytest.fixture(scope="module")
def wall(linkbal, shared_lab):
    """Providers know the way to the LAN, so that nothing but the gateway keeps anybody out."""
    shared_lab.serve(shared_lab.hosts[0], "192.168.0.10", "2001:db8:a::10")
    first = shared_lab.uplinks[0]
    for family, network in LAN.items():
        far = {4: "100.64.1.2", 6: "2001:db8:fe:1::2"}[family]
        shared_lab.internet.run("ip", f"-{family}", "route", "add", network, "via", far)
        first.router.run("ip", f"-{family}", "route", "add", network, "via", first.address(family))
    wall = Firewall(shared_lab, linkbal)
    wall.up()
    yield wall


def inside(host, family):
    return host.address4 if family == 4 else host.address6


# From the LAN

@FAMILIES
def test_the_lan_opens_connections(shared_lab, wall, family):
    """By both links, and nothing of it is dropped."""
    wall.up()
    before = shared_lab.spoofed()
    with wall.quiet():
        for who in (tcp_who, udp_who):
            seen = who(shared_lab, 100, family)
            assert set(seen) == {u.address(family) for u in shared_lab.uplinks}, seen
        servers = shared_lab.servers(family)[:6]
        assert len(ping(shared_lab.hosts, servers)) == len(shared_lab.hosts) * len(servers)
    assert shared_lab.spoofed() == before


@FAMILIES
def test_fragments_pass_both_ways(shared_lab, wall, family):
    wall.up()
    for server in shared_lab.servers(family)[:6]:
        client = Udp(shared_lab.hosts[1], server)
        try:
            client.ask(4000)
        finally:
            client.close()


@FAMILIES
def test_refusals_reach_the_lan(shared_lab, wall, family):
    """Errors about an open connection are related to it."""
    wall.up()
    for server in shared_lab.servers(family)[:4]:
        assert udp(shared_lab.hosts[0], server, CLOSED) == REFUSED
        assert tcp(shared_lab.hosts[0], server, CLOSED) == REFUSED


@FAMILIES
def test_sources_that_are_not_the_lans(shared_lab, wall, family):
    """A host with an address of somebody else gets nothing out, by whatever link. IPv4's reverse path
    filter would see to it, too."""
    wall.up()
    shared_lab.gateway.sysctl(**{f"ipv4/conf/{shared_lab.lan_device}/rp_filter": 0})
    host, stranger = shared_lab.hosts[0], {4: "203.0.113.200", 6: "2001:db8:77::200"}[family]
    host.run("ip", "addr", "add", stranger, "dev", "lo")
    try:
        with Listener(shared_lab.internet, 7100) as server:
            for there in shared_lab.servers(family)[:4]:
                sent = payload()
                with wall.counted("forward"):
                    send(host, there, 7100, sent, source=stranger)
                assert not server.got(sent)
            sent = payload()
            send(host, shared_lab.servers(family)[0], 7100, sent)
            server.wait(sent)
    finally:
        host.run("ip", "addr", "del", stranger, "dev", "lo")


# From the internet

@FAMILIES
def test_the_internet_does_not_reach_the_lan(shared_lab, wall, family):
    """TCP, UDP and ping, to a host whose way is known and whose servers listen."""
    wall.up()
    host = shared_lab.hosts[0]
    there = inside(host, family)
    own = {4: "ip saddr 198.51.100.77", 6: "ip6 saddr 2001:db8:ff::77"}[family]
    with Watch(host, own, hook="input") as watch:
        with wall.counted("forward"):
            assert tcp(shared_lab.internet, there, WHO, OUTSIDE[family], PATIENCE) == SILENT
        with wall.counted("forward"):
            assert udp(shared_lab.internet, there, WHO, OUTSIDE[family], PATIENCE) == SILENT
        with wall.counted("forward"):
            assert not pings(shared_lab.internet, there, OUTSIDE[family], PATIENCE)
    assert watch.last == 0


@FAMILIES
def test_without_the_section_it_does(shared_lab, wall, family):
    """Packets arrive: the lab shows what the firewall keeps out."""
    wall.up(Config(shared_lab))
    with Listener(shared_lab.hosts[0], 7100) as server:
        sent = payload()
        send(shared_lab.internet, inside(shared_lab.hosts[0], family), 7100, sent, OUTSIDE[family])
        assert server.wait(sent) == OUTSIDE[family]


# DNS

@pytest.fixture(scope="module")
def resolvers(shared_lab):
    with Resolver(shared_lab.internet, *NAMED.values(), *OTHER.values()):
        yield


def named():
    return list(NAMED.values())


@FAMILIES
@pytest.mark.parametrize("over", ["udp", "tcp"])
def test_named_dns_servers_only(shared_lab, wall, resolvers, family, over):
    wall.up(dns_servers=named())
    for host in shared_lab.hosts:
        for _ in range(4):
            assert asks(host, NAMED[family], over) == OPEN
        with wall.counted("dns"):
            assert asks(host, OTHER[family], over) == REFUSED, "at once, so that nobody waits"


@FAMILIES
def test_named_servers_of_the_other_family(shared_lab, wall, resolvers, family):
    """Those that are named say nothing about themselves in the other family."""
    wall.up(dns_servers=[NAMED[10 - family]])
    with wall.counted("dns"):
        assert asks(shared_lab.hosts[0], NAMED[family], "udp") == REFUSED
    assert asks(shared_lab.hosts[0], NAMED[10 - family], "udp") == OPEN


@FAMILIES
@pytest.mark.parametrize("over", ["udp", "tcp"])
def test_any_dns_server(shared_lab, wall, resolvers, family, over):
    wall.up()
    with wall.quiet():
        assert asks(shared_lab.hosts[0], NAMED[family], over) == OPEN
        assert asks(shared_lab.hosts[0], OTHER[family], over) == OPEN


@FAMILIES
def test_the_gateway_asks_whom_it_likes(shared_lab, wall, resolvers, family):
    wall.up(dns_servers=named())
    with wall.quiet():
        assert asks(shared_lab.gateway, OTHER[family], "udp") == OPEN


@FAMILIES
def test_the_gateways_own_dns_server(shared_lab, wall, family):
    wall.up(dns_servers=named(), allow=[{"service": ["dns"]}])
    own = {4: "192.168.0.1", 6: "2001:db8:a::1"}[family]
    with Resolver(shared_lab.gateway, own):
        for over in ("udp", "tcp"):
            assert asks(shared_lab.hosts[0], own, over) == OPEN


# Nonsense

@FAMILIES
@pytest.mark.parametrize("flags", ["SF", ""])
def test_invalid_packets(shared_lab, wall, family, flags):
    wall.up()
    host, server = shared_lab.hosts[0], shared_lab.servers(family)[0]
    with Watch(shared_lab.gateway, "tcp dport 7100", hook="postrouting") as watch:
        for wire, source, there in (
                (lan_wire(shared_lab), inside(host, family), server),
                (uplink_wire(shared_lab, shared_lab.uplinks[0]), server, inside(host, family))):
            with wire, wall.counted("invalid"):
                wire.send(ip(source, there) / TCP(sport=41000, dport=7100, flags=flags))
    assert watch.last == 0


# What is open already, and others inside

def test_open_connections_survive_the_firewall(linkbal, lab):
    """It is put up and taken away over them, and all is as it was before the first `up`."""
    wall = Firewall(lab, linkbal)
    wall.up(Config(lab))
    with Busy(lab, 40) as busy, Busy(lab, 20, family=6) as busy6:
        assert not busy.stuck() + busy6.stuck()
        wall.up(dns_servers=named(), allow=[{"service": ["ssh"], "from": ["uplinks"], "rate": "10/minute"}])
        assert not busy.stuck() + busy6.stuck()
        wall.up(ping=[])
        assert not busy.stuck() + busy6.stuck()
        wall.up(Config(lab))
        assert not busy.stuck() + busy6.stuck()
    assert lab.spoofed() == 0


EVERYTHING = {
    "ping": ["lan", "203.0.113.0/24"], "dns_servers": ["198.51.100.53"], "log": ["fragments", "spoofed"],
    "expected_sources": ["10.1.2.0/24"],
    "allow": [{"service": ["ssh", "8000-8010/udp"], "from": ["lan", "uplinks"], "rate": "10/minute"}],
    "forward": [{"port": 8080, "to": "192.168.0.10:80"}, {"port": "9000-9009", "to": "[2001:db8:a::10]:9500"}],
    "helpers": {"ftp": True, "sip": [5060, 5070], "tftp": True}}


def test_the_same_again_and_down(linkbal, lab):
    """A second `up` leaves every rule in its place; `down` leaves nothing behind."""
    before = snapshot(lab)
    wall = Firewall(lab, linkbal, links={"velox1": {"mss": 1400}})
    wall.up(**EVERYTHING)
    rules = lab.gateway.output("nft", "-a", "-s", "list", "ruleset")
    Balancer.up(wall)
    assert lab.gateway.output("nft", "-a", "-s", "list", "ruleset") == rules
    wall.down()
    assert not differences(before, snapshot(lab))


@FAMILIES
def test_other_sites(linkbal, lab, family):
    """What is neither LAN nor uplink is reached from the LAN, and opens nothing itself."""
    site = lab.site("vpn", 30)
    lab.serve(lab.hosts[0])
    wall = Firewall(lab, linkbal)
    wall.up()
    assert tcp(lab.hosts[0], SITE[family], WHO) == OPEN
    with wall.counted("forward"):
        assert tcp(site, inside(lab.hosts[0], family), WHO, patience=PATIENCE) == SILENT
    with Listener(lab.gateway, 22):
        near = {4: "10.30.0.1", 6: "2001:db8:30::1"}[family]
        with wall.counted("input"):
            assert tcp(site, near, 22, patience=PATIENCE) == SILENT
        wall.up(allow=[{"service": ["ssh"], "from": ["10.30.0.0/16", "2001:db8:30::/48"]}])
        assert tcp(site, near, 22) == OPEN, "a network may be private, and come by any way"


@FAMILIES
def test_two_lans(linkbal, lab, family):
    """Hosts of both reach each other and the internet."""
    site = lab.site("vpn", 30)
    site.sysctl(**{"ipv6/ip_nonlocal_bind": 1})
    lab.serve(lab.hosts[0])
    wall = Firewall(lab, linkbal)
    text = wall.configured().text()
    text = text.replace('interfaces = ["eth0"]', 'interfaces = ["eth0", "vpn"]')
    text = text.replace('"192.168.0.0/24"', '"192.168.0.0/24", "10.30.0.0/16", "2001:db8:30::/48"')
    wall.up(text)
    with wall.quiet():
        assert tcp(lab.hosts[0], SITE[family], WHO) == OPEN
        assert tcp(site, inside(lab.hosts[0], family), WHO) == OPEN
        assert tcp(site, inside(lab.hosts[0], family), WHO, SITE[family]) == OPEN
        assert pings(site, lab.servers(family)[0])
        for server in lab.servers(family)[:4]:
            assert tcp(site, server, WHO) == OPEN


def test_counters_go_on(linkbal, lab):
    """A further `up` with other rules forgets nothing that was counted."""
    wall = Firewall(lab, linkbal)
    wall.up()
    for _ in range(3):
        with wall.counted("input"):
            assert not pings(lab.internet, lab.uplinks[0].address4, OUTSIDE[4], PATIENCE)
    before = wall.counters()
    wall.up(ping=["lan"], allow=[{"service": ["https"]}])
    waituntil(lambda: wall.counters()["input"] >= before["input"], 1)
    assert set(wall.counters()) == {"fragments", "spoofed", "invalid", "input", "forward", "dns"}
