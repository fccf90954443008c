# SPDX-License-Identifier: GPL-2.0-or-later
"""When no link is good: keep trying the last, or tell clients at once; and back by itself."""

import contextlib
import errno
import socket
import time

import pytest
from lab import Config, tcp_who, waituntil
from lab.clients import both_links
from lab.daemon import Daemon
from lab.failures import WAYS, NoEcho, SilentGateway
from lab.steady import Attempts

LAB = {"hosts": 2, "uplinks": 2}
HEALTH = {"interval": "100ms", "timeout": "200ms", "down_after": 3, "up_after": 3}
SERVER = {4: "198.51.100.10", 6: "2001:db8:ff::10"}
UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.ECONNREFUSED)


def config(lab, all_down, **health):
    return Config(lab, sections={"health": {**HEALTH, **health}, "failover": {"all_down": all_down}})


def wait_all(daemon, state):
    for name in ("velox1", "velox2"):
        daemon.wait(name, state)


def connect_error(host, family, timeout=2.0):
    """What a LAN host's connect() says: an errno, None for success, "silence" for nothing."""
    with host.entered():
        client = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6)
    with contextlib.closing(client):
        client.settimeout(timeout)
        try:
            client.connect((SERVER[family], 7000))
        except TimeoutError:
            return "silence"
        except OSError as error:
            return error.errno
    return None


@pytest.mark.parametrize("way", ["carrier", "silent gateway", "deleted", "address"])
def test_unreachable(lab, balancer, way):
    """Clients get an ICMP error at once, in both families; then all links come back."""
    failures = [WAYS[way](lab, uplink) for uplink in lab.uplinks]
    with Daemon(balancer, config(lab, "unreachable")) as daemon:
        daemon.probed()
        for failure in failures:
            failure.fail()
        wait_all(daemon, "down")
        for family in (4, 6):
            waituntil(lambda f=family: connect_error(lab.hosts[0], f) in UNREACHABLE,
                      what=f"IPv{family} clients are told")
        for failure in failures:
            failure.recover()
        wait_all(daemon, "up")
        for family in (4, 6):
            waituntil(lambda f=family: connect_error(lab.hosts[0], f) is None, what="a connection")
            waituntil(lambda f=family: both_links(lab, f), what="both links carry connections")


def test_last(lab, balancer):
    """The link that failed last is tried still: probes may err, and traffic goes on."""
    first, second = lab.uplinks
    with Daemon(balancer, config(lab, "last", passive=False)) as daemon:
        daemon.probed()
        with SilentGateway(lab, first):
            daemon.wait(first.name, "down")
            with NoEcho(lab, second):
                daemon.wait(second.name, "down")
                with Attempts(lab) as attempts, Attempts(lab, 6) as attempts6:
                    since = time.monotonic()
                    assert attempts.recovered(since) == attempts6.recovered(since) == 0
                    assert attempts.seen() == {second.address4}
                    assert attempts6.seen() == {second.address6}
            daemon.wait(second.name, "up")
        daemon.wait(first.name, "up")
        waituntil(lambda: both_links(lab, 4) and both_links(lab, 6), what="both links")


@pytest.mark.parametrize("all_down", ["last", "unreachable"])
@pytest.mark.parametrize("way", ["carrier", "silent gateway"])
def test_back_by_the_first_that_returns(lab, balancer, all_down, way):
    failures = [WAYS[way](lab, uplink) for uplink in lab.uplinks]
    with Daemon(balancer, config(lab, all_down)) as daemon:
        daemon.probed()
        for failure in failures:
            failure.fail()
        wait_all(daemon, "down")
        failures[0].recover()
        daemon.wait("velox1", "up")
        waituntil(lambda: connect_error(lab.hosts[0], 4) is None, what="a connection")
        assert set(tcp_who(lab, 10)) == {"192.168.1.2"}
        failures[1].recover()
        daemon.wait("velox2", "up")
        waituntil(lambda: both_links(lab, 4), what="both links")


@pytest.mark.parametrize("health", [{}, {"targets": list(SERVER.values())}], ids=["gateway", "servers"])
def test_all_dead_from_the_start(lab, balancer, health):
    """The daemon starts, says so, and begins to work as soon as there is a link."""
    failures = [SilentGateway(lab, uplink) for uplink in lab.uplinks]
    for failure in failures:
        failure.fail()
    with Daemon(balancer, config(lab, "unreachable", **health)) as daemon:
        wait_all(daemon, "down")
        for family in (4, 6):
            waituntil(lambda f=family: connect_error(lab.hosts[0], f) in UNREACHABLE,
                      what=f"IPv{family} clients are told")
        for failure in failures:
            failure.recover()
        wait_all(daemon, "up")
        for family in (4, 6):
            waituntil(lambda f=family: both_links(lab, f), what="both links")
