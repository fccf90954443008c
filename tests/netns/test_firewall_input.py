# SPDX-License-Identifier: GPL-2.0-or-later
"""[firewall]: what reaches the gateway itself, from the LAN, from itself, and from outside (S12)."""

import contextlib
import select
import socket

import pytest
from lab import waituntil
from lab.dhcp import lease_from
from lab.fast import Watch
from lab.firewall import Firewall
from lab.raw import (ICMP, IP, TCP, UDP, ICMPv6EchoReply, ICMPv6MLReport, ICMPv6ND_NS, ICMPv6ND_RA,
                     IPv6, IPv6ExtHdrHopByHop, RouterAlert, group_mac, ip, lan_wire, uplink_wire)
from lab.reach import (OPEN, OUTSIDE, PATIENCE, REFUSED, SILENT, Listener, ProtocolListener, payload,
                       pings, send, tcp, udp)
from lab.servers import CLOSED, WHO

LAB = {"hosts": 2, "uplinks": 2}
FAMILIES = pytest.mark.parametrize("family", [4, 6])
LAN_ADDRESS = {4: "192.168.0.1", 6: "2001:db8:a::1"}
# IPv6 counts a /64 as one source.
ELSEWHERE = {4: "203.0.113.9", 6: "2001:db8:fe:1::1"}
NETWORKS = {4: "203.0.113.0/24", 6: "2001:db8:fe::/48"}
SSH = 22


@pytest.fixture(scope="module")
def wall(linkbal, shared_lab):
    shared_lab.serve(shared_lab.gateway, *LAN_ADDRESS.values(),
                     *(u.address(f) for u in shared_lab.uplinks for f in (4, 6)))
    wall = Firewall(shared_lab, linkbal)
    wall.up()
    yield wall
    assert shared_lab.spoofed() == 0


def ssh(**keys):
    return [{"service": ["ssh"], **keys}]


# Who may ping

@FAMILIES
def test_the_lan_pings_every_address_of_the_gateway(shared_lab, wall, family):
    wall.up()
    for address in (LAN_ADDRESS[family], *(u.address(family) for u in shared_lab.uplinks)):
        assert pings(shared_lab.hosts[0], address), address


@FAMILIES
def test_the_internet_does_not(shared_lab, wall, family):
    wall.up()
    for uplink in shared_lab.uplinks:
        with wall.counted("input"):
            assert not pings(shared_lab.internet, uplink.address(family), OUTSIDE[family], PATIENCE)


@FAMILIES
@pytest.mark.parametrize("origins", [["uplinks"], "networks"], ids=str)
def test_the_internet_does_if_configured(shared_lab, wall, family, origins):
    wall.up(ping=list(NETWORKS.values()) if origins == "networks" else origins)
    uplink = shared_lab.uplinks[1]
    assert pings(shared_lab.internet, uplink.address(family), ELSEWHERE[family])
    if origins == "networks":
        assert not pings(shared_lab.internet, uplink.address(family), OUTSIDE[family], PATIENCE)
    else:
        assert pings(shared_lab.internet, uplink.address(family), OUTSIDE[family])
    assert not pings(shared_lab.hosts[0], LAN_ADDRESS[family], patience=PATIENCE), "not listed any more"


@FAMILIES
def test_nobody(shared_lab, wall, family):
    wall.up(ping=[])
    with wall.counted("input"):
        assert not pings(shared_lab.hosts[0], LAN_ADDRESS[family], patience=PATIENCE)


# What nobody has allowed

@FAMILIES
@pytest.mark.parametrize("reach", [tcp, udp], ids=["tcp", "udp"])
def test_servers_of_the_gateway_are_closed(shared_lab, wall, family, reach):
    """There is a server, so that an answer would be seen; and nobody is told that a port is closed."""
    wall.up()
    for port in (WHO, CLOSED):
        with wall.counted("input"):
            assert reach(shared_lab.hosts[0], LAN_ADDRESS[family], port, patience=PATIENCE) == SILENT
        for uplink in shared_lab.uplinks:
            with wall.counted("input"):
                assert reach(shared_lab.internet, uplink.address(family), port, OUTSIDE[family],
                             PATIENCE) == SILENT


@FAMILIES
@pytest.mark.parametrize("reach", [tcp, udp], ids=["tcp", "udp"])
def test_without_the_section_they_are_open(shared_lab, wall, family, reach):
    config = wall.configured()
    del config.sections["firewall"]
    wall.up(config)
    assert wall.counters() == {}
    assert reach(shared_lab.hosts[0], LAN_ADDRESS[family], WHO) == OPEN
    for uplink in shared_lab.uplinks:
        assert reach(shared_lab.internet, uplink.address(family), WHO, OUTSIDE[family]) == OPEN
        assert pings(shared_lab.internet, uplink.address(family), OUTSIDE[family])


# The gateway's own connections

@FAMILIES
def test_the_gateway_opens_connections_itself(shared_lab, wall, family):
    wall.up()
    with wall.quiet("input", "spoofed", "invalid"):
        for server in shared_lab.servers(family)[:4]:
            assert tcp(shared_lab.gateway, server, WHO) == OPEN
            assert udp(shared_lab.gateway, server, WHO, payload=bytes(4000)) == OPEN
            assert pings(shared_lab.gateway, server)
        assert pings(shared_lab.gateway, getattr(shared_lab.hosts[0], f"address{family}"))


@FAMILIES
def test_refusals_reach_the_gateway(shared_lab, wall, family):
    """ICMP errors belong to what they are about."""
    wall.up()
    assert udp(shared_lab.gateway, shared_lab.servers(family)[0], CLOSED) == REFUSED


@FAMILIES
def test_loopback(shared_lab, wall, family):
    wall.up(ping=[])
    own = {4: "127.0.0.1", 6: "::1"}[family]
    with wall.quiet("input", "spoofed", "invalid"):
        assert tcp(shared_lab.gateway, own, WHO) == OPEN
        assert pings(shared_lab.gateway, own)
        for address in (LAN_ADDRESS[family], shared_lab.uplinks[0].address(family)):
            assert tcp(shared_lab.gateway, address, WHO) == OPEN
            assert udp(shared_lab.gateway, address, WHO) == OPEN


# What is allowed

@FAMILIES
def test_ssh_from_the_lan(shared_lab, wall, family):
    wall.up(allow=ssh())
    with Listener(shared_lab.gateway, SSH):
        for address in (LAN_ADDRESS[family], shared_lab.uplinks[1].address(family)):
            assert tcp(shared_lab.hosts[0], address, SSH) == OPEN
        for uplink in shared_lab.uplinks:
            with wall.counted("input"):
                assert tcp(shared_lab.internet, uplink.address(family), SSH, OUTSIDE[family],
                           PATIENCE) == SILENT


@FAMILIES
def test_ssh_from_networks(shared_lab, wall, family):
    wall.up(allow=ssh(**{"from": list(NETWORKS.values())}))
    with Listener(shared_lab.gateway, SSH):
        for uplink in shared_lab.uplinks:
            assert tcp(shared_lab.internet, uplink.address(family), SSH, ELSEWHERE[family]) == OPEN
            with wall.counted("input"):
                assert tcp(shared_lab.internet, uplink.address(family), SSH, OUTSIDE[family],
                           PATIENCE) == SILENT
        with wall.counted("input"):
            assert tcp(shared_lab.hosts[0], LAN_ADDRESS[family], SSH, patience=PATIENCE) == SILENT


@FAMILIES
def test_a_range_in_one_protocol(shared_lab, wall, family):
    wall.up(allow=[{"service": ["6990-7000/udp"], "from": ["uplinks"]}])
    for uplink in shared_lab.uplinks:
        there = uplink.address(family)
        assert udp(shared_lab.internet, there, WHO, OUTSIDE[family]) == OPEN
        assert udp(shared_lab.internet, there, 6990, OUTSIDE[family]) == REFUSED, "let in, but closed"
        for port in (6989, 7001):
            assert udp(shared_lab.internet, there, port, OUTSIDE[family], PATIENCE) == SILENT
        assert tcp(shared_lab.internet, there, WHO, OUTSIDE[family], PATIENCE) == SILENT
    assert udp(shared_lab.hosts[0], LAN_ADDRESS[family], WHO, patience=PATIENCE) == SILENT


@FAMILIES
def test_rate_of_one_source(shared_lab, wall, family):
    """Another source is not affected, nor the LAN, nor what is open."""
    there = shared_lab.uplinks[1].address(family)
    wall.up(allow=ssh(rate="6/hour", **{"from": ["lan", "uplinks"]}))
    with Listener(shared_lab.gateway, SSH):
        assert opened_until_refused(shared_lab, wall, there, OUTSIDE[family]) >= 5
        assert tcp(shared_lab.internet, there, SSH, ELSEWHERE[family]) == OPEN
        for _ in range(25):
            assert tcp(shared_lab.hosts[0], LAN_ADDRESS[family], SSH) == OPEN
        assert tcp(shared_lab.internet, shared_lab.uplinks[0].address(family), SSH, OUTSIDE[family],
                   PATIENCE) == SILENT, "by whatever uplink"


# Protocols without ports: their numbers, and the groups that they are sent to.
PROTOCOLS = {"ah": (51, {}), "esp": (50, {}), "gre": (47, {}), "igmp": (2, {}),
             "ospf": (89, {4: "224.0.0.5", 6: "ff02::5"}), "vrrp": (112, {4: "224.0.0.18", 6: "ff02::12"})}
# What conntrack wants to see: AH that leads to a protocol without ports, GRE of version 0.
HEADS = {"ah": bytes.fromhex("fd04") + bytes(22), "gre": bytes(4)}


@pytest.mark.parametrize(("family", "name"), [
    (family, name) for name in PROTOCOLS for family in (4, 6) if (family, name) != (6, "igmp")])
def test_protocols_without_ports(shared_lab, wall, family, name):
    """From the neighbour at an uplink and from the LAN, to the gateway or to their group."""
    lab, uplink, host = shared_lab, shared_lab.uplinks[0], shared_lab.hosts[0]
    number, groups = PROTOCOLS[name]
    group = groups.get(family)
    router = {4: uplink.router4, 6: link_local(uplink.router, "customer")}[family]
    ways = [(uplink_wire(lab, uplink), router, uplink.address(family))]
    if name != "igmp":  # which the LAN may always send
        source = {4: host.address4, 6: link_local(host, "eth0")}[family]
        ways.append((lan_wire(lab), source, LAN_ADDRESS[family]))

    def send_by(wire, source, there):
        sent = HEADS.get(name, b"") + payload()
        header = {4: {"proto": number}, 6: {"nh": number}}[family]
        wire.send(ip(source, group or there, **header) / sent, group and group_mac(group))
        return sent

    with contextlib.ExitStack() as stack:
        peer = stack.enter_context(ProtocolListener(lab.gateway, family, number, group,
                                                    (uplink.device, lab.lan_device)))
        wires = [(stack.enter_context(wire), *addresses) for wire, *addresses in ways]
        wall.up(allow=[{"service": [s for s in PROTOCOLS if s != name], "from": ["lan", "uplinks"]}])
        for way in wires:
            with wall.counted("input"):
                sent = send_by(*way)
            assert not peer.got(sent)
        wall.up(allow=[{"service": [name], "from": ["lan", "uplinks"]}])
        for way in wires:
            peer.wait(send_by(*way))


def opened_until_refused(lab, wall, there, source):
    """How many connections; the first that is refused is the first that the firewall counts."""
    opened, before = 0, wall.counters()["input"]
    while let_in(lab, wall, there, source, before):
        opened += 1
        assert opened <= 20, "never refused"
    return opened


def let_in(lab, wall, there, source, before):
    with lab.internet.entered():
        client = socket.socket(socket.AF_INET6 if ":" in there else socket.AF_INET)
    with client:
        client.bind((source, 0))
        client.setblocking(False)
        client.connect_ex((there, SSH))

        def answer():
            if select.select([], [client], [], 0.1)[1]:
                return OPEN if client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 else REFUSED
            return SILENT if wall.counters()["input"] > before else None
        return waituntil(answer, what="a connection or a drop") == OPEN


@FAMILIES
@pytest.mark.parametrize("second", ["6/hour", None])
def test_what_is_over_one_limit_another_entry_may_let_in(shared_lab, wall, family, second):
    """What is within a second limit, or has none, wherever it stands; nothing else."""
    there = shared_lab.uplinks[0].address(family)
    lan = {4: "192.168.0.0/24", 6: "2001:db8:a::/64"}[family]
    entries = ssh(rate="6/hour", **{"from": ["uplinks", lan]})
    entries += ssh(**{"from": list(NETWORKS.values())}, **({"rate": second} if second else {}))
    wall.up(allow=entries + ssh())
    with Listener(shared_lab.gateway, SSH):
        assert 5 <= opened_until_refused(shared_lab, wall, there, OUTSIDE[family]) < 10
        unlimited = [(shared_lab.hosts[0], None)]
        if second:
            assert opened_until_refused(shared_lab, wall, there, ELSEWHERE[family]) >= 10
        else:
            unlimited.append((shared_lab.internet, ELSEWHERE[family]))
        with wall.quiet("input"):
            for space, source in unlimited:
                for _ in range(25):
                    assert tcp(space, there, SSH, source) == OPEN


def test_packets_of_one_connection_are_not_limited(shared_lab, wall):
    wall.up(allow=[{"service": [f"{WHO}/udp"], "from": ["uplinks"], "rate": "2/hour"}])
    with wall.quiet("input"), contextlib.closing(open_udp(shared_lab)) as client:
        for _ in range(30):
            client.send(b"again")
            assert client.recv(100)


def open_udp(lab):
    with lab.internet.entered():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind((OUTSIDE[4], 0))
    client.connect((lab.uplinks[0].address4, WHO))
    client.settimeout(5)
    return client


# DHCP

def test_dhcp_from_the_lan(shared_lab, wall):
    wall.up()
    assert lease_from(shared_lab, shared_lab.hosts[1], shared_lab.gateway, "192.168.0.200")


DHCP_PORTS = {4: 67, 6: 547}


@FAMILIES
def test_dhcp_not_from_outside(shared_lab, wall, family):
    wall.up()
    with Listener(shared_lab.gateway, DHCP_PORTS[family]) as server:
        asked = payload()
        send(shared_lab.hosts[0], LAN_ADDRESS[family], DHCP_PORTS[family], asked)
        server.wait(asked)
        asked = payload()
        with wall.counted("input"):
            send(shared_lab.internet, shared_lab.uplinks[0].address(family), DHCP_PORTS[family], asked,
                 OUTSIDE[family])
        assert not server.got(asked)


DHCP_CLIENT_PORTS = {4: 68, 6: 546}


@pytest.mark.parametrize(("family", "source"), [
    (4, None), (6, None), (6, OUTSIDE[6]), (6, "fd00:77::1")], ids=str)
def test_answers_of_the_providers_dhcp_server(shared_lab, wall, family, source):
    """They are nobody's connection: the question went to a broadcast or multicast address."""
    wall.up()
    port, uplink, answer = DHCP_CLIENT_PORTS[family], shared_lab.uplinks[0], payload()
    source = source or {4: uplink.router4, 6: link_local(uplink.router, "customer")}[family]
    there = {4: uplink.address4, 6: link_local(shared_lab.gateway, uplink.device)}[family]
    with Listener(shared_lab.gateway, port) as client, uplink_wire(shared_lab, uplink) as wire:
        wire.send(ip(source, there) / UDP(sport=DHCP_PORTS[family], dport=port) / answer)
        assert client.wait(answer).startswith(source)


@pytest.mark.parametrize(("family", "from_port"), [(4, 1067), (6, DHCP_PORTS[6])])
def test_what_is_no_answer_of_a_dhcp_server(shared_lab, wall, family, from_port):
    """DHCP comes from the server's port; DHCPv6 comes to the link-local address that has asked."""
    wall.up()
    port, uplink, sent = DHCP_CLIENT_PORTS[family], shared_lab.uplinks[0], payload()
    source = {4: uplink.router4, 6: OUTSIDE[6]}[family]
    with Listener(shared_lab.gateway, port) as client, uplink_wire(shared_lab, uplink) as wire:
        with wall.counted("input"):
            wire.send(ip(source, uplink.address(family)) / UDP(sport=from_port, dport=port) / sent)
        assert not client.got(sent)


def link_local(space, device):
    words = space.output("ip", "-6", "-o", "addr", "show", "dev", device, "scope", "link").split()
    return words[words.index("inet6") + 1].split("/")[0]


# What IPv6 and multicast need

@FAMILIES
def test_neighbours_are_found_again(shared_lab, wall, family):
    """Both ways, at the LAN and at the uplinks."""
    wall.up()
    host = shared_lab.hosts[0]
    for _ in range(2):
        for space in (shared_lab.gateway, host, *(u.router for u in shared_lab.uplinks)):
            space.run("ip", f"-{family}", "neigh", "flush", "all")
        assert pings(host, LAN_ADDRESS[family])
        for uplink in shared_lab.uplinks:
            uplink.router.run("ip", f"-{family}", "neigh", "flush", "all")
            assert not pings(uplink.router, uplink.address(family), patience=1), "no answer, but found"
            shown = uplink.router.output("ip", f"-{family}", "neigh", "show", uplink.address(family))
            assert "lladdr" in shown, shown


def heard(lab, match):
    """Packets that have got past the firewall."""
    return Watch(lab.gateway, match, hook="input", priority=50)


def test_duplicate_address_detection_of_others(shared_lab, wall):
    """A neighbour that has no address yet asks from ::, and has to learn that the address is taken."""
    wall.up()
    for wire, address in ((lan_wire(shared_lab), LAN_ADDRESS[6]),
                          (uplink_wire(shared_lab, shared_lab.uplinks[0]), shared_lab.uplinks[0].address6)):
        tail = int(address.rsplit(":", 1)[1], 16)
        group, there = f"ff02::1:ff00:{tail:x}", f"33:33:ff:00:00:{tail:02x}"
        with wire, heard(shared_lab, "icmpv6 type nd-neighbor-solicit ip6 saddr ::") as watch:
            wire.send(IPv6(src="::", dst=group, hlim=255) / ICMPv6ND_NS(tgt=address), there)
            waituntil(watch.packets, 5, address)


def test_router_advertisements_by_the_uplinks(shared_lab, wall):
    wall.up()
    uplink = shared_lab.uplinks[1]
    source = link_local(uplink.router, "customer")
    with uplink_wire(shared_lab, uplink) as wire, heard(shared_lab, "icmpv6 type nd-router-advert") as watch:
        wire.send(IPv6(src=source, dst="ff02::1", hlim=255) / ICMPv6ND_RA(routerlifetime=0),
                  "33:33:00:00:00:01")
        waituntil(watch.packets, 5)


def test_group_membership_from_the_lan(shared_lab, wall):
    wall.up()
    host = shared_lab.hosts[0]
    with lan_wire(shared_lab) as wire:
        with heard(shared_lab, "icmpv6 type mld-listener-report") as watch:
            wire.send(IPv6(src=link_local(host, "eth0"), dst="ff02::2", hlim=1)
                      / IPv6ExtHdrHopByHop(options=[RouterAlert()]) / ICMPv6MLReport(mladdr="ff05::77"),
                      "33:33:00:00:00:02")
            waituntil(watch.packets, 5)
        with heard(shared_lab, "meta l4proto igmp") as watch:
            query = bytes.fromhex("1164ee9b00000000")  # version 2; switches keep reports to themselves
            wire.send(IP(src=host.address4, dst="224.0.0.1", ttl=1, proto=2) / query,
                      "01:00:5e:00:00:01")
            waituntil(watch.packets, 5)


# What nobody should send

@FAMILIES
@pytest.mark.parametrize("flags", ["SF", "", "FPU", "SR"])
def test_invalid_packets(shared_lab, wall, family, flags):
    """To an open port: they are dropped for what they are."""
    wall.up(allow=ssh(**{"from": ["lan", "uplinks"]}))
    uplink, host = shared_lab.uplinks[0], shared_lab.hosts[0]
    ways = ((uplink_wire(shared_lab, uplink), OUTSIDE[family], uplink.address(family)),
            (lan_wire(shared_lab), getattr(host, f"address{family}"), LAN_ADDRESS[family]))
    with Listener(shared_lab.gateway, SSH):
        for wire, source, there in ways:
            with wire, heard(shared_lab, f"tcp dport {SSH}") as watch, wall.counted("invalid"):
                wire.send(ip(source, there) / TCP(sport=40000, dport=SSH, flags=flags))
            assert watch.last == 0


@FAMILIES
def test_answers_that_nobody_asked_for(shared_lab, wall, family):
    """An echo reply out of nowhere belongs to no connection."""
    wall.up()
    uplink = shared_lab.uplinks[0]
    with uplink_wire(shared_lab, uplink) as wire, wall.counted("invalid"):
        reply = ICMP(type=0, id=77) if family == 4 else ICMPv6EchoReply(id=77)
        wire.send(ip(OUTSIDE[family], uplink.address(family)) / reply)
