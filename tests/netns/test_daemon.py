# SPDX-License-Identifier: GPL-2.0-or-later
"""`linkbal run` itself: killed, stopped, reloaded, commanded, watched, and without privileges (N5)."""

import json
import pathlib
import re
import time

import pytest
from lab import Config, differences, snapshot, tcp_who, waituntil
from lab.balancer import ROOT
from lab.busy import Busy
from lab.clients import both_links
from lab.daemon import Daemon
from lab.failures import WAYS, Carrier, SilentGateway
from lab.foreign import settle_in
from lab.steady import Attempts, Steady

LAB = {"hosts": 2, "uplinks": 2}
QUICK = {"interval": "100ms", "timeout": "200ms", "down_after": 3, "up_after": 3}
THREE_TO_ONE = {"velox1": 3, "velox2": 1}


def config(lab, weights=None, **sections):
    return Config(lab, weights, sections={"health": QUICK, **sections})


def kernel_state(lab, balancer):
    """All that a new daemon must find good enough to leave alone."""
    taken = snapshot(lab)
    taken["ids"] = json.dumps(balancer.object_ids(), indent=0)
    taken["buckets"] = str(balancer.bucket_maps())
    return taken


def test_killed_under_load(lab, balancer):
    """Nothing is lost, forwarding goes on, the next one takes over without a change."""
    first, second = lab.uplinks
    with Daemon(balancer, config(lab)) as daemon, Busy(lab, 60) as busy, Busy(lab, 60, 6) as busy6, \
            Steady(lab, first) as one, Steady(lab, second) as two, Steady(lab, second, 6) as six, \
            Attempts(lab) as attempts:
        since = time.monotonic()
        before = kernel_state(lab, balancer)
        daemon.kill()
        assert both_links(lab)
        assert not busy.stuck()
        assert not differences(before, kernel_state(lab, balancer), "run")
        with Daemon(balancer) as successor:
            for name in ("velox1", "velox2"):
                successor.wait(name, "up")
            assert both_links(lab)
            assert not differences(before, kernel_state(lab, balancer), "run")
            assert not busy.stuck() and not busy6.stuck()
            assert attempts.recovered(since) == 0 and attempts.failed(since) == 0
            assert attempts.seen(since) == {first.address4, second.address4}
            assert [s.lost() for s in (one, two, six)] == [0, 0, 0]


def remembers_gateways(lab):
    """Which the next daemon needs, to tell a router that is dead from one that answers no pings."""
    memory = json.loads(pathlib.Path("/run", lab.instance, "state.json").read_text(encoding="utf-8"))
    return all(all(uplink["gateway_answers"]) for uplink in memory["uplinks"])


@pytest.mark.parametrize("gone", ["carrier", "silent gateway"])
def test_successor_finds_a_link_dead(lab, balancer, gone):
    """It failed while nobody watched; or it is dead already, and the successor must not revive it."""
    dead, good = lab.uplinks
    failure = WAYS[gone](lab, dead)
    with Daemon(balancer, config(lab)) as daemon, Steady(lab, good) as steady:
        daemon.probed()
        waituntil(lambda: remembers_gateways(lab), what="it is remembered that the gateways answer")
        daemon.kill()
        failure.fail()
        with Daemon(balancer) as successor:
            successor.wait(dead.name, "down")
            successor.kill()
        assert set(tcp_who(lab, 20)) == {good.address4}
        with Attempts(lab) as attempts, Daemon(balancer) as third:
            third.wait(dead.name, "down")
            attempts.recovered(time.monotonic())
            assert attempts.failed() == 0
            failure.recover()
            third.wait(dead.name, "up")
            waituntil(lambda: both_links(lab), what="both links")
        assert steady.lost() == 0


@pytest.mark.parametrize("ending", ["stopped", "killed"])
@pytest.mark.parametrize("way, family", [("carrier", 4), ("carrier", 6), ("deleted", 6)])
def test_no_daemon_and_a_link_goes(lab, balancer, ending, way, family):
    """The multipath fallback takes over for what is new; the preferred default goes with its link.
    (The kernel drops a whole IPv4 multipath route with the device of one hop: see below.)"""
    dead, good = lab.uplinks
    failure = WAYS[way](lab, dead)
    with Daemon(balancer, config(lab)) as daemon:
        if ending == "stopped":
            assert daemon.stop() == 0, daemon.log
        else:
            daemon.kill()
    with Steady(lab, good, family) as steady, Attempts(lab, family) as attempts:
        since = time.monotonic()
        failure.fail()
        assert attempts.recovered(since) < 10
        later = time.monotonic()
        assert attempts.recovered(later) == 0
        assert attempts.seen(later) == {good.address(family)}
        failure.recover()
        if way == "carrier":
            waituntil(lambda: both_links(lab, family), what="both links again")
        assert steady.lost() == 0


def test_no_daemon_and_an_interface_is_deleted(lab, balancer):
    """What is open on the other link goes on, although main has lost its default route with it."""
    dead, good = lab.uplinks
    with Daemon(balancer, config(lab)) as daemon:
        daemon.kill()
    with Steady(lab, good, 4) as steady:
        WAYS["deleted"](lab, dead).fail()
        assert not steady.lost()
        balancer.up(Config(lab, {good.name: 1}))
        assert set(tcp_who(lab, 20)) == {good.address4}
        assert steady.lost() == 0


def test_up_while_a_carrier_is_lost(lab, balancer):
    """Without a daemon too: what cannot be routed at this moment is no reason to fail."""
    balancer.up(config(lab))
    with Carrier(lab, lab.uplinks[0]):
        waituntil(lambda: "NO-CARRIER" in lab.gateway.output("ip", "link", "show", "eth1"),
                  what="the carrier is lost")
        balancer.up(config(lab, {"velox1": 1, "velox2": 5}))
        lab.gateway.run("ip", "-6", "route", "flush", "table", "30")
        lab.gateway.run("ip", "route", "flush", "table", "30")
        balancer.up()
        for family in (4, 6):
            assert set(tcp_who(lab, 20, family)) == {lab.uplinks[1].address(family)}


def test_stop_leaves_the_datapath(lab, balancer):
    with Daemon(balancer, config(lab)) as daemon, Steady(lab, lab.uplinks[0]) as steady:
        before = kernel_state(lab, balancer)
        assert daemon.stop() == 0, daemon.log
        assert not differences(before, kernel_state(lab, balancer), "run")
        assert both_links(lab)
        assert steady.lost() == 0
    balancer.down()


def test_down_on_exit(lab, balancer):
    settle_in(lab)
    before = snapshot(lab)
    with Daemon(balancer, config(lab), "--down-on-exit") as daemon:
        assert both_links(lab)
        assert daemon.stop() == 0, daemon.log
    assert not differences(before, snapshot(lab))


def test_down_with_a_daemon(lab, balancer):
    """Everything is removed, and the daemon ends with 0."""
    settle_in(lab)
    before = snapshot(lab)
    with Daemon(balancer, config(lab)) as daemon:
        tcp_who(lab, 20)
        balancer.down()
        assert daemon.ended() == 0, daemon.log
    assert not differences(before, snapshot(lab))


def test_down_while_a_link_is_dead(lab, balancer):
    before = snapshot(lab)
    failure = SilentGateway(lab, lab.uplinks[0])
    with Daemon(balancer, config(lab)) as daemon:
        daemon.probed()
        failure.fail()
        daemon.wait("velox1", "down")
        balancer.down()
        assert daemon.ended() == 0, daemon.log
    failure.recover()
    assert not differences(before, snapshot(lab))


def test_down_after_a_kill(lab, balancer):
    before = snapshot(lab)
    with Daemon(balancer, config(lab)) as daemon:
        daemon.kill()
    balancer.down()
    assert not differences(before, snapshot(lab))


def test_messages_to_the_service_manager(lab, balancer):
    with Daemon(balancer, config(lab), environment={"WATCHDOG_USEC": "500000"}) as daemon:
        assert daemon.said("READY=1") == 1
        count = daemon.said("WATCHDOG=1")
        waituntil(lambda: daemon.said("WATCHDOG=1") >= count + 4, 15, "the watchdog is fed")
        assert daemon.said("STOPPING=1") == 0
        daemon.hup()
        count = daemon.said("WATCHDOG=1")
        waituntil(lambda: daemon.said("WATCHDOG=1") >= count + 2, 15, "it is fed after a reload too")
        waituntil(lambda: daemon.said("RELOADING=1") in (0, daemon.said("READY=1") - 1),
                  what="each RELOADING is followed by READY")
        assert daemon.stop() == 0
        waituntil(lambda: daemon.said("STOPPING=1") == 1, what="STOPPING")


def test_without_a_service_manager(lab, balancer):
    with Daemon(balancer, config(lab), notify=False) as daemon:
        daemon.probed()
        with SilentGateway(lab, lab.uplinks[0]):
            daemon.wait("velox1", "down")
        daemon.wait("velox1", "up")
        assert daemon.stop() == 0


def test_one_daemon_at_a_time(lab, balancer):
    with Daemon(balancer, config(lab)) as daemon:
        second = balancer.run("run", timeout=20)
        assert second.returncode == 1 and second.stderr.strip(), second
        assert daemon.process.poll() is None
        assert both_links(lab)


def test_starts_with_wrong_configuration(lab, balancer):
    before = snapshot(lab)
    balancer.write("this is no configuration\n")
    done = balancer.run("run", timeout=20)
    assert done.returncode == 2 and f"{balancer.config}:1:" in done.stderr, done
    assert not differences(before, snapshot(lab))


def weights(daemon):
    return {name: uplink["weight"] for name, uplink in daemon.uplinks().items()}


def test_reload(lab, balancer):
    """A good configuration is taken over, a bad one is refused, connections notice neither."""
    with Daemon(balancer, config(lab)) as daemon, Busy(lab, 60) as busy, \
            Steady(lab, lab.uplinks[1]) as steady:
        assert not busy.stuck()
        balancer.write(config(lab, THREE_TO_ONE))
        daemon.hup()
        waituntil(lambda: weights(daemon) == THREE_TO_ONE, what="the new weights")
        length = len(daemon.log)
        balancer.write(config(lab).text() + "\n[balanse]\n")
        daemon.hup()
        waituntil(lambda: f"{balancer.config}:" in daemon.log[length:], what="the complaint is logged")
        assert weights(daemon) == THREE_TO_ONE
        assert daemon.process.poll() is None
        balancer.write(config(lab))
        daemon.hup()
        waituntil(lambda: weights(daemon) == {"velox1": 1, "velox2": 1}, what="the old weights")
        assert not busy.stuck()
        assert steady.lost() == 0
        with SilentGateway(lab, lab.uplinks[0]):
            daemon.wait("velox1", "down")


def test_reload_of_probes(lab, balancer):
    """What only the daemon uses is taken over too, and verdicts are not forgotten meanwhile."""
    text = Config(lab, sections={"health": {**QUICK, "probe": "none", "passive": False}})
    with Daemon(balancer, text) as daemon, SilentGateway(lab, lab.uplinks[0]):
        assert daemon.states()["velox1"] == "up"
        balancer.write(config(lab))
        daemon.hup()
        daemon.wait("velox1", "down")
        balancer.write(config(lab, THREE_TO_ONE))
        daemon.hup()
        waituntil(lambda: weights(daemon) == THREE_TO_ONE, what="the new weights")
        assert daemon.states() == {"velox1": "down", "velox2": "up"}
        assert set(tcp_who(lab, 20)) == {"192.168.2.2"}


def test_up_through_the_daemon(lab, balancer):
    """It neither resurrects a dead link nor ends the daemon."""
    with Daemon(balancer, config(lab)) as daemon, Steady(lab, lab.uplinks[1]) as steady:
        daemon.probed()
        with SilentGateway(lab, lab.uplinks[0]):
            daemon.wait("velox1", "down")
            balancer.up(config(lab, THREE_TO_ONE))
            assert weights(daemon) == THREE_TO_ONE
            assert daemon.states() == {"velox1": "down", "velox2": "up"}
            assert set(tcp_who(lab, 20)) == {"192.168.2.2"}
            balancer.write("nonsense\n")
            assert balancer.run("up").returncode == 2
            assert weights(daemon) == THREE_TO_ONE
        daemon.wait("velox1", "up")
        waituntil(lambda: both_links(lab), what="both links")
        assert daemon.process.poll() is None
        assert steady.lost() == 0


def test_uplink_removed_and_added_by_reload(lab, balancer):
    with Daemon(balancer, config(lab)) as daemon:
        balancer.write(config(lab, {"velox2": 1}))
        daemon.hup()
        waituntil(lambda: set(tcp_who(lab, 20)) == {"192.168.2.2"}, what="one link")
        balancer.write(config(lab))
        daemon.hup()
        waituntil(lambda: both_links(lab), what="both links")
        daemon.probed()
        with SilentGateway(lab, lab.uplinks[0]):
            daemon.wait("velox1", "down")


def all_judged_good(daemon):
    for family in ("ipv4", "ipv6"):
        waituntil(lambda f=family: all(u["health"][f]["verdict"] == "good"
                                       for u in daemon.uplinks().values()), what=f"{family} is good")


def test_status_of_a_daemon(lab, balancer):
    with Daemon(balancer, config(lab)) as daemon:
        all_judged_good(daemon)
        for uplink in daemon.uplinks().values():
            for health in uplink["health"].values():
                assert health["reason"] and health["latency_ms"] >= 0 and health["loss"] == 0
        text = balancer.run("status").stdout
        for line in (line for line in text.splitlines() if line.startswith("velox")):
            assert " up" in line, text
        with SilentGateway(lab, lab.uplinks[0]):
            assert "no answer" in daemon.wait("velox1", "down")["reason"]
            assert "no answer from 192.168.1.1" in balancer.run("status").stdout
        daemon.wait("velox1", "up")


def confined():
    """A command in front that leaves a command the capabilities of the service's unit."""
    unit = pathlib.Path(ROOT, "userspace/daemon/linkbal.service.in").read_text(encoding="utf-8")
    words = re.search(r"^CapabilityBoundingSet=(.*(?:\\\n.*)*)", unit, re.MULTILINE)[1]
    names = re.findall(r"CAP_\w+", words)
    assert names and "CAP_SYS_ADMIN" not in names, words
    capabilities = ",".join("+" + name.removeprefix("CAP_").lower() for name in names)
    return ("setpriv", f"--bounding-set=-all,{capabilities}", f"--inh-caps=-all,{capabilities}",
            "--no-new-privs")


def test_least_privileges(lab, balancer):
    """With the capabilities of the unit and no other, it does all that it does."""
    dead, good = lab.uplinks
    balancer.up(config(lab))  # mounts /sys/fs/bpf, which is the service manager's business otherwise
    balancer.down()
    before = snapshot(lab)
    with Daemon(balancer, config(lab), prefix=confined()) as daemon, Steady(lab, good) as steady:
        status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text(encoding="ascii")
        assert "NoNewPrivs:\t1" in status
        all_judged_good(daemon)  # a link that is silent before its first answer is another matter
        assert both_links(lab)
        for failure in (SilentGateway(lab, dead), Carrier(lab, dead)):
            with failure:
                daemon.wait(dead.name, "down")
                waituntil(lambda: set(tcp_who(lab, 20)) == {good.address4}, what="the other link")
            daemon.wait(dead.name, "up")
        waituntil(lambda: both_links(lab), what="both links")
        balancer.write(config(lab, THREE_TO_ONE))
        daemon.hup()
        waituntil(lambda: weights(daemon) == THREE_TO_ONE, what="the new weights")
        assert steady.lost() == 0
        balancer.down()
        assert daemon.ended() == 0, daemon.log
    assert not differences(before, snapshot(lab))


def test_least_privileges_of_commands(lab, balancer):
    """Without a daemon they need no others than the service, where a bpffs is mounted."""
    if not pathlib.Path("/sys/fs/bpf").is_mount():
        pytest.skip("no bpffs is mounted on /sys/fs/bpf")
    options = {"prefix": confined(), "check": True}
    before = snapshot(lab)
    balancer.write(config(lab))
    assert "2 uplinks" in balancer.run("up", **options).stdout
    assert both_links(lab)
    assert "nothing to do" in balancer.run("up", **options).stdout
    ids = balancer.bucket_maps()
    balancer.write(config(lab, THREE_TO_ONE))
    balancer.run("up", **options)
    assert ids != balancer.bucket_maps()
    balancer.run("uplink", "velox1", "drain", **options)
    assert set(tcp_who(lab, 20)) == {"192.168.2.2"}
    balancer.run("uplink", "velox1", "resume", **options)
    uplinks = json.loads(balancer.run("status", "--json", **options).stdout)["uplinks"]
    assert {uplink["name"]: uplink["weight"] for uplink in uplinks} == THREE_TO_ONE
    balancer.run("down", **options)
    assert not differences(before, snapshot(lab))
