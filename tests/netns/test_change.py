# SPDX-License-Identifier: GPL-2.0-or-later
"""Weights change and links go while connections are open and busy (N4, P12)."""

import json
import threading

import pytest
from lab import Config, tcp_who
from lab.busy import Busy
from lab.clients import Udp

LAB = {"hosts": 4, "uplinks": 3}
BUCKETS = 65536
THREE = {"velox1": 1, "velox2": 1, "velox3": 1}


def buckets(balancer, family):
    """Which uplink each bucket of a family belongs to; layout: struct lb_buckets of the ABI header."""
    inner = balancer.bucket_maps()[family == 6]
    text = balancer.lab.gateway.output("bpftool", "-j", "map", "dump", "id", inner)
    raw = bytes(int(b, 0) for b in json.loads(text)[0]["value"][:2 * BUCKETS])
    return [raw[n] | raw[n + 1] << 8 for n in range(0, len(raw), 2)]


@pytest.mark.parametrize("family", [4, 6])
def test_weight_change_breaks_and_moves_no_connection(lab, balancer, family):
    balancer.up(Config(lab, THREE))
    with Busy(lab, 200, family) as busy:
        assert not busy.stuck()
        for weights in ((9, 1, 1), (1, 9, 1), (1, 1, 1000), (1, 1, 1)):
            balancer.up(Config(lab, dict(zip(THREE, weights))))
            assert not busy.stuck()
        assert len(busy.by_address()) == 3
    assert lab.spoofed() == 0


@pytest.mark.parametrize("family", [4, 6])
def test_removed_link_keeps_its_open_connections(lab, balancer, family):
    balancer.up(Config(lab, THREE))
    gone = lab.uplinks[2].address(family)
    with Busy(lab, 200, family) as busy:
        assert not busy.stuck()
        balancer.up(Config(lab, {"velox1": 1, "velox2": 1}))
        assert not busy.stuck()
        assert gone not in tcp_who(lab, 100, family)
        states = {u["name"]: u["state"] for u in balancer.json("status")["uplinks"]}
        assert states == {"velox1": "up", "velox2": "up", "velox3": "draining"}
        balancer.up(Config(lab, THREE))
        assert not busy.stuck()
        assert len(busy.by_address()) == 3
        assert gone in tcp_who(lab, 100, family)
    assert lab.spoofed() == 0


def test_removed_link_goes_with_its_last_connection(lab, balancer):
    def parts():
        tables = "\n".join(lab.gateway.output("ip", flag, "route", "show", "table", "12") for flag in ("-4", "-6"))
        ruleset = lab.gateway.output("nft", "list", "table", "inet", lab.instance)
        rules = "".join(lab.gateway.output("ip", "-N", flag, "rule") for flag in ("-4", "-6"))
        return ["eth3" in tables, "velox3" in ruleset, "lookup 12" in rules]

    balancer.up(Config(lab, THREE))
    tcp_who(lab, 100)
    balancer.up(Config(lab, {"velox1": 1, "velox2": 1}))
    assert parts() == [True, True, True]
    lab.gateway.run("conntrack", "-F")
    assert "velox3" in balancer.plan()
    balancer.up()
    assert parts() == [False, False, False]
    assert balancer.plan() == "nothing to do\n"


def test_connections_that_take_no_uplink_notice_nothing(lab, balancer):
    lab.site("vpn", 30)
    balancer.up(Config(lab, THREE))
    with Busy(lab, 40, servers=["10.30.1.5", "2001:db8:30:1::5"]) as busy:
        balancer.up(Config(lab, {"velox1": 2}))
        balancer.up(Config(lab, THREE))
        assert not busy.stuck()


def test_no_packet_is_lost_while_reloading(lab, balancer):
    balancer.up(Config(lab, THREE))
    clients = [Udp(lab.hosts[n % 4], lab.servers()[n]) for n in range(12)]
    first, ended, errors = [c.ask() for c in clients], threading.Event(), []

    def ask():
        try:
            while not ended.is_set():
                assert [c.ask() for c in clients] == first
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    for weight in range(2, 12):
        balancer.up(Config(lab, {**THREE, "velox2": weight}))
    ended.set()
    thread.join()
    assert not errors


@pytest.mark.parametrize("family", [4, 6])
def test_fewest_buckets_move(lab, balancer, family):
    before = None
    for weights in ((1, 1, 1), (3, 1, 1), (5, 3, 2), (1, 1), (1000, 1, 1), (1, 1, 1)):
        balancer.up(Config(lab, dict(zip(THREE, weights))))
        after = buckets(balancer, family)
        counts = {u: after.count(u) for u in set(after)}
        assert 0 not in counts and len(counts) == len(weights)
        ideal = sorted(BUCKETS * w / sum(weights) for w in weights)
        assert all(abs(a - b) < 1 for a, b in zip(sorted(counts.values()), ideal)), counts
        if before:
            moved = sum(a != b for a, b in zip(before, after))
            least = sum(max(0, n - before.count(u)) for u, n in counts.items())
            assert moved == least, f"{weights}: {moved} buckets moved, {least} would do"
        before = after


MASQUERADE = """
table inet before {
    chain postrouting {
        type nat hook postrouting priority srcnat; policy accept;
        oifname "eth*" oifname != "eth0" masquerade
    }
}"""


@pytest.mark.parametrize("family", [4, 6])
def test_first_up_keeps_connections_that_are_open_already(lab, balancer, family):
    """A gateway that masqueraded before: everybody goes on by the link that their address is of."""
    second = lab.uplinks[1]
    router = second.router4 if family == 4 else second.router6
    lab.gateway.sysctl(**{"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1})
    lab.gateway.nft(MASQUERADE)
    lab.gateway.run("ip", f"-{family}", "route", "add", "default", "via", router, "dev", second.device,
                    "metric", "900")
    with Busy(lab, 60, family) as busy:
        assert not busy.stuck()
        balancer.up(Config(lab, THREE))
        assert not busy.stuck()
        assert set(busy.by_address()) == {second.address(family)}
    assert lab.spoofed() == 0


def test_marks_of_a_former_life_mean_nothing(lab, balancer):
    """`down` leaves conntrack alone; the next `up` may number its uplinks in another way."""
    balancer.up(Config(lab, THREE))
    tcp_who(lab, 60)
    balancer.down()
    balancer.up(Config(lab, {"velox1": 1, "velox3": 1}))
    rows = lab.gateway.output("conntrack", "-L", "-o", "extended").splitlines()
    for uplink, mark in ((lab.uplinks[0], 1), (lab.uplinks[1], 0), (lab.uplinks[2], 2)):
        own = [row for row in rows if f"dst={uplink.address4} " in row]
        assert own and all(f"mark={mark << 16} " in row for row in own)
