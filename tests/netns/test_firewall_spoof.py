# SPDX-License-Identifier: GPL-2.0-or-later
"""[firewall]: fragments for the gateway, and packets whose source can't be true (S12)."""

import contextlib

import pytest
from lab import waituntil
from lab.clients import Udp
from lab.fast import Watch
from lab.firewall import Firewall
from lab.kernel_log import KernelLog, Unreadable
from lab.raw import (ICMP, UDP, ICMPv6DestUnreach, IPv6, IPv6ExtHdrFragment, Wire, fragment, fragment6,
                     ip, uplink_wire)
from lab.reach import OPEN, OUTSIDE, PATIENCE, SILENT, Listener, payload, pings, send, tcp, udp
from lab.servers import CLOSED, WHO

LAB = {"hosts": 2, "uplinks": 2}
FAMILIES = pytest.mark.parametrize("family", [4, 6])
PORT = 7100
OPEN_PORT = [{"service": [f"{PORT}/udp", f"{WHO}/udp"], "from": ["lan", "uplinks", "10.0.0.0/8"]}]
EVERYTHING = ["fragments", "spoofed", "invalid", "input", "forward"]


@pytest.fixture(scope="module")
def wall(linkbal, shared_lab):
    """Whatever gets past the rules about sources is let in, so that an arrival would be seen."""
    lab = shared_lab
    lab.serve(lab.gateway, *(u.address(f) for u in lab.uplinks for f in (4, 6)))
    wall = Firewall(lab, linkbal)
    wall.site = lab.site("vpn", 30)
    wall.up(allow=OPEN_PORT)
    for device in ("all", "eth0", "eth1", "eth2", "vpn"):
        lab.gateway.sysctl(**{f"ipv4/conf/{device}/rp_filter": 0})
    return wall


@pytest.fixture
def log():
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context(KernelLog())
        except Unreadable as reason:
            pytest.skip(str(reason))
        yield opened


# Fragments

@FAMILIES
def test_fragments_to_the_gateway(shared_lab, wall, family):
    """A large datagram of an allowed service is dropped because it comes in pieces; a small one is not."""
    wall.up(allow=OPEN_PORT)
    for uplink in shared_lab.uplinks:
        there = uplink.address(family)
        with wall.counted("fragments"):
            assert udp(shared_lab.internet, there, WHO, OUTSIDE[family], PATIENCE, bytes(4000)) == SILENT
        with wall.quiet("fragments"):
            assert udp(shared_lab.internet, there, WHO, OUTSIDE[family], payload=bytes(1000)) == OPEN
            assert udp(shared_lab.hosts[0], there, WHO, payload=bytes(4000)) == OPEN, "from the LAN"


@FAMILIES
def test_fragments_of_an_open_connection_of_the_gateway(shared_lab, wall, family):
    wall.up(allow=OPEN_PORT)
    with wall.quiet("fragments", "input", "spoofed"):
        for server in shared_lab.servers(family)[:4]:
            client = Udp(shared_lab.gateway, server)
            with contextlib.closing(client):
                client.ask(4000)


@FAMILIES
def test_fragments_of_answers_to_the_lan(shared_lab, wall, family):
    """The gateway's address is what the server answers to: that alone makes nothing the gateway's own."""
    wall.up(allow=OPEN_PORT)
    with wall.quiet():
        for server in shared_lab.servers(family)[:8]:
            client = Udp(shared_lab.hosts[0], server)
            with contextlib.closing(client):
                for size in (4000, 10, 8000):
                    client.ask(size)


@FAMILIES
def test_tiny_first_fragments(shared_lab, wall, family):
    """As in the classic attack: the ports are in a fragment of their own."""
    wall.up(allow=OPEN_PORT)
    uplink, sent = shared_lab.uplinks[0], payload()
    whole = ip(OUTSIDE[family], uplink.address(family)) / UDP(sport=4000, dport=PORT) / (sent + bytes(32))
    pieces = fragment(whole, fragsize=8) if family == 4 else fragment6(with_fragment_header(whole), 64)
    assert len(pieces) > 1
    with Listener(shared_lab.gateway, PORT) as server, uplink_wire(shared_lab, uplink) as wire:
        with wall.counted("fragments"):
            for piece in pieces:
                wire.send(piece)
        assert not server.got(sent + bytes(32))


def with_fragment_header(packet):
    return IPv6(src=packet.src, dst=packet.dst) / IPv6ExtHdrFragment(id=77) / packet.payload


@FAMILIES
def test_fragments_are_logged(shared_lab, wall, log, family):
    wall.up(allow=OPEN_PORT, log_prefix=shared_lab.instance)
    uplink = shared_lab.uplinks[1]
    udp(shared_lab.internet, uplink.address(family), WHO, OUTSIDE[family], PATIENCE, bytes(4000))
    line = log.wait(f"{shared_lab.instance} fragment: ")[0]
    assert f"IN={uplink.device} " in line and "PROTO=UDP" in line
    udp(shared_lab.internet, uplink.address(family), CLOSED, OUTSIDE[family], PATIENCE)
    assert len(log.starting(shared_lab.instance)) == len(log.starting(f"{shared_lab.instance} fragment: "))


def test_the_default_prefix(shared_lab, wall, log):
    wall.up(allow=OPEN_PORT)
    uplink = shared_lab.uplinks[0]
    udp(shared_lab.internet, uplink.address4, WHO, OUTSIDE[4], PATIENCE, bytes(4000))
    about = f"SRC={OUTSIDE[4]} DST={uplink.address4} "
    waituntil(lambda: [line for line in log.starting("linkbal fragment: ") if about in line], 5)


def test_every_reason_is_logged(shared_lab, wall, log):
    lab, uplink = shared_lab, shared_lab.uplinks[0]
    wall.up(allow=OPEN_PORT, log_prefix=lab.instance, log=EVERYTHING)
    there = uplink.address4
    udp(lab.internet, there, WHO, OUTSIDE[4], PATIENCE, bytes(4000))
    udp(lab.internet, there, CLOSED, OUTSIDE[4], PATIENCE)
    with uplink_wire(lab, uplink) as wire:
        wire.send(ip("10.1.2.3", there) / UDP(dport=PORT))
        wire.send(ip(OUTSIDE[4], there) / ICMP(type=0, id=77))
        wire.send(ip(OUTSIDE[4], lab.hosts[0].address4) / UDP(dport=PORT))
    for word in ("fragment", "input", "spoofed", "invalid", "forward"):
        log.wait(f"{lab.instance} {word}: ")


def test_nothing_is_logged(shared_lab, wall, log):
    uplink = shared_lab.uplinks[0]
    wall.up(allow=OPEN_PORT, log_prefix=shared_lab.instance, log=[])
    with wall.counted("fragments"):
        udp(shared_lab.internet, uplink.address4, WHO, OUTSIDE[4], PATIENCE, bytes(4000))
    assert not log.starting(shared_lab.instance)


# Sources

FALSE = [
    "10.1.2.3", "172.16.0.9", "172.31.255.1", "192.168.77.7", "100.64.9.9", "127.0.0.1", "127.1.2.3",
    "169.254.1.1", "224.0.0.9", "239.1.1.1", "240.0.0.1", "255.255.255.255", "0.0.0.0", "0.1.2.3",
    "fc00::1", "fd12:3456::1", "fec0::1", "::1", "::", "ff02::1", "::ffff:198.51.100.77"]
# Linux takes these for impossible before netfilter sees them.
NEVER_SEEN = {"::1", "ff02::1", "::ffff:198.51.100.77"}


def family_of(address):
    return 6 if ":" in address else 4


@pytest.mark.parametrize("source", FALSE)
def test_false_sources_by_the_uplinks(shared_lab, wall, source):
    wall.up(allow=OPEN_PORT)
    for uplink in shared_lab.uplinks:
        refused(shared_lab, wall, uplink_wire(shared_lab, uplink), source,
                uplink.address(family_of(source)))


def refused(lab, wall, wire, source, there):
    """A datagram to an open port is dropped, and counted as what it is."""
    sent = payload()
    match = f'iifname != "{lab.lan_device}" udp dport {PORT}'
    with Listener(lab.gateway, PORT) as server, wire, \
            Watch(lab.gateway, match, hook="prerouting", priority=50) as watch, \
            contextlib.ExitStack() as stack:
        if source not in NEVER_SEEN:
            stack.enter_context(wall.counted("spoofed"))
        wire.send(ip(source, there) / UDP(sport=4000, dport=PORT) / sent)
        stack.close()
        # The next one shows that this one has been through.
        known = payload()
        send(lab.hosts[0], there, PORT, known)
        server.wait(known)
        assert not server.got(sent)
    assert watch.last == 0


TRUE = ["1.2.3.4", "11.0.0.1", "172.15.255.255", "172.32.0.1", "192.167.1.1", "192.169.1.1", "100.63.1.1",
        "100.128.0.1", "126.1.1.1", "128.0.0.1", "169.253.1.1", "223.255.255.1", "192.0.2.1",
        "203.0.113.5", "198.51.100.5", "2001:db8:ff::5", "2600::1", "fb00::1"]


def test_sources_just_beside(shared_lab, wall):
    """Documentation networks are somebody's, too."""
    wall.up(allow=OPEN_PORT)
    with Listener(shared_lab.gateway, PORT) as server, wall.quiet("spoofed"):
        for uplink in shared_lab.uplinks:
            with uplink_wire(shared_lab, uplink) as wire:
                for source in TRUE:
                    sent = payload()
                    wire.send(ip(source, uplink.address(family_of(source))) / UDP(sport=4000, dport=PORT)
                              / sent)
                    assert server.wait(sent) == source


@FAMILIES
def test_own_and_lan_addresses_by_the_uplinks(shared_lab, wall, family):
    wall.up(allow=OPEN_PORT)
    lan = {4: ("192.168.0.1", "192.168.0.10", "192.168.0.99"),
           6: ("2001:db8:a::1", "2001:db8:a::10", "2001:db8:a::99")}[family]
    first, second = shared_lab.uplinks
    for uplink, other in ((first, second), (second, first)):
        for source in (*lan, uplink.address(family), other.address(family)):
            refused(shared_lab, wall, uplink_wire(shared_lab, uplink), source, uplink.address(family))


@FAMILIES
def test_lan_addresses_by_what_is_not_the_lan(shared_lab, wall, family):
    """Whatever else is connected, not the uplinks alone."""
    origins = ["lan", "10.0.0.0/8", "192.168.0.0/24", "2001:db8::/32"]
    wall.up(allow=[{"service": [f"{PORT}/udp"], "from": origins}])
    near = {4: "10.30.0.1", 6: "2001:db8:30::1"}[family]
    lan = {4: ("192.168.0.10", "192.168.0.1"), 6: ("2001:db8:a::10", "2001:db8:a::1")}[family]
    site = wall.site
    with Listener(shared_lab.gateway, PORT) as server:
        known = payload()
        send(site, near, PORT, known)
        server.wait(known)
    for source in lan:
        refused(shared_lab, wall, Wire(site, "vpn", shared_lab.gateway, "vpn"), source, near)


@FAMILIES
def test_the_providers_own_network(shared_lab, wall, family):
    """An uplink's subnet is private here, and its router's pings and datagrams are no forgery; those of
    the other uplink's subnet are."""
    wall.up(allow=OPEN_PORT, ping=["uplinks"])
    for uplink in shared_lab.uplinks:
        with wall.quiet("spoofed"):
            assert pings(uplink.router, uplink.address(family))
            assert udp(uplink.router, uplink.address(family), WHO) == OPEN
    if family == 4:
        first, second = shared_lab.uplinks
        refused(shared_lab, wall, uplink_wire(shared_lab, first), second.router4, first.address4)


EXPECTED = {4: ("10.1.2.0/24", "10.1.2.3", "10.1.3.3"), 6: ("fd12:3456::/32", "fd12:3456::1", "fd12:3457::1")}


@FAMILIES
def test_expected_sources(shared_lab, wall, family):
    network, expected, other = EXPECTED[family]
    wall.up(allow=OPEN_PORT, expected_sources=[n for n, _, _ in EXPECTED.values()])
    for uplink in shared_lab.uplinks:
        there, sent = uplink.address(family), payload()
        with Listener(shared_lab.gateway, PORT) as server, uplink_wire(shared_lab, uplink) as wire, \
                wall.quiet("spoofed"):
            wire.send(ip(expected, there) / UDP(sport=4000, dport=PORT) / sent)
            assert server.wait(sent) == expected
        refused(shared_lab, wall, uplink_wire(shared_lab, uplink), other, there)


@FAMILIES
def test_expected_sources_are_not_our_own(shared_lab, wall, family):
    """Neighbours of the other uplink come by this one; the gateway itself does not."""
    wall.up(allow=OPEN_PORT, expected_sources=["192.168.2.0/24", "2001:db8:2::/64"])
    first, second = shared_lab.uplinks
    there, sent = first.address(family), payload()
    source = {4: second.router4, 6: second.router6}[family]
    with Listener(shared_lab.gateway, PORT) as server, uplink_wire(shared_lab, first) as wire:
        wire.send(ip(source, there) / UDP(sport=4000, dport=PORT) / sent)
        assert server.wait(sent) == source
    refused(shared_lab, wall, uplink_wire(shared_lab, first), second.address(family), there)


@FAMILIES
def test_errors_of_private_routers(shared_lab, wall, family):
    """A router within a provider has a private address, and what it says of an open connection counts."""
    wall.up(allow=OPEN_PORT)
    source = {4: "10.99.0.1", 6: "fd99::1"}[family]
    server = shared_lab.servers(family)[0]
    client = Udp(shared_lab.hosts[0], server)
    with contextlib.closing(client), wall.quiet("spoofed"):
        address, port = client.ask()
        uplink = next(u for u in shared_lab.uplinks if u.address(family) == address)
        about = ip(address, server) / UDP(sport=port, dport=WHO)
        error = ICMP(type=3, code=3) if family == 4 else ICMPv6DestUnreach(code=4)
        with uplink_wire(shared_lab, uplink) as wire:
            wire.send(ip(source, address) / error / about)
        with pytest.raises(ConnectionRefusedError):
            client.socket.recv(10)


@FAMILIES
def test_false_sources_to_the_lan(shared_lab, wall, family):
    """They are stopped before they are anybody's."""
    wall.up(allow=OPEN_PORT)
    host, uplink = shared_lab.hosts[0], shared_lab.uplinks[0]
    there = host.address4 if family == 4 else host.address6
    source = {4: "10.1.2.3", 6: "fd12::1"}[family]
    with uplink_wire(shared_lab, uplink) as wire, wall.counted("spoofed"), wall.quiet("forward"):
        wire.send(ip(source, there) / UDP(sport=4000, dport=PORT) / payload())


def test_tcp_from_a_false_source(shared_lab, wall):
    """The internet's own addresses behind the providers are of 100.64.0.0/10 here."""
    wall.up(allow=[{"service": ["7000/tcp"], "from": ["uplinks"]}])
    there = shared_lab.uplinks[0].address4
    with wall.counted("spoofed"):
        assert tcp(shared_lab.internet, there, WHO, patience=PATIENCE) == SILENT
    assert tcp(shared_lab.internet, there, WHO, OUTSIDE[4]) == OPEN
