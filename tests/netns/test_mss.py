# SPDX-License-Identifier: GPL-2.0-or-later
"""[[uplink]] mss: the largest segment is cut to what the uplink takes (S16)."""

import contextlib
import http.client
import os

import pytest
from lab import Balancer, Config, tcp_who, waituntil
from lab.fast import Fast
from lab.handshakes import Handshakes
from lab.network import Lab
from lab.reach import OPEN, OUTSIDE, tcp
from lab.servers import HTTP, WHO

LAB = {"hosts": 2, "uplinks": 2}
FAMILIES = pytest.mark.parametrize("family", [4, 6])
UPLINKS = pytest.mark.parametrize("narrow", [0, 1], ids=["the default uplink", "the other one"])
HEADERS = {4: 40, 6: 60}
MTU, SIZE = 1400, 300_000
# What a host is told of its path: it can't hear it.
DEAF = """
table inet deaf {
    chain input {
        type filter hook input priority 0; policy accept;
        icmp type destination-unreachable icmp code frag-needed drop
        icmpv6 type packet-too-big drop
    }
}"""


def narrowed(lab, uplink, mtu=MTU):
    """Both ends of the link; and nobody learns of it by himself."""
    for space, device in ((lab.gateway, uplink.device), (uplink.router, "customer")):
        space.run("ip", "link", "set", device, "mtu", mtu)
    for space in (lab.internet, *lab.hosts):
        space.nft(DEAF)


def transfer(host, server, patience=20):
    """Whether a file arrives in each direction."""
    with host.entered():
        client = http.client.HTTPConnection(server, HTTP, timeout=patience)
        client.connect()
    with contextlib.closing(client):
        try:
            client.request("PUT", "/file", os.urandom(SIZE))
            client.getresponse().read()
            client.request("GET", f"/{SIZE}")
            return len(client.getresponse().read()) == SIZE
        except TimeoutError:
            return False


def by_both(lab, family):
    """New connections go by both uplinks before anything is concluded from those that are seen."""
    waituntil(lambda: len(tcp_who(lab, 20, family)) == 2, what="connections by both uplinks")


def opened(lab, family):
    """Connections that go by both uplinks, of the same two addresses in turn; {uplink name: Handshakes}."""
    by_both(lab, family)
    with contextlib.ExitStack() as stack:
        seen = {u.name: stack.enter_context(Handshakes(u.router, "customer")) for u in lab.uplinks}
        for server in lab.servers(family) * 2:
            assert tcp(lab.hosts[0], server, WHO) == OPEN
    return seen


@FAMILIES
@UPLINKS
def test_transfers_complete(linkbal, lab, family, narrow):
    """By the narrow uplink and by the wide one, in both directions."""
    narrowed(lab, lab.uplinks[narrow])
    Balancer(lab, linkbal).up(Config(lab))
    for n in range(6):
        assert transfer(lab.hosts[n % 2], lab.servers(family)[n]), n
    assert lab.spoofed() == 0


@FAMILIES
def test_without_it_they_do_not(linkbal, lab, family):
    narrowed(lab, lab.uplinks[1])
    Balancer(lab, linkbal).up(Config(lab, {"velox2": 1}, links={"velox2": {"mss": "off"}}))
    assert not any(transfer(lab.hosts[n % 2], lab.servers(family)[n], patience=1) for n in range(4))


@FAMILIES
@UPLINKS
def test_to_the_mtu(linkbal, lab, family, narrow):
    """Both directions by the narrow one; nothing by the other."""
    narrowed(lab, lab.uplinks[narrow])
    Balancer(lab, linkbal).up(Config(lab))
    seen = opened(lab, family)
    for n, uplink in enumerate(lab.uplinks):
        mtu = MTU if n == narrow else 1500
        assert seen[uplink.name].sizes("SYN", family) == {mtu - HEADERS[family]}


@FAMILIES
@UPLINKS
@pytest.mark.parametrize("mss", ["auto", "off", 1200])
def test_answers(linkbal, lab, family, narrow, mss):
    """The SYN-ACK as the LAN gets it: what hosts may send is cut, too, whichever uplink is the default."""
    uplink = lab.uplinks[narrow]
    narrowed(lab, uplink)
    config = Config(lab, {uplink.name: 1}, links={uplink.name: {"mss": mss}})
    Balancer(lab, linkbal).up(config)
    # The server's own route is as wide as the LAN.
    with Handshakes(lab.hosts[0], "eth0") as seen:
        for n in range(4):
            assert tcp(lab.hosts[0], lab.servers(family)[n], WHO) == OPEN
    size = {"auto": MTU - HEADERS[family], "off": 1500 - HEADERS[family], 1200: 1200}[mss]
    assert seen.sizes("SYN-ACK", family) == {size}


@FAMILIES
def test_answers_of_two_uplinks(linkbal, lab, family):
    """Each connection's own uplink decides."""
    narrowed(lab, lab.uplinks[1])
    Balancer(lab, linkbal).up(Config(lab))
    by_both(lab, family)
    with Handshakes(lab.hosts[0], "eth0") as seen:
        for server in lab.servers(family) * 2:
            assert tcp(lab.hosts[0], server, WHO) == OPEN
    assert seen.sizes("SYN-ACK", family) == {1500 - HEADERS[family], MTU - HEADERS[family]}


@FAMILIES
def test_off(linkbal, lab, family):
    narrowed(lab, lab.uplinks[1])
    Balancer(lab, linkbal).up(Config(lab, links={"velox2": {"mss": "off"}}))
    for seen in opened(lab, family).values():
        assert seen.sizes("SYN", family) == {1500 - HEADERS[family]}


@FAMILIES
def test_equal_mtu(linkbal, lab, family):
    """There is nothing to do."""
    Balancer(lab, linkbal).up(Config(lab))
    for seen in opened(lab, family).values():
        assert seen.sizes("SYN", family) == {1500 - HEADERS[family]}
    assert "maxseg" not in lab.gateway.output("nft", "list", "ruleset")


@FAMILIES
def test_number(linkbal, lab, family):
    """The same in both families, whatever the MTU."""
    Balancer(lab, linkbal).up(Config(lab, links={"velox1": {"mss": 1000}}))
    seen = opened(lab, family)
    assert seen["velox1"].sizes("SYN", family) == {1000}
    assert seen["velox2"].sizes("SYN", family) == {1500 - HEADERS[family]}


@FAMILIES
def test_smaller_ones_stay(linkbal, lab, family):
    """A size is never raised: of a host behind something still narrower."""
    Balancer(lab, linkbal).up(Config(lab, links={"velox1": {"mss": 1400}, "velox2": {"mss": 1400}}))
    lab.hosts[0].run("ip", f"-{family}", "route", "change", "default", "via",
                     {4: "192.168.0.1", 6: "2001:db8:a::1"}[family], "dev", "eth0", "advmss", "900")
    for seen in opened(lab, family).values():
        assert seen.sizes("SYN", family) == {900}


@FAMILIES
def test_connections_from_outside(linkbal, lab, family):
    """Forwarded ones are as narrow."""
    narrowed(lab, lab.uplinks[1])
    lab.serve(lab.hosts[0])
    forward = [{"port": WHO, "to": to} for to in ("192.168.0.10", "2001:db8:a::10")]
    Balancer(lab, linkbal).up(Config(lab, sections={"forward": forward}))
    uplink = lab.uplinks[1]
    with Handshakes(lab.hosts[0], "eth0") as inside, Handshakes(uplink.router, "customer") as outside:
        assert tcp(lab.internet, uplink.address(family), WHO, OUTSIDE[family]) == OPEN
    assert inside.sizes("SYN", family) == {MTU - HEADERS[family]}
    assert outside.sizes("SYN-ACK", family) == {MTU - HEADERS[family]}


@pytest.mark.parametrize("mode", ["tc", "xdp"])
def test_with_the_fast_path(linkbal, lab, mode):
    """What it sends by itself is as small."""
    narrowed(lab, lab.uplinks[1])
    fast = Fast(lab, mode, linkbal)
    fast.up()
    for family in (4, 6):
        for n in range(4):
            assert transfer(lab.hosts[n % 2], lab.servers(family)[n])


@FAMILIES
def test_a_device_without_ethernet_header(linkbal, family):
    """As of PPP."""
    with Lab(hosts=1, uplinks=2, tun=(2,)) as lab:
        narrowed(lab, lab.uplinks[1], 1280)
        Balancer(lab, linkbal).up(Config(lab))
        seen = opened(lab, family)
        assert seen["velox2"].sizes("SYN", family) == {1280 - HEADERS[family]}
        for n in range(4):
            assert transfer(lab.hosts[0], lab.servers(family)[n])
