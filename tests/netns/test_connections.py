# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever belongs to a connection follows it: fragments, errors, everything later (S1, S8)."""

import errno
import socket

import pytest
from lab import Balancer, Config, tcp_who, waituntil
from lab.clients import Udp, tcp_seen
from lab.servers import CLOSED

LAB = {"hosts": 2, "uplinks": 2}
IP_MTU_DISCOVER, IP_PMTUDISC_DO = 10, 2


@pytest.fixture(scope="module", autouse=True)
def balancer(linkbal, shared_lab):
    balancer = Balancer(shared_lab, linkbal)
    balancer.up(Config(shared_lab))
    yield balancer
    assert shared_lab.spoofed() == 0


def connections(lab, family, count=12):
    """UDP connections of one host, those of both uplinks among them."""
    made = [Udp(lab.hosts[0], lab.servers(family)[n % 4]) for n in range(count)]
    assert len({c.ask()[0] for c in made}) == 2
    return made


@pytest.mark.parametrize("family", [4, 6])
def test_a_connection_keeps_its_uplink_and_port(shared_lab, family):
    made = connections(shared_lab, family)
    first = [c.ask() for c in made]
    for _ in range(20):
        assert [c.ask() for c in made] == first


@pytest.mark.parametrize("family", [4, 6])
def test_fragments_keep_their_uplink_and_are_answered(shared_lab, family):
    for client in connections(shared_lab, family):
        small = client.ask(10)
        assert [client.ask(size) for size in (4000, 10, 9000, 1473, 10)] == [small] * 5


@pytest.mark.parametrize("family", [4, 6])
def test_a_connection_may_begin_with_fragments(shared_lab, family):
    seen = set()
    for n in range(40):
        # Without ports the addresses decide: each pair of them once.
        client = Udp(shared_lab.hosts[n // 20], shared_lab.servers(family)[n % 20])
        large = client.ask(5000)
        assert client.ask(10) == large
        seen.add(large[0])
    assert len(seen) == 2


@pytest.mark.parametrize("family", [4, 6])
def test_port_unreachable_comes_back(shared_lab, family):
    """An ICMP error is RELATED: it finds the client through either uplink."""
    for n in range(10):
        client = Udp(shared_lab.hosts[n % 2], shared_lab.servers(family)[n], CLOSED)
        client.socket.send(b"anyone?")
        with pytest.raises(ConnectionRefusedError):
            client.socket.recv(10)


@pytest.mark.parametrize("family", [4, 6])
def test_connection_refused_comes_back(shared_lab, family):
    for server in shared_lab.servers(family)[:10]:
        with shared_lab.hosts[0].entered(), pytest.raises(ConnectionRefusedError):
            tcp_seen(server, port=CLOSED)


def test_fragmentation_needed_comes_back(shared_lab):
    """A narrow provider tells the client; both providers are narrow in turn."""
    for uplink in shared_lab.uplinks:
        uplink.router.run("ip", "link", "set", "internet", "mtu", "1300")
    try:
        for server in shared_lab.servers()[10:14]:
            client = Udp(shared_lab.hosts[1], server)
            client.socket.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
            client.ask()
            client.socket.send(bytes(1400))
            waituntil(lambda c=client: _too_long(c.socket), 5, "the path's MTU is known")
            client.close()
    finally:
        for uplink in shared_lab.uplinks:
            uplink.router.run("ip", "link", "set", "internet", "mtu", "1500")


def _too_long(client):
    try:
        client.send(bytes(1400))
    except OSError as error:
        return error.errno == errno.EMSGSIZE
    return False


@pytest.mark.parametrize("family", [4, 6])
def test_a_router_on_the_way_can_be_seen(shared_lab, family):
    """Time exceeded from the provider, as traceroute uses it."""
    level, hops = ((socket.IPPROTO_IP, socket.IP_TTL) if family == 4
                   else (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS))
    recverr, queue = (11, 0x2000) if family == 4 else (25, 0x2000)
    for server in shared_lab.servers(family):
        client = Udp(shared_lab.hosts[0], server)
        client.socket.setsockopt(level, hops, 2)
        client.socket.setsockopt(level, recverr, 1)
        client.socket.send(b"how far?")
        with pytest.raises(OSError, match="No route to host"):
            client.socket.recv(10)
        _, control, _, _ = client.socket.recvmsg(100, 500, queue)
        offender = control[0][2][16:]
        routers = [u.router4 if family == 4 else u.router6 for u in shared_lab.uplinks]
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        address = offender[4:8] if family == 4 else offender[8:24]
        assert socket.inet_ntop(kind, address) in routers


def test_two_clients_with_the_same_port(shared_lab):
    """Masquerade finds another port where one is taken; nobody gets the other's answers."""
    server, made = shared_lab.servers()[5], []
    for host in shared_lab.hosts:
        with host.entered():
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.bind(("0.0.0.0", 5555))
        client.settimeout(5)
        client.sendto(host.name.encode(), (server, 7000))
        assert client.recv(100).split(b"\n")[1] == host.name.encode()
        made.append(client)
    for client in made:
        client.close()


@pytest.mark.parametrize("family", [4, 6])
def test_header_options_are_no_obstacle(shared_lab, family):
    """IPv4 options, and an IPv6 extension header in front of the ports."""
    level, option, value = ((socket.IPPROTO_IP, socket.IP_OPTIONS, b"\x01" * 4) if family == 4 else
                            (socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, bytes([0, 0, 1, 4, 0, 0, 0, 0])))
    seen = set()
    for n in range(30):
        client = Udp(shared_lab.hosts[n % 2], shared_lab.servers(family)[n % 20])
        client.socket.setsockopt(level, option, value)
        first = client.ask()
        assert [client.ask(size) for size in (10, 4000, 10)] == [first] * 3
        seen.add(first[0])
    assert len(seen) == 2


@pytest.mark.parametrize("family", [4, 6])
def test_other_protocols_are_balanced(shared_lab, family):
    """Protocol 253 of RFC 3692. Without ports one link can masquerade one client a server."""
    kind = socket.AF_INET if family == 4 else socket.AF_INET6
    prefix = "198.51.100." if family == 4 else "2001:db8:ff::"
    with shared_lab.internet.entered():
        listener = socket.socket(kind, socket.SOCK_RAW, 253)
    listener.settimeout(5)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    for first, host in enumerate(shared_lab.hosts, 1):
        with host.entered(), socket.socket(kind, socket.SOCK_RAW, 253) as sender:
            for n in range(first, 81, len(shared_lab.hosts)):
                sender.sendto(b"experiment", (f"{prefix}{n}", 0))
    seen = [listener.recvfrom(100)[1][0] for _ in range(80)]
    listener.close()
    assert set(seen) == {u.address(family) for u in shared_lab.uplinks}


def test_connections_survive_from_their_first_packet_on(shared_lab):
    assert sum(tcp_who(shared_lab, 500).values()) == 500
