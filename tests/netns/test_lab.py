# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab itself, without linkbal: what the other tests count with can count, and can fail."""

import os
import subprocess
import sys

import pytest
from lab import Lab, classic, deviation, differences, ping, snapshot, tcp_who, udp_who, waituntil
from lab.busy import Busy
from lab.clients import Udp, tcp_seen
from lab.download import aria2c, ranges

LAB = {"hosts": 4, "uplinks": 2}


@pytest.fixture(scope="module")
def classic_lab(shared_lab):
    classic.up(shared_lab)
    return shared_lab


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("who", [tcp_who, udp_who])
def test_classic_setup_uses_both_links(classic_lab, who, family):
    # The kernel picks by addresses. Of nineteen servers each host asks each: 76 picks.
    seen = who(classic_lab, 400, family, servers=classic_lab.servers(family)[:19])
    assert sum(seen.values()) == 400
    assert {classic_lab.nameof(a) for a in seen} == {"velox1", "velox2"}


@pytest.mark.parametrize("family", [4, 6])
def test_ping_is_answered_and_counted(classic_lab, family):
    before = classic_lab.echoes(family)
    assert len(ping(classic_lab.hosts, classic_lab.servers(family))) == 4 * 20
    after = classic_lab.echoes(family)
    assert sum(after.values()) - sum(before.values()) == 4 * 20


@pytest.mark.parametrize("family", [4, 6])
def test_fragments_are_echoed(classic_lab, family):
    client = Udp(classic_lab.hosts[0], classic_lab.servers(family)[0])
    assert client.ask(4000) == client.ask(10)


def test_busy_connections_notice_a_change_of_link(classic_lab):
    first = classic_lab.uplinks[0]
    # For each pair of addresses the kernel picks a link by chance: there have to be many pairs.
    servers = [f"{network}.{n}" for n in range(1, 41) for network in ("198.51.100", "203.0.113")]
    with Busy(classic_lab, len(servers), servers=servers) as busy:
        assert not busy.stuck()
        changed = [c for c in busy.connections if c.ends[1][0].startswith("198.51.100.")]
        lost = {c for c in changed if c.seen == first.address4}
        assert 0 < len(lost) < len(changed)
        gateway = classic_lab.gateway
        gateway.run("ip", "route", "change", "default", "via", "192.168.2.1")
        gateway.run("nft", "insert", "rule", "inet", "classic", "mangle",
                    "ip", "daddr", "198.51.100.0/24", "return")
        waituntil(lambda: set(busy.stuck(timeout=0.5)) == lost, what="those of the first link are stuck")
    gateway.run("ip", "route", "change", "default", "via", "192.168.1.1")
    gateway.run("nft", "flush", "chain", "inet", "classic", "mangle")
    gateway.run("nft", "add", "rule", "inet", "classic", "mangle",
                "iifname", "eth0", "meta", "mark", "set", "3")


def test_wrong_source_is_dropped_and_counted(lab):
    lab.gateway.run("ip", "route", "add", "default", "via", "192.168.1.1")
    with lab.gateway.entered():
        assert tcp_seen("198.51.100.10") == "192.168.1.2"
        assert lab.spoofed() == 0
        with pytest.raises(OSError):
            tcp_seen("198.51.100.10", source="192.168.2.2", timeout=0.3)
    assert lab.spoofed() > 0


def test_shaped_links_have_their_rate():
    with Lab(hosts=1, uplinks=2, rate="16mbit", ipv6=False) as lab:
        classic.up(lab)
        # A machine that is busy makes single downloads slower, and none faster.
        taken = min(ranges(lab.hosts[0], "198.51.100.10", 1_000_000, 1) for _ in range(4))
        assert 0.8 < taken / 0.5 < 1.4
        taken = min(aria2c(lab.hosts[0], "198.51.100.10", 1_000_000, 1, lab.directory) for _ in range(4))
        assert 0.8 < taken / 0.5 < 1.6


def test_snapshot_sees_every_kind_of_change(lab):
    gateway = lab.gateway
    changes = {
        "rules": "ip rule add from 10.9.9.9 lookup 7",
        "rules6": "ip -6 rule add from 2001:db8:99::/64 lookup 7",
        "routes": "ip route add 10.9.9.0/24 dev eth1 table 77",
        "routes6": "ip -6 route add 2001:db8:99::/64 dev eth1 table 77",
        "nft": "nft add table inet other",
        "qdiscs": "tc qdisc add dev eth0 clsact",
        "sysctls": "sysctl -q net.ipv4.conf.eth1.rp_filter=0",
        "addresses": "ip addr add 10.9.9.1/24 dev eth2",
        "links": "ip link set eth2 mtu 1400",
    }
    for section, command in changes.items():
        before = snapshot(lab)
        gateway.run(*command.split())
        after = snapshot(lab)
        assert before[section] != after[section], command
    assert not differences(after, snapshot(lab))


def test_deviation_tells_fair_from_unfair():
    assert max(map(abs, deviation({"a": 7520, "b": 2480}, {"a": 3, "b": 1}).values())) < 3
    assert max(map(abs, deviation({"a": 7800, "b": 2200}, {"a": 3, "b": 1}).values())) > 3
    assert deviation({"a": 100}, {"a": 1, "b": 1})["b"] < -3


def test_a_killed_lab_is_reaped():
    script = "from lab import Lab; import os; l = Lab(hosts=1); print(l.instance); os._exit(9)"
    done = subprocess.run([sys.executable, "-c", script], cwd=os.path.dirname(__file__), text=True,
                          stdout=subprocess.PIPE, check=False)
    instance = done.stdout.strip()
    assert any(name.startswith(instance) for name in os.listdir("/run/netns"))
    with Lab(hosts=1, cheap=True):
        assert not any(name.startswith(instance) for name in os.listdir("/run/netns"))
