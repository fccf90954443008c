# SPDX-License-Identifier: GPL-2.0-or-later
"""`uplink NAME drain|resume|weight N`, with a daemon and without (P13): no open connection moves."""

import contextlib

import pytest
from lab import Config, differences, snapshot, tcp_who, waituntil
from lab.busy import Busy
from lab.clients import TWICE
from lab.daemon import Daemon
from lab.failures import SilentGateway
from lab.steady import Steady

LAB = {"hosts": 2, "uplinks": 2}
HEALTH = {"interval": "100ms", "timeout": "200ms", "down_after": 3, "up_after": 3}


def config(lab):
    return Config(lab, sections={"health": HEALTH})


@pytest.fixture(params=["with a daemon", "without a daemon"])
def gateway(lab, balancer, request):
    """The balancer, at work."""
    with contextlib.ExitStack() as stack:
        if request.param == "with a daemon":
            stack.enter_context(Daemon(balancer, config(lab)))
        else:
            balancer.up(config(lab))
        yield balancer


def command(balancer, *words):
    done = balancer.run("uplink", *words)
    assert done.returncode == 0, done
    return done


def status(balancer):
    return {u["name"]: u for u in balancer.json("status")["uplinks"]}


def shares(lab, count=200, family=4):
    seen = tcp_who(lab, count, family)
    return [seen[u.address(family)] for u in lab.uplinks]


def test_drain_and_resume(lab, gateway):
    with Busy(lab, 60) as busy, Busy(lab, 60, 6) as busy6, Steady(lab, lab.uplinks[0]) as steady:
        assert not busy.stuck()
        before = busy.by_address()
        command(gateway, "velox1", "drain")
        assert status(gateway)["velox1"]["state"] == "draining"
        assert status(gateway)["velox2"]["state"] == "up"
        for family in (4, 6):
            assert shares(lab, 100, family) == [0, 100]
        assert not busy.stuck() and not busy6.stuck()
        command(gateway, "velox1", "resume")
        assert status(gateway)["velox1"]["state"] == "up"
        for family in (4, 6):
            assert shares(lab, 200, family) == [pytest.approx(100, abs=22)] * 2
        assert not busy.stuck() and not busy6.stuck()
        assert busy.by_address() == before
        assert steady.lost() == 0


def test_weight(lab, gateway):
    with Busy(lab, 60) as busy, Steady(lab, lab.uplinks[1]) as steady:
        assert not busy.stuck()
        for weight, expected in ((3, 150), (1, 100), (9, 180)):
            command(gateway, "velox1", "weight", weight)
            assert status(gateway)["velox1"]["weight"] == weight
            for family in (4, 6):
                assert shares(lab, 200, family)[0] == pytest.approx(expected, abs=22)
        assert not busy.stuck()
        assert steady.lost() == 0


def test_twice_is_once(lab, gateway):
    command(gateway, "velox1", "drain")
    command(gateway, "velox1", "drain")
    assert shares(lab, 20) == [0, 20]
    command(gateway, "velox1", "resume")
    command(gateway, "velox1", "resume")
    assert min(shares(lab, TWICE)) > 0


def test_wrong_words(lab, gateway):
    """Exit 2 and one line that says what was expected; nothing is changed."""
    before = snapshot(lab)
    for words in (["velox9", "drain"], ["velox1", "weight", "0"], ["velox1", "weight", "1001"],
                  ["velox1", "weight", "many"], ["velox1", "wait"], ["velox1"], []):
        done = gateway.run("uplink", *words)
        assert done.returncode in (1, 2) and done.stderr.strip(), (words, done)
    assert "velox9" in gateway.run("uplink", "velox9", "drain").stderr
    assert not differences(before, snapshot(lab))
    assert min(shares(lab, TWICE)) > 0


def test_draining_is_kept_over_a_takeover(lab, balancer):
    """What was drained stays drained when the daemon starts, is killed and starts again."""
    balancer.up(config(lab))
    command(balancer, "velox1", "drain")
    with Daemon(balancer) as daemon:
        assert daemon.states() == {"velox1": "draining", "velox2": "up"}
        assert shares(lab, 40) == [0, 40]
        daemon.kill()
    assert shares(lab, 40) == [0, 40]
    with Daemon(balancer) as daemon:
        assert daemon.states() == {"velox1": "draining", "velox2": "up"}
        command(balancer, "velox1", "resume")
        assert min(shares(lab, TWICE)) > 0


def test_draining_and_dead(lab, balancer):
    """A drained link that fails is down; when it is back it is draining still."""
    with Daemon(balancer, config(lab)) as daemon:
        daemon.probed()
        command(balancer, "velox1", "drain")
        with SilentGateway(lab, lab.uplinks[0]):
            daemon.wait("velox1", "down")
        daemon.wait("velox1", "draining")
        assert shares(lab, 40) == [0, 40]
        command(balancer, "velox1", "resume")
        daemon.wait("velox1", "up")
        waituntil(lambda: min(shares(lab, TWICE)) > 0, what="both links")


def test_down_after_a_drain(lab, gateway):
    command(gateway, "velox1", "drain")
    command(gateway, "velox2", "weight", 7)
    gateway.down()
    gateway.up(config(lab))
    assert min(shares(lab, TWICE)) > 0
    assert status(gateway)["velox2"]["weight"] == 1
    assert status(gateway)["velox1"]["state"] == "up"
