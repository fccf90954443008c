# SPDX-License-Identifier: GPL-2.0-or-later
"""Links that stand by until those before them have failed (P3), and what becomes of their connections."""

import time

import pytest
from lab import Config, tcp_who, waituntil
from lab.busy import Busy
from lab.clients import TWICE
from lab.daemon import Daemon
from lab.failures import WAYS, SilentGateway
from lab.steady import Attempts, Steady

LAB = {"hosts": 2, "uplinks": 3}
HEALTH = {"interval": "100ms", "timeout": "200ms", "down_after": 3, "up_after": 3}
LINKS = {"velox2": {"tier": 2}, "velox3": {"tier": 3}}


def config(lab, links=None, **failover):
    return Config(lab, sections={"health": HEALTH, "failover": failover}, links=links or LINKS)


def used(lab, family=4):
    """Names of the links that new connections take."""
    return {lab.nameof(a) for a in tcp_who(lab, TWICE, family)}


def wait_used(lab, *names):
    for family in (4, 6):
        waituntil(lambda f=family: used(lab, f) == set(names), what=f"IPv{family} by {names}")


@pytest.mark.parametrize("way", ["carrier", "silent gateway"])
def test_the_next_tier_takes_over(lab, balancer, way):
    first, second, _ = (WAYS[way](lab, uplink) for uplink in lab.uplinks)
    with Daemon(balancer, config(lab)) as daemon, Attempts(lab) as attempts:
        daemon.probed()
        assert used(lab) == {"velox1"}
        since = time.monotonic()
        first.fail()
        assert attempts.recovered(since) < 10
        wait_used(lab, "velox2")
        since = time.monotonic()
        second.fail()
        assert attempts.recovered(since) < 10
        wait_used(lab, "velox3")
        assert daemon.wait("velox3", "up")["reason"]
        second.recover()
        daemon.wait("velox2", "up")
        wait_used(lab, "velox2")
        first.recover()
        daemon.wait("velox1", "up")
        wait_used(lab, "velox1")


def test_links_of_a_tier_share(lab, balancer):
    """The tier is in use as long as one of its links is."""
    links = {"velox3": {"tier": 2}}
    with Daemon(balancer, config(lab, links)) as daemon:
        daemon.probed()
        assert used(lab) == {"velox1", "velox2"}
        with SilentGateway(lab, lab.uplinks[0]):
            daemon.wait("velox1", "down")
            wait_used(lab, "velox2")
            with SilentGateway(lab, lab.uplinks[1]):
                daemon.wait("velox2", "down")
                wait_used(lab, "velox3")
        daemon.wait("velox1", "up")
        daemon.wait("velox2", "up")
        wait_used(lab, "velox1", "velox2")


def test_the_gateways_own_traffic_follows(lab, balancer):
    """The preferred default of main is a link that works."""
    def way_out():
        return lab.gateway.output("ip", "route", "get", "198.51.100.10")

    with Daemon(balancer, config(lab)) as daemon:
        daemon.probed()
        assert "dev eth1" in way_out()
        with SilentGateway(lab, lab.uplinks[0]):
            daemon.wait("velox1", "down")
            waituntil(lambda: "dev eth2" in way_out() and "src 192.168.2.2" in way_out(),
                      what="the default follows")
        daemon.wait("velox1", "up")
        waituntil(lambda: "dev eth1" in way_out(), what="the default is back")


@pytest.mark.parametrize("on_return", ["stay", "move"])
def test_on_return(lab, balancer, on_return):
    """Connections of the tier that steps back stay where they are, or are ended."""
    with Daemon(balancer, config(lab, on_return=on_return)) as daemon:
        daemon.probed()
        failure = SilentGateway(lab, lab.uplinks[0])
        failure.fail()
        daemon.wait("velox1", "down")
        wait_used(lab, "velox2")
        with Busy(lab, 20) as busy:
            assert set(busy.by_address()) == {lab.uplinks[1].address4}
            assert not busy.stuck()
            failure.recover()
            daemon.wait("velox1", "up")
            wait_used(lab, "velox1")
            if on_return == "stay":
                assert not busy.stuck()
            else:
                waituntil(lambda: all(isinstance(c.error, ConnectionResetError)
                                      for c in busy.connections), what="they are reset")


def test_standing_by_loses_nothing(lab, balancer):
    """A link that is not in use fails and returns, and nobody notices."""
    with Daemon(balancer, config(lab)) as daemon, Steady(lab, lab.uplinks[0]) as steady, \
            Busy(lab, 20) as busy:
        daemon.probed()
        with SilentGateway(lab, lab.uplinks[1]):
            daemon.wait("velox2", "down")
            assert used(lab) == {"velox1"}
        daemon.wait("velox2", "up")
        assert not busy.stuck()
        assert steady.lost() == 0
