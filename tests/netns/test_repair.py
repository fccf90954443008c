# SPDX-License-Identifier: GPL-2.0-or-later
"""What others remove or add is put right and logged, without a fight (P15, and design rule 9)."""

import shutil
import threading
import time

import pytest
from lab import Config, tcp_who, waituntil
from lab.clients import both_links
from lab.daemon import Daemon
from lab.foreign import settle_in
from lab.state import state, wait_same
from lab.steady import Steady

LAB = {"hosts": 2, "uplinks": 2}
HEALTH = {"interval": "200ms", "timeout": "400ms"}


def config(lab):
    return Config(lab, sections={"health": HEALTH})


@pytest.fixture
def daemon(lab, balancer):
    settle_in(lab)
    with Daemon(balancer, config(lab)) as running:
        for family in ("ipv4", "ipv6"):
            waituntil(lambda f=family: all(u["health"][f]["verdict"] == "good"
                                           for u in running.uplinks().values()), what="all is good")
        yield running


DAMAGE = {
    "default of a link": ["ip route del default table velox1"],
    "default of a link, IPv6": ["ip -6 route del default table 10"],
    "a link's table": ["ip route flush table 10", "ip -6 route flush table 10"],
    "the fallback": ["ip route del default table velox", "ip -6 route del default table velox"],
    "the preferred default": ["ip route del default via 192.168.1.1"],
    "a rule of a mark": ["ip rule del pref 10001", "ip -6 rule del pref 10001"],
    "all rules": ["sh -c 'for p in 10000 10001 10001 10002 10002 10002 10002 10003; do "
                  "ip rule del pref $p; ip -6 rule del pref $p; done; true'"],
    "the nftables table": ["nft delete table inet {instance}"],
    "all of nftables but others'": ["nft flush table inet {instance}"],
    "a sysctl": ["sysctl -q net.ipv4.ip_forward=0"],
}


@pytest.mark.parametrize("what", DAMAGE)
def test_put_right_and_logged(lab, daemon, what):
    before = state(lab)
    length = len(daemon.log)
    for command in DAMAGE[what]:
        lab.gateway.run("sh", "-c", command.format(instance=lab.instance))
    wait_same(lab, before)
    assert daemon.log[length:].strip(), "nothing was logged"
    assert both_links(lab) and both_links(lab, 6)
    assert daemon.states() == {"velox1": "up", "velox2": "up"}


def ours_attached(balancer):
    return {place for place in balancer.attached() if place[1].startswith("tcx")}


def test_programs_detached(lab, balancer, daemon):
    before = ours_attached(balancer)
    length = len(daemon.log)
    balancer.detach_by_hand()
    lab.gateway.run("ip", "rule", "del", "pref", "10001")  # an event, since programs make none
    # It may be about to look anyway: that they were gone is seen in what it says.
    waituntil(lambda: all(f"dev {device}" in daemon.log[length:] for device in ("eth0", "eth1", "eth2"))
              and ours_attached(balancer) == before, 30, "the programs are back")
    one = set(tcp_who(lab, 10, hosts=lab.hosts[:1], servers=lab.servers()[:1]))
    assert one == {u.address4 for u in lab.uplinks}


def test_pins_removed(lab, balancer, daemon):
    """The whole directory is gone, as after somebody's rm -r."""
    with Steady(lab, lab.uplinks[1]) as steady:
        names = set(balancer.object_ids())
        length = len(daemon.log)
        shutil.rmtree(balancer.pins)
        lab.gateway.run("ip", "rule", "del", "pref", "10001")
        waituntil(lambda: set(balancer.object_ids()) == names, 30, "the pins are back", step=0.2)
        assert daemon.log[length:].strip()
        assert both_links(lab)
        assert steady.lost() == 0
    balancer.down()
    assert daemon.ended() == 0


def test_others_are_left_alone(lab, daemon):
    """Rules, routes and tables of others come and go, and nothing is done about it."""
    before = state(lab)
    length = len(daemon.log)
    commands = ["ip rule add from 10.8.0.0/16 lookup 88 pref 4000", "nft add table inet elsewhere",
                "ip route add 10.8.0.0/16 via 192.168.0.11", "ip link add other type veth peer name other2",
                "ip link set other up", "nft delete table inet elsewhere",
                "ip rule del pref 4000", "ip route del 10.8.0.0/16", "ip link del other"]
    for command in commands:
        lab.gateway.run(*command.split())
    # Something of its own afterwards: once that is put right, it has seen all of the above.
    lab.gateway.run("ip", "rule", "del", "pref", "10001")
    wait_same(lab, before)
    assert "10.8.0.0" not in daemon.log[length:] and "elsewhere" not in daemon.log[length:]
    assert both_links(lab)


def test_no_fight(lab, daemon):
    """Somebody deletes a rule again and again: repairs are few, the daemon stays calm, the log short."""
    ended, deleted = threading.Event(), []

    def delete():
        while not ended.is_set():
            done = lab.gateway.run("ip", "rule", "del", "pref", "10001", check=False)
            if done.returncode == 0:
                deleted.append(time.monotonic())

    before = state(lab)
    lines, seconds = daemon.log.count("\n"), daemon.cpu_seconds()
    thread = threading.Thread(target=delete)
    thread.start()
    try:
        start = time.monotonic()
        # Two rules have this priority: what goes beyond those is the daemon's repairs.
        waituntil(lambda: len(deleted) >= 6, 60, "it repairs all the same")
        waituntil(lambda: time.monotonic() - start > 5, what="five seconds")
    finally:
        ended.set()
        thread.join()
    taken = time.monotonic() - start
    assert (len(deleted) - 2) / 2 / taken < 5, f"{len(deleted)} rules in {taken:.1f} s"
    assert (daemon.cpu_seconds() - seconds) / taken < 0.25
    assert daemon.log.count("\n") - lines < 10 * taken
    wait_same(lab, before, timeout=40)
    assert daemon.states() == {"velox1": "up", "velox2": "up"}


def test_another_default_route_is_no_attack(lab, balancer, daemon):
    """A DHCP client's default route, as it comes with every renewal, is not taken away."""
    lab.gateway.run("ip", "route", "replace", "default", "via", "192.168.2.1", "dev", "eth2",
                    "proto", "dhcp", "metric", "50")
    lab.gateway.run("ip", "rule", "del", "pref", "10001")
    waituntil(lambda: lab.gateway.output("ip", "rule").count("10001:") == 2, what="the rules are back")
    assert "proto dhcp metric 50" in lab.gateway.output("ip", "route", "show", "default")
    assert both_links(lab)
    balancer.down()
    assert daemon.ended() == 0
    assert "proto dhcp metric 50" in lab.gateway.output("ip", "route", "show", "default")
