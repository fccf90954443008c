# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections from outside are answered by the uplink they came in by."""

import contextlib
import socket

import pytest
from lab import Balancer, Config, ping
from lab.clients import tcp_seen
from lab.servers import CLOSED, WHO

LAB = {"hosts": 2, "uplinks": 3}
OUTSIDE = {4: "198.51.100.77", 6: "2001:db8:ff::77"}

FORWARD = """
table inet forwards {
    chain prerouting {
        type nat hook prerouting priority dstnat;
        iifname { "eth1", "eth2", "eth3" } meta nfproto ipv4 meta l4proto { tcp, udp } \
            th dport { 8000, 8999 } dnat ip to 192.168.0.10 : th dport map { 8000 : 7000, 8999 : 7999 }
        iifname { "eth1", "eth2", "eth3" } meta nfproto ipv6 meta l4proto { tcp, udp } \
            th dport { 8000, 8999 } dnat ip6 to 2001:db8:a::10 : th dport map { 8000 : 7000, 8999 : 7999 }
    }
}"""


@pytest.fixture(scope="module", autouse=True)
def balancer(linkbal, shared_lab):
    shared_lab.gateway.nft(FORWARD.replace("\\\n", " "))
    shared_lab.serve(shared_lab.gateway, *(u.address(f) for u in shared_lab.uplinks for f in (4, 6)))
    shared_lab.serve(shared_lab.hosts[0], "192.168.0.10", "2001:db8:a::10")
    balancer = Balancer(shared_lab, linkbal)
    balancer.up(Config(shared_lab))
    yield balancer
    assert shared_lab.spoofed() == 0, "an answer left by another link"


def udp(lab, family, address, port):
    """A connected UDP socket of the internet."""
    with lab.internet.entered():
        client = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    client.bind((OUTSIDE[family], 0))
    client.connect((address, port))
    client.settimeout(5)
    return contextlib.closing(client)


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("port", [WHO, 8000], ids=["to the gateway", "forwarded"])
def test_tcp(shared_lab, family, port):
    with shared_lab.internet.entered():
        for uplink in shared_lab.uplinks * 5:
            seen = tcp_seen(uplink.address(family), source=OUTSIDE[family], port=port)
            assert seen == OUTSIDE[family], "the server has to see the client's own address"


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("port", [WHO, 8000], ids=["to the gateway", "forwarded"])
def test_udp(shared_lab, family, port):
    for uplink in shared_lab.uplinks * 3:
        with udp(shared_lab, family, uplink.address(family), port) as client:
            for size in (10, 4000, 10):
                client.send(bytes(size))
                line, _, echo = client.recv(9000).partition(b"\n")
                assert line.split()[0].decode() == OUTSIDE[family] and len(echo) == size


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("port", [CLOSED, 8999], ids=["to the gateway", "forwarded"])
def test_port_unreachable_goes_back_the_same_way(shared_lab, family, port):
    for uplink in shared_lab.uplinks:
        with udp(shared_lab, family, uplink.address(family), port) as client:
            client.send(b"anyone?")
            with pytest.raises(ConnectionRefusedError):
                client.recv(10)


@pytest.mark.parametrize("family", [4, 6])
def test_ping_of_every_uplink_address(shared_lab, family):
    addresses = [u.address(family) for u in shared_lab.uplinks]
    assert len(ping([shared_lab.internet], addresses)) == len(addresses)
