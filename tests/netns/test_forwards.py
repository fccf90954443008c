# SPDX-License-Identifier: GPL-2.0-or-later
"""[[forward]]: connections from outside to hosts of the LAN, with and without [firewall] (S13)."""

import contextlib
import os
import socket

import pytest
from lab import waituntil
from lab.clients import tcp_seen
from lab.fast import Fast, Watch, endpoint
from lab.firewall import Firewall
from lab.raw import UDP, ip, uplink_wire
from lab.reach import OPEN, OUTSIDE, PATIENCE, REFUSED, Listener, payload, pings, tcp, udp
from lab.servers import BUSY, WHO

LAB = {"hosts": 2, "uplinks": 2}
FAMILIES = pytest.mark.parametrize("family", [4, 6])
ELSEWHERE = {4: "203.0.113.9", 6: "2001:db8:fe:1::1"}
NETWORKS = {4: "203.0.113.0/24", 6: "2001:db8:fe::/48"}
HOST = {4: "192.168.0.10", 6: "2001:db8:a::10"}
SECOND = {4: "192.168.0.11", 6: "2001:db8:a::11"}
PORT, SHUT = 8000, 8999


class Forwards(Firewall):
    """With [firewall] or without."""

    def __init__(self, lab, path, walled):
        super().__init__(lab, path)
        self.walled = walled

    def forward(self, *forwards):
        config = self.configured(forward=forwards)
        if not self.walled:
            del config.sections["firewall"]
        self.up(config)


@pytest.fixture(scope="module", params=[True, False], ids=["firewall", "alone"])
def forwards(request, linkbal, shared_lab):
    lab = shared_lab
    if not hasattr(lab, "served"):
        lab.served = True
        lab.serve(lab.hosts[0], *HOST.values())
        lab.serve(lab.hosts[1], *SECOND.values())
    yield Forwards(lab, linkbal, request.param)
    assert lab.spoofed() == 0, "an answer left by another link"


def target(address, port=None):
    return endpoint(address, port) if port else address


def both(**keys):
    """A forward in each family to the first host; `to_port` is not a key of the file."""
    port = keys.pop("to_port", WHO)
    return [{"port": PORT, "to": target(HOST[f], port), **keys} for f in (4, 6)]


def closed(reach, lab, address, port, source):
    """Nobody there: the gateway itself refuses, or its firewall says nothing."""
    answer = reach(lab.internet, address, port, source, PATIENCE)
    if reach is udp:  # leaves an entry for 30 s, by which all goes that comes from the same port again
        lab.gateway.run("conntrack", "-D", "-p", "udp", "-s", source, "--orig-port-dst", port, check=False)
    return answer != OPEN


# From outside

@FAMILIES
@pytest.mark.parametrize("protocol", ["tcp", "udp", ["tcp", "udp"]], ids=str)
def test_protocols(shared_lab, forwards, family, protocol):
    """By every uplink, again and again; the server sees who it is, and the answers find back."""
    forwards.forward(*both(protocol=protocol))
    for name, reach in (("tcp", tcp), ("udp", udp)):
        for uplink in shared_lab.uplinks * 4:
            there = uplink.address(family)
            if name in protocol:
                assert reach(shared_lab.internet, there, PORT, OUTSIDE[family]) == OPEN
            else:
                assert closed(reach, shared_lab, there, PORT, OUTSIDE[family])
                break


@FAMILIES
def test_the_clients_address_is_kept(shared_lab, forwards, family):
    forwards.forward(*both())
    for uplink in shared_lab.uplinks * 4:
        with shared_lab.internet.entered():
            assert tcp_seen(uplink.address(family), OUTSIDE[family], port=PORT) == OUTSIDE[family]


@FAMILIES
def test_the_same_port(shared_lab, forwards, family):
    forwards.forward(*both(port=WHO, to_port=None))
    for uplink in shared_lab.uplinks:
        assert tcp(shared_lab.internet, uplink.address(family), WHO, OUTSIDE[family]) == OPEN
        assert closed(tcp, shared_lab, uplink.address(family), BUSY, OUTSIDE[family])


@FAMILIES
@pytest.mark.parametrize("first", [WHO, 8000], ids=["same ports", "shifted"])
def test_range(shared_lab, forwards, family, first):
    """8000 to 7000, 8001 to 7001, and so on; both ends are in it."""
    ports = f"{first}-{first + 2}"
    forwards.forward(*both(port=ports, to_port=None if first == WHO else WHO, protocol=["tcp", "udp"]))
    for uplink in shared_lab.uplinks:
        there = uplink.address(family)
        for _ in range(3):
            with shared_lab.internet.entered():
                assert tcp_seen(there, OUTSIDE[family], port=first) == OUTSIDE[family]
                assert tcp_seen(there, OUTSIDE[family], port=first + 2) == OUTSIDE[family]
            assert udp(shared_lab.internet, there, first, OUTSIDE[family]) == OPEN
            assert tcp(shared_lab.internet, there, first + 1, OUTSIDE[family]) == REFUSED
        for port in (first - 1, first + 3):
            assert closed(tcp, shared_lab, there, port, OUTSIDE[family])


@FAMILIES
def test_each_port_of_a_range_keeps_its_place(shared_lab, forwards, family):
    forwards.forward(*both(port="9000-9009", to_port=9500, protocol="udp"))
    there = shared_lab.uplinks[1].address(family)
    for n in range(10):
        with Listener(shared_lab.hosts[0], 9500 + n) as server:
            sent = payload()
            client = connected(shared_lab, family, there, 9000 + n)
            with contextlib.closing(client):
                client.send(sent)
                assert server.wait(sent) == OUTSIDE[family]


def connected(lab, family, there, port):
    with lab.internet.entered():
        client = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    client.bind((OUTSIDE[family], 0))
    client.connect((there, port))
    client.settimeout(5)
    return client


@FAMILIES
def test_named_uplink_only(shared_lab, forwards, family):
    forwards.forward(*both(uplinks=["velox2"], protocol=["tcp", "udp"]))
    first, second = (u.address(family) for u in shared_lab.uplinks)
    for reach in (tcp, udp):
        assert reach(shared_lab.internet, second, PORT, OUTSIDE[family]) == OPEN
        assert closed(reach, shared_lab, first, PORT, OUTSIDE[family])
        assert reach(shared_lab.hosts[1], second, PORT) == OPEN
        assert reach(shared_lab.hosts[1], first, PORT, patience=PATIENCE) != OPEN


@FAMILIES
def test_one_port_to_another_host_by_each_uplink(shared_lab, forwards, family):
    forwards.forward({"port": PORT, "to": target(HOST[family], WHO), "uplinks": ["velox1"]},
                     {"port": PORT, "to": target(SECOND[family], 7100), "uplinks": ["velox2"]})
    first, second = (u.address(family) for u in shared_lab.uplinks)
    assert tcp(shared_lab.internet, second, PORT, OUTSIDE[family]) == REFUSED
    with Listener(shared_lab.hosts[1], 7100):
        assert tcp(shared_lab.internet, second, PORT, OUTSIDE[family]) == OPEN
    assert tcp(shared_lab.internet, first, PORT, OUTSIDE[family]) == OPEN
    for host in shared_lab.hosts:
        assert tcp(host, first, PORT) == OPEN
        assert tcp(host, second, PORT) == REFUSED, "the same for the LAN"


@FAMILIES
def test_from_some_networks_only(shared_lab, forwards, family):
    forwards.forward({"port": PORT, "to": target(HOST[family], WHO), "from": [NETWORKS[family]],
                      "protocol": ["tcp", "udp"]})
    for uplink in shared_lab.uplinks:
        for reach in (tcp, udp):
            assert reach(shared_lab.internet, uplink.address(family), PORT, ELSEWHERE[family]) == OPEN
            assert closed(reach, shared_lab, uplink.address(family), PORT, OUTSIDE[family])


@FAMILIES
def test_fragments(shared_lab, forwards, family):
    """The first packet too: what is forwarded is not for the gateway itself."""
    forwards.forward(*both(protocol="udp"))
    for uplink in shared_lab.uplinks:
        client = connected(shared_lab, family, uplink.address(family), PORT)
        with contextlib.closing(client):
            for size in (4000, 10, 6000):
                client.send(bytes(size))
                assert len(client.recv(9000).partition(b"\n")[2]) == size


@FAMILIES
def test_a_closed_port_says_so(shared_lab, forwards, family):
    forwards.forward(*both(port=SHUT, to_port=7999, protocol=["tcp", "udp"]))
    for uplink in shared_lab.uplinks:
        for reach in (tcp, udp):
            assert reach(shared_lab.internet, uplink.address(family), SHUT, OUTSIDE[family]) == REFUSED


@FAMILIES
def test_nothing_else_comes_in(shared_lab, forwards, family):
    """A forward opens its port, and neither the host nor the gateway."""
    forwards.forward(*both())
    there = shared_lab.uplinks[0].address(family)
    with Listener(shared_lab.gateway, PORT), Listener(shared_lab.gateway, 7100):
        with shared_lab.internet.entered():
            assert tcp_seen(there, OUTSIDE[family], port=PORT) == OUTSIDE[family], "the host's server"
        if forwards.walled:
            assert closed(tcp, shared_lab, there, 7100, OUTSIDE[family])
            assert not pings(shared_lab.internet, there, OUTSIDE[family], PATIENCE)


@FAMILIES
def test_false_sources(linkbal, lab, family):
    forwards = Forwards(lab, linkbal, walled=True)
    forwards.forward(*both(protocol="udp", to_port=7100))
    uplink, sent = lab.uplinks[0], payload()
    source = {4: "10.1.2.3", 6: "fd12::1"}[family]
    with Listener(lab.hosts[0], 7100) as server, uplink_wire(lab, uplink) as wire:
        with forwards.counted("spoofed"):
            wire.send(ip(source, uplink.address(family)) / UDP(sport=4000, dport=PORT) / sent)
        wire.send(ip(OUTSIDE[family], uplink.address(family)) / UDP(sport=4000, dport=PORT) / b"known")
        server.wait(b"known")
        assert not server.got(sent)


# From the LAN

@FAMILIES
def test_hairpin(shared_lab, forwards, family):
    """Hosts of the LAN use the same addresses as everybody; the target itself, too."""
    forwards.forward(*both(protocol=["tcp", "udp"]))
    for host in reversed(shared_lab.hosts):
        for uplink in shared_lab.uplinks:
            for reach in (tcp, udp):
                assert reach(host, uplink.address(family), PORT) == OPEN


@FAMILIES
def test_no_hairpin(shared_lab, forwards, family):
    forwards.forward(*both(hairpin=False))
    for uplink in shared_lab.uplinks:
        assert tcp(shared_lab.internet, uplink.address(family), PORT, OUTSIDE[family]) == OPEN
        assert tcp(shared_lab.hosts[1], uplink.address(family), PORT, patience=PATIENCE) != OPEN


@FAMILIES
def test_the_same_port_elsewhere_is_not_ours(shared_lab, forwards, family):
    """The LAN's connections to the internet, and the gateway's, go where they are meant to go."""
    forwards.forward(*both(port=WHO, to_port=7999, protocol=["tcp", "udp"]))
    addresses = {u.address(family) for u in shared_lab.uplinks}
    for space in (*shared_lab.hosts, shared_lab.gateway):
        for server in shared_lab.servers(family)[:3]:
            with space.entered():
                assert tcp_seen(server, port=WHO) in addresses
            assert udp(space, server, WHO) == OPEN


@FAMILIES
def test_hosts_reach_each_other_as_before(shared_lab, forwards, family):
    forwards.forward(*both())
    with shared_lab.hosts[1].entered():
        assert tcp_seen(HOST[family], port=WHO) == SECOND[family]


# Changes

@FAMILIES
def test_a_removed_forward(shared_lab, forwards, family):
    """It takes no new connections, and leaves those that are open alone."""
    forwards.forward(*both(to_port=BUSY))
    there = shared_lab.uplinks[1].address(family)
    with shared_lab.internet.entered():
        client = socket.create_connection((there, PORT), 5, (OUTSIDE[family], 0))
    with client, client.makefile("rb") as lines:
        lines.readline()
        forwards.forward()
        for uplink in shared_lab.uplinks:
            assert closed(tcp, shared_lab, uplink.address(family), PORT, OUTSIDE[family])
            assert tcp(shared_lab.hosts[1], uplink.address(family), PORT, patience=PATIENCE) != OPEN
        client.sendall(b"still\n")
        assert lines.readline() == b"still\n"
        forwards.forward(*both(port=PORT + 1))
        assert tcp(shared_lab.internet, there, PORT + 1, OUTSIDE[family]) == OPEN
        client.sendall(b"again\n")
        assert lines.readline() == b"again\n"


# With the fast path

SIZE = 2_000_000


@pytest.mark.parametrize("walled", [True, False], ids=["firewall", "alone"])
@pytest.mark.parametrize("mode", ["tc", "xdp"])
def test_bulk_is_the_fast_paths(linkbal, lab, mode, walled):
    """In both directions, by the uplink that it came by; the kernel sees renewals only."""
    lab.serve(lab.hosts[0])
    fast = Fast(lab, mode, linkbal)
    sections = {"forward": both(to_port=BUSY), **({"firewall": {}} if walled else {})}
    fast.up(fast.configured(sections=sections))
    for family in (4, 6):
        for uplink in lab.uplinks:
            with lab.internet.entered():
                client = socket.create_connection((uplink.address(family), PORT), 10, (OUTSIDE[family], 0))
            with client, client.makefile("rb") as lines:
                lines.readline()
                echoed_in_bulk(fast, uplink, client, lines)
    assert lab.spoofed() == 0


def echoed_in_bulk(fast, uplink, client, lines):
    source = endpoint(*client.getsockname()[:2])

    def taken():
        client.sendall(b"hello\n")
        assert lines.readline() == b"hello\n"
        return fast.offloaded(source)
    assert waituntil(taken, 5)["uplink"] == uplink.name
    data, before = os.urandom(SIZE), fast.counts()["hits"]
    with Watch(fast.lab.gateway, f"tcp dport {BUSY}") as there, \
            Watch(fast.lab.gateway, f"tcp sport {BUSY}") as back:
        for start in range(0, SIZE, 50000):
            client.sendall(data[start:start + 50000])
            assert lines.read(50000) == data[start:start + 50000]
    assert there.last < 30 and back.last < 30
    assert fast.counts()["hits"] - before > 60
