# SPDX-License-Identifier: GPL-2.0-or-later
"""[helpers]: protocols that open further connections, through a firewall that drops by default (S15)."""

import contextlib
import socket

import pytest
from lab.fast import Watch
from lab.firewall import Firewall
from lab.ftp import ACTIVE, ACTIVE_PORT, PASSIVE, PASSIVE_PASV, FtpServer, fetch
from lab.reach import OUTSIDE
from lab.sip import VOICE, Call
from lab.wait import waituntil

LAB = {"hosts": 2, "uplinks": 2}
FAMILIES = pytest.mark.parametrize("family", [4, 6])
TIMES = 10
MODES = {"EPRT": ACTIVE, "PORT": ACTIVE_PORT, "EPSV": PASSIVE, "PASV": PASSIVE_PASV}
# PORT and PASV know IPv4 addresses only.
USES = [(4, "EPRT"), (4, "PORT"), (4, "EPSV"), (4, "PASV"), (6, "EPRT"), (6, "EPSV")]


@pytest.fixture(scope="module")
def wall(linkbal, shared_lab):
    yield Firewall(shared_lab, linkbal)
    assert shared_lab.spoofed() == 0, "by another link than its address"


@pytest.fixture(scope="module")
def server(shared_lab):
    with FtpServer(shared_lab, shared_lab.internet) as made:
        yield made


def pairs(lab, family):
    """40 of a host and a server. By which link a pair begins is chance: that ten begin by the same happens
    once in 500 times, that all of them do, never."""
    return [(host, there) for there in lab.servers(family) for host in lab.hosts]


# FTP

@pytest.mark.parametrize("family, mode", USES)
def test_ftp(shared_lab, wall, server, family, mode):
    """The server refuses data by another address than the commands': both go by the same link."""
    lab = shared_lab
    wall.up(helpers={"ftp": True})
    with contextlib.ExitStack() as stack:
        links = [stack.enter_context(Watch(u.router, "tcp dport 21")) for u in lab.uplinks]
        stack.enter_context(wall.quiet("input", "forward", "spoofed"))
        for n, (host, there) in enumerate(pairs(lab, family), 1):
            assert fetch(host, there, MODES[mode]) == server.content
            if n >= TIMES and all(link.packets() for link in links):
                return
    pytest.fail("by each link at least once")


@pytest.mark.parametrize("family, mode", USES)
def test_ftp_without_a_helper(shared_lab, wall, server, family, mode):
    """Active: the answer to a private address, or one that the firewall drops. Passive: a connection like
    any other, by one link or the other."""
    wall.up()
    got = [fetch(shared_lab.hosts[n % 2], shared_lab.servers(family)[n], MODES[mode], patience=2)
           for n in range(2 if mode in ("EPRT", "PORT") else TIMES)]
    failed = [g for g in got if g.startswith("failed: ")]
    assert failed
    if mode in ("EPRT", "PORT"):
        assert failed == got


@FAMILIES
@pytest.mark.parametrize("mode", ["EPRT", "EPSV"])
def test_ftp_at_other_ports(shared_lab, wall, server, family, mode):
    """Those that are listed, and those alone."""
    wall.up(helpers={"ftp": [2121]})
    with FtpServer(shared_lab, shared_lab.internet, 2121) as other:
        for n in range(4):
            there = shared_lab.servers(family)[n]
            assert fetch(shared_lab.hosts[0], there, MODES[mode], 2121) == other.content
        assert fetch(shared_lab.hosts[0], there, ACTIVE, patience=2).startswith("failed: ")


@pytest.mark.parametrize("family, mode", USES)
def test_ftp_of_the_gateway_itself(shared_lab, wall, server, family, mode):
    wall.up(helpers={"ftp": True})
    with wall.quiet("input"):
        for there in shared_lab.servers(family)[:3]:
            assert fetch(shared_lab.gateway, there, MODES[mode]) == server.content


@pytest.mark.parametrize("family, mode", USES)
def test_an_ftp_server_of_the_lan(linkbal, lab, family, mode):
    """Forwarded: its data connections use the uplink and the address that the client knows."""
    wall = Firewall(lab, linkbal)
    forward = [{"port": 21, "to": to} for to in ("192.168.0.10", "2001:db8:a::10")]
    wall.up(helpers={"ftp": True}, forward=forward)
    with FtpServer(lab, lab.hosts[0]) as server, wall.quiet("input", "forward", "spoofed"):
        for uplink in lab.uplinks * 4:
            other = next(u for u in lab.uplinks if u is not uplink)
            opened = f"{'ip' if family == 4 else 'ip6'} daddr {OUTSIDE[family]} tcp flags syn"
            with Watch(other.router, opened) as elsewhere:
                got = fetch(lab.internet, uplink.address(family), MODES[mode], source=OUTSIDE[family])
            assert got == server.content and elsewhere.last == 0, uplink.name
    assert lab.spoofed() == 0


def test_ftp_with_the_fast_path(linkbal, lab):
    """Commands stay with the kernel, which reads them; all of them arrive."""
    wall = Firewall(lab, linkbal, datapath='"tc"')
    wall.up(helpers={"ftp": True})
    with FtpServer(lab, lab.internet) as server:
        for n in range(TIMES):
            for mode in MODES.values():
                assert fetch(lab.hosts[n % 2], lab.servers()[n], mode) == server.content
    assert lab.spoofed() == 0


# SIP

@FAMILIES
def test_sip(linkbal, lab, family):
    """Both voices pass the firewall by the call's link, whoever speaks first."""
    host = lab.hosts[0]
    own = host.address4 if family == 4 else host.address6
    Firewall(lab, linkbal).up(helpers={"sip": True})
    for n, there in enumerate(lab.servers(family)[:6]):
        with called(lab, host, own, there) as (call, caller, callee):
            address, port = waituntil(call.told, 15, "the call")
            assert lab.nameof(address), f"{address} is not an uplink's"
            for speaker in ("callee", "caller") if n % 2 else ("caller", "callee"):
                if speaker == "callee":
                    callee.sendto(b"hello", (address, port))
                    assert caller.recvfrom(100)[1][:2] == (there, VOICE)
                else:
                    caller.sendto(b"how are you", (there, VOICE))
                    assert callee.recvfrom(100)[1][:2] == (address, port)
    assert lab.spoofed() == 0


@FAMILIES
def test_sip_without_a_helper(linkbal, lab, family):
    """The callee is told an address of the LAN, and nothing comes through to it."""
    host, there = lab.hosts[0], lab.servers(family)[0]
    own = host.address4 if family == 4 else host.address6
    wall = Firewall(lab, linkbal)
    wall.up()
    with called(lab, host, own, there) as (call, caller, callee):
        assert waituntil(call.told, 15, "the call") == (own, VOICE)
        for uplink in lab.uplinks:
            with wall.counted("input"):
                callee.sendto(b"hello", (uplink.address(family), VOICE))
        caller.setblocking(False)
        with pytest.raises(BlockingIOError):
            caller.recv(100)


@contextlib.contextmanager
def called(lab, host, own, there):
    """A call that lasts, and the sockets of its voices."""
    call = Call(lab, host, own, lab.internet, there)
    with voice(host, own) as caller, voice(lab.internet, there) as callee:
        process = call.begin()
        try:
            yield call, caller, callee
        finally:
            process.kill()
            process.wait()
            call.end()


def voice(space, address):
    with space.entered():
        made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((address, VOICE))
    made.settimeout(5)
    return made
