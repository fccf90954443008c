# SPDX-License-Identifier: GPL-2.0-or-later
"""A link fails in five ways, once and flapping: what the LAN, the other link, and `status` see (S10, P5).

Each story runs once; the tests look at what it has recorded.
"""

import re
import time
from types import SimpleNamespace

import pytest
from lab import Balancer, Config, Lab, tcp_who, waituntil
from lab.busy import Busy
from lab.clients import TWICE, both_links
from lab.daemon import Daemon
from lab.failures import WAYS
from lab.hooks import Hook
from lab.steady import Attempts, Steady, readers

# Probes of what is behind the router, so that a router without an internet is found out.
HEALTH = {"interval": "100ms", "timeout": "300ms", "down_after": 3, "up_after": 3,
          "targets": ["198.51.100.10", "203.0.113.10", "2001:db8:ff::10", "2001:db8:ff::20"]}
REASONS = {
    "carrier": r"carrier|link is down|cable",
    "deleted": r"interface|device|gone|no eth1",
    "silent gateway": r"answer|probe|gateway|target",
    "silent internet": r"answer|probe|target",
    "address": r"address",
}
STORIES = [(way, 4) for way in WAYS] + [("carrier", 6), ("silent gateway", 6)]


def config(lab, hook=None, **failover):
    sections = {"health": HEALTH, "failover": failover}
    if hook:
        sections["hooks"] = {"on_change": hook.words}
    return Config(lab, sections=sections)


def conntrack(lab, family, uplink):
    """Rows of what left by an uplink."""
    rows = lab.gateway.output("conntrack", "-L", "-f", f"ipv{family}").splitlines()
    return [row for row in rows if f"dst={uplink.address(family)} " in row]


def known(lab, family, uplink, connections):
    """Of the given connections, those that conntrack still has with this uplink."""
    rows = "\n".join(conntrack(lab, family, uplink))
    return [own for own, other in (c.ends for c in connections)
            if f"src={own[0]} dst={other[0]} sport={own[1]} dport={other[1]} " in rows]


def shares_are_back(lab, family):
    return sorted(tcp_who(lab, TWICE, family).values()) == pytest.approx([20, 20], abs=6)


@pytest.fixture(scope="module", params=STORIES, ids=lambda story: f"{story[0]}, IPv{story[1]}")
def once(linkbal, request):
    """velox1 fails and comes back, velox2 stays good."""
    way, family = request.param
    told = SimpleNamespace(way=way, family=family)
    with Lab(hosts=2, uplinks=2) as lab:
        hook = Hook(lab)
        dead, good = lab.uplinks
        with Daemon(Balancer(lab, linkbal), config(lab, hook)) as daemon, \
                Busy(lab, 40, family) as busy, Steady(lab, good, family) as steady:
            assert not busy.stuck()
            on_dead = [c for c in busy.connections if c.seen == dead.address(family)]
            on_good = [c for c in busy.connections if c.seen == good.address(family)]
            quiet = readers(lab, dead, family)
            failure = WAYS[way](lab, dead)
            with Attempts(lab, family) as attempts:
                since = time.monotonic()
                failure.fail()
                told.outage = attempts.recovered(since)
                told.down = daemon.wait(dead.name, "down")
                later = time.monotonic()
                told.outage_later = attempts.recovered(later)
            told.seen_meanwhile = {lab.nameof(a) for a in tcp_who(lab, 40, family)}
            told.good_state = daemon.uplinks()[good.name]["state"]
            told.known_dead = settled(lambda: known(lab, family, dead, quiet), [])
            told.known_good, told.connections_good = known(lab, family, good, on_good), len(on_good)
            told.not_reset = settled(
                lambda: [c for c in on_dead if not isinstance(c.error, ConnectionResetError)], [])
            told.quiet_not_reset = settled(lambda: [r for r in quiet if not r.reset()], [])
            told.hook_down = hook.wait(UPLINK=dead.name, STATE="down")
            failure.recover()
            told.up = daemon.wait(dead.name, "up", 20)
            told.hook_up = hook.wait(UPLINK=dead.name, STATE="up", PREVIOUS="down")
            told.shares_back = settled(lambda: shares_are_back(lab, family), True)
            told.stuck_good = [c for c in busy.stuck() if c in on_good]
            told.lost = steady.lost()
            told.others_hooks = [c for c in hook.calls() if c["UPLINK"] == good.name and
                                 c["STATE"] == "down"]
            told.log, told.spoofed, told.dead = daemon.log, lab.spoofed(), dead
    return told


def settled(look, wanted, timeout=10):
    """What look() says as soon as it is as wanted, or in the end."""
    found = []

    def as_wanted():
        found[:] = [look()]
        return found[0] == wanted
    try:
        waituntil(as_wanted, timeout, step=0.1)
    except TimeoutError:
        pass
    return found[0]


def test_new_connections_take_the_other_link(once):
    print(f"{once.way}, IPv{once.family}: {once.outage * 1e3:.0f} ms")
    assert once.outage < 10
    assert once.outage_later == 0
    assert once.seen_meanwhile == {"velox2"}


def test_the_good_link_loses_nothing(once):
    assert once.lost == 0
    assert not once.stuck_good
    assert once.good_state == "up" and not once.others_hooks


def test_status_says_why(once):
    assert re.search(REASONS[once.way], once.down["reason"], re.IGNORECASE), once.down
    assert not once.up["reason"] == once.down["reason"]


def test_it_comes_back_by_itself(once):
    assert once.up["state"] == "up"
    assert once.shares_back


def test_only_connections_of_the_dead_link_are_forgotten(once):
    assert not once.known_dead
    assert len(once.known_good) == once.connections_good > 0


def test_clients_are_told(once):
    """With a reset, those that only wait for something too."""
    assert not once.not_reset
    assert not once.quiet_not_reset


def test_hooks_have_the_facts(once):
    call, uplink = once.hook_down, once.dead
    assert call["PREVIOUS"] == "up" and call["EVENT"]
    assert call["INTERFACE"] == uplink.device
    assert re.search(REASONS[once.way], call["REASON"], re.IGNORECASE), call
    assert {"ADDRESS", "GATEWAY"} <= set(call)
    if once.way.startswith("silent") or once.way == "carrier":
        assert call["ADDRESS"] in (uplink.address4, uplink.address6)
        assert call["GATEWAY"] in (uplink.router4, uplink.router6)
    assert once.hook_up["ADDRESS"] in (uplink.address4, uplink.address6)


def test_the_log_names_link_and_reason(once):
    lines = [line for line in once.log.splitlines() if "velox1" in line]
    assert any(re.search(REASONS[once.way], line, re.IGNORECASE) for line in lines), once.log


@pytest.mark.parametrize("way", WAYS)
def test_flapping(lab, balancer, way):
    """Ten times, every second one at once back again: the good link never notices."""
    dead, good = lab.uplinks
    failure = WAYS[way](lab, dead)
    with Daemon(balancer, config(lab)) as daemon, Steady(lab, good) as steady, \
            Attempts(lab) as attempts:
        for flap in range(10):
            since = time.monotonic()
            failure.fail()
            if flap % 2:
                assert attempts.recovered(since) < 10
                daemon.wait(dead.name, "down")
            failure.recover()
            if flap % 2:
                daemon.wait(dead.name, "up")
        daemon.wait(dead.name, "up")
        waituntil(lambda: shares_are_back(lab, 4), what="shares are back", step=0.2)
        assert daemon.states() == {"velox1": "up", "velox2": "up"}
        assert attempts.recovered(time.monotonic()) == 0
        assert steady.lost() == 0


def test_without_resets(lab, balancer):
    """reset = false: a client that only waits is left waiting."""
    dead = lab.uplinks[0]
    with Daemon(balancer, config(lab, reset=False)) as daemon:
        quiet = readers(lab, dead)
        with WAYS["silent gateway"](lab, dead):
            daemon.wait(dead.name, "down")
            ports = {str(r.socket.getsockname()[1]) for r in quiet}
            waituntil(lambda: not any(f"sport={p} " in row for row in conntrack(lab, 4, dead)
                                      for p in ports), what="the entries are gone")
            assert set(tcp_who(lab, 40)) == {"192.168.2.2"}
            assert not any(r.reset() for r in quiet)


def test_both_families_fail_apart(lab, balancer):
    """Only IPv6 is broken behind the provider: IPv4 goes on by both links."""
    dead = lab.uplinks[0]
    with Daemon(balancer, config(lab)) as daemon, Steady(lab, dead) as steady:
        dead.router.nft("""
            table inet failure {
                chain forward {
                    type filter hook forward priority -10; policy accept;
                    meta nfproto ipv6 drop
                }
            }""")
        waituntil(lambda: daemon.uplinks()[dead.name]["health"]["ipv6"]["verdict"] == "bad",
                  what="IPv6 is found bad")
        assert daemon.uplinks()[dead.name]["health"]["ipv4"]["verdict"] == "good"
        waituntil(lambda: both_links(lab), what="IPv4 by both")
        with Attempts(lab, 6) as attempts:
            attempts.recovered(time.monotonic())
            later = time.monotonic()
            assert attempts.recovered(later) == 0
            assert attempts.seen(later) == {lab.uplinks[1].address6}
        assert steady.lost() == 0
