# SPDX-License-Identifier: GPL-2.0-or-later
"""Without [firewall] linkbal lives beside the firewall that is there: whoever runs it decides (P15, S12)."""

import shutil
import time

import pytest
from lab import Balancer, Config, Lab, ping, snapshot, tcp_who, udp_who, waituntil
from lab.busy import Busy
from lab.clients import tcp_seen
from lab.fast import Fast, Stream
from lab.neighbours import Docker, Firewalld, Nftables, Ufw
from lab.reach import OPEN, OUTSIDE, PATIENCE, SILENT, Listener, tcp, udp
from lab.servers import HTTP, WHO
from lab.snapshot import differences

FAMILIES = pytest.mark.parametrize("family", [4, 6])
NEIGHBOURS = {"nftables": Nftables, "ufw": Ufw, "docker": Docker, "firewalld": Firewalld}
LAN_ADDRESS = {4: "192.168.0.1", 6: "2001:db8:a::1"}


def neighbour(lab, name):
    if name in ("ufw", "firewalld"):
        assert shutil.which(name), f"{name} is not there: tools/setup installs it"
    made = NEIGHBOURS[name](lab)
    made.set_up()
    return made


@pytest.fixture(params=NEIGHBOURS)
def theirs(request):
    """A lab with somebody's firewall; linkbal is not up yet."""
    with Lab(hosts=2, uplinks=2) as lab:
        yield neighbour(lab, request.param)


@pytest.fixture(scope="module", params=NEIGHBOURS)
def beside(request, linkbal):
    """The same with linkbal up, for tests that change nothing."""
    with Lab(hosts=2, uplinks=2) as lab:
        theirs = neighbour(lab, request.param)
        lab.serve(lab.gateway, *LAN_ADDRESS.values(), *(u.address(f) for u in lab.uplinks for f in (4, 6)))
        Balancer(lab, linkbal).up(Config(lab))
        yield theirs
        assert lab.spoofed() == 0


@FAMILIES
def test_balancing(beside, family):
    lab = beside.lab
    addresses = {u.address(family) for u in lab.uplinks}
    assert set(tcp_who(lab, 60, family)) == set(udp_who(lab, 60, family)) == addresses
    servers = lab.servers(family)[:5]
    assert len(ping(lab.hosts, servers)) == len(lab.hosts) * len(servers)
    with Busy(lab, 20, family) as busy:
        assert not busy.stuck()


@FAMILIES
def test_the_gateway_is_as_closed_as_before(beside, family):
    """Docker says nothing about the gateway itself."""
    lab = beside.lab
    with Listener(lab.gateway, 22):
        assert tcp(lab.hosts[0], LAN_ADDRESS[family], 22) == OPEN
        for uplink in lab.uplinks:
            for reach in (tcp, udp):
                got = reach(lab.internet, uplink.address(family), WHO, OUTSIDE[family], PATIENCE)
                assert (got == OPEN) == isinstance(beside, Docker)


@FAMILIES
def test_the_lan_is_as_closed_as_before(beside, family):
    lab = beside.lab
    host, first = lab.hosts[0], lab.uplinks[0]
    there = host.address4 if family == 4 else host.address6
    far = {4: "100.64.1.2", 6: "2001:db8:fe:1::2"}[family]
    lab.internet.run("ip", f"-{family}", "route", "replace", there, "via", far)
    first.router.run("ip", f"-{family}", "route", "replace", there, "via", first.address(family))
    with Listener(host, 7100) as server:
        got = udp(lab.internet, there, 7100, OUTSIDE[family], PATIENCE, b"let me in")
        assert got != OPEN and not server.got(b"let me in")


def test_their_rules_are_theirs(linkbal, theirs):
    """Byte by byte, whatever linkbal does; and after `down` everything else is as it was, too."""
    lab = theirs.lab
    before, rules = snapshot(lab), theirs.rules()
    balancer = Balancer(lab, linkbal)
    for config in (Config(lab), Config(lab, {"velox1": 3, "velox2": 1}), Config(lab, datapath='"classify"')):
        balancer.up(config)
        assert theirs.rules() == rules
    assert len(tcp_who(lab, 40)) == 2
    balancer.down()
    assert theirs.rules() == rules
    assert not differences(before, snapshot(lab))


@FAMILIES
@pytest.mark.parametrize("mode", ["tc", "xdp"])
def test_what_they_forbid_ends(linkbal, theirs, mode, family):
    """Also of a flow that is the fast path's, within a lease or two; and goes on when they permit it."""
    lab = theirs.lab
    fast = Fast(lab, mode, linkbal)
    fast.up()
    with Stream(lab, family, rate=100) as stream:
        waituntil(lambda: fast.offloaded(stream.source), 5)
        theirs.forbid()
        forbidden = time.monotonic()
        waituntil(lambda: time.monotonic() - max(stream.back.values()) > 2, 10, "the stream ends")
        assert max(stream.back.values()) - forbidden < 5
        theirs.permit()
        stream.await_echo(10)
        waituntil(lambda: fast.offloaded(stream.source), 5)


def test_they_are_loaded_again(linkbal, theirs):
    """After linkbal: open connections stay, and new ones go by both links."""
    lab = theirs.lab
    Balancer(lab, linkbal).up(Config(lab))
    with Busy(lab, 30) as busy:
        theirs.reload()
        assert len(tcp_who(lab, 60)) == len(udp_who(lab, 60, 6)) == 2
        assert not busy.stuck()
    assert lab.spoofed() == 0


def test_they_come_later(linkbal, lab):
    """A firewall that is put up beside linkbal finds what it would find without."""
    balancer = Balancer(lab, linkbal)
    balancer.up(Config(lab))
    theirs = neighbour(lab, "nftables")
    assert len(tcp_who(lab, 40)) == 2
    rules = theirs.rules()
    balancer.down()
    assert theirs.rules() == rules


# Forwards of linkbal's are subject to their rules

@FAMILIES
def test_forwards_need_their_consent(linkbal, lab, family):
    lab.serve(lab.hosts[0])
    theirs = neighbour(lab, "nftables")
    forward = [{"port": 8000, "to": to} for to in ("192.168.0.10:7000", "[2001:db8:a::10]:7000")]
    Balancer(lab, linkbal).up(Config(lab, sections={"forward": forward}))
    for uplink in lab.uplinks:
        assert tcp(lab.internet, uplink.address(family), 8000, OUTSIDE[family], PATIENCE) == SILENT
    theirs.more = "ct status dnat accept"
    theirs.permit()
    for uplink in lab.uplinks * 3:
        assert tcp(lab.internet, uplink.address(family), 8000, OUTSIDE[family]) == OPEN
    assert lab.spoofed() == 0


# Docker's containers

def test_containers(linkbal, lab):
    """They reach the internet, and their published ports answer by the uplink that was asked."""
    theirs = neighbour(lab, "docker")
    Balancer(lab, linkbal).up(Config(lab))
    with theirs.container.entered():
        for server in lab.servers()[:6]:
            assert lab.nameof(tcp_seen(server))
    for uplink in lab.uplinks * 4:
        assert tcp(lab.internet, uplink.address4, 8080, OUTSIDE[4]) == OPEN
        assert tcp(lab.internet, uplink.address4, HTTP, OUTSIDE[4], PATIENCE) != OPEN
    assert tcp(lab.hosts[0], "192.168.0.1", 8080) == OPEN
    assert lab.spoofed() == 0
