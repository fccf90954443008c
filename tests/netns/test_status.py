# SPDX-License-Identifier: GPL-2.0-or-later
"""What `status` says, and what bpftool reads out of the maps (S3)."""

import contextlib
import json
import re
from collections import Counter

import pytest
from lab import Balancer, Config, differences, snapshot, tcp_who, udp_who
from lab.clients import Udp, tcp_seen

LAB = {"hosts": 2, "uplinks": 2}


@pytest.fixture(scope="module", autouse=True)
def balancer(linkbal, shared_lab):
    balancer = Balancer(shared_lab, linkbal)
    balancer.up(Config(shared_lab, {"velox1": 3, "velox2": 1}))
    return balancer


def uplinks(balancer):
    return {u["name"]: u for u in balancer.json("status")["uplinks"]}


def formatted(balancer, name):
    """Fields of a per-CPU map's entries as bpftool prints them, CPUs added up."""
    entries = []
    for entry in balancer.map(name):
        values = [cpu["value"] for cpu in entry["formatted"]["values"]]
        entries.append({field: sum(v[field] for v in values) for field in values[0]})
    return entries


def test_fields(balancer):
    status = balancer.json("status")
    assert status["datapath"] == "tc", "auto, on veth"
    assert set(status["fastpath"]) >= {"flows", "hits", "misses"}
    for number, uplink in enumerate(status["uplinks"], 1):
        assert uplink["name"] == f"velox{number}"
        assert uplink["interface"] == f"eth{number}"
        assert uplink["table"] == 9 + number
        assert uplink["weight"] == (3, 1)[number - 1]
        assert uplink["state"] == "up"
        assert isinstance(uplink["reason"], str)
        assert isinstance(uplink["connections"], int)
        for way in ("tx", "rx"):
            assert set(uplink[way]) >= {"packets", "bytes"}


@pytest.mark.parametrize("family", [4, 6])
def test_connections_are_counted(balancer, shared_lab, family):
    before = uplinks(balancer)
    seen = tcp_who(shared_lab, 400, family)
    after = uplinks(balancer)
    for uplink in shared_lab.uplinks:
        new = after[uplink.name]["connections_total"] - before[uplink.name]["connections_total"]
        assert new == seen[uplink.address(family)]


def asked_once(lab, number):
    """Unlike udp_who(), which asks again when a server has been slow, and that is a packet more."""
    client = Udp(lab.hosts[number % 2], lab.servers()[number % 20])
    with contextlib.closing(client):
        return client.ask(3)[0]


def test_packets_and_bytes_are_counted(balancer, shared_lab):
    """One datagram each way for each connection, with an Ethernet header, nothing else."""
    before = uplinks(balancer)
    seen = Counter(asked_once(shared_lab, n) for n in range(200))
    after = uplinks(balancer)
    for uplink in shared_lab.uplinks:
        old, new = before[uplink.name], after[uplink.name]
        number = seen[uplink.address4]
        assert new["tx"]["packets"] - old["tx"]["packets"] == number
        assert new["rx"]["packets"] - old["rx"]["packets"] == number
        assert new["tx"]["bytes"] - old["tx"]["bytes"] == number * (14 + 20 + 8 + 3)
        assert new["rx"]["bytes"] - old["rx"]["bytes"] > number * (14 + 20 + 8 + 3)


def test_own_traffic_of_the_gateway_is_not_forwarded_traffic(balancer, shared_lab):
    before = uplinks(balancer)
    with shared_lab.gateway.entered():
        tcp_seen(shared_lab.servers()[0])
    after = uplinks(balancer)
    assert after["velox1"]["tx"] == before["velox1"]["tx"]


def test_bpftool_reads_the_counters(balancer, shared_lab):
    before = formatted(balancer, "uplink_counters")
    seen = tcp_who(shared_lab, 100)
    after = formatted(balancer, "uplink_counters")
    picks = sorted(a["picks"] - b["picks"] for a, b in zip(after, before))
    assert picks[-2:] == sorted(seen.values())
    assert sum(picks) == 100


def test_every_packet_has_a_verdict(balancer, shared_lab):
    before = sum(e["packets"] for e in formatted(balancer, "verdict_counters"))
    udp_who(shared_lab, 100)
    after = sum(e["packets"] for e in formatted(balancer, "verdict_counters"))
    assert after - before >= 100


def test_maps_have_names_and_types(balancer, shared_lab):
    def shown(*which):
        return json.loads(shared_lab.gateway.output("bpftool", "-j", "map", "show", *which))

    for name in ("settings", "turns", "devices", "uplinks", "uplink_counters", "verdict_counters"):
        found = shown("pinned", f"{balancer.pins}/{name}")
        # The settings are the programs' read-only data, which the kernel calls so.
        assert name.startswith(found["name"]) or name == "settings", found
        assert found.get("btf_id"), f"{name} has no BTF"
    # The kernel takes no BTF for a map of maps; what is in it has some.
    for inner in balancer.bucket_maps():
        found = shown("id", inner)
        assert found["name"] == "lb_buckets" and found.get("btf_id"), found


def test_status_for_people(balancer):
    done = balancer.run("status")
    assert done.returncode == 0 and not re.search("\x1b", done.stdout)
    for word in ("velox1", "velox2", "eth1", "eth2", "75", "25"):
        assert word in done.stdout


def test_status_changes_nothing(balancer, shared_lab):
    before = snapshot(shared_lab)
    balancer.run("status")
    balancer.run("status", "--json")
    assert not differences(before, snapshot(shared_lab))


def test_status_when_down(balancer):
    balancer.down()
    for words in (["status"], ["status", "--json"]):
        done = balancer.run(*words)
        assert done.returncode in (0, 1) and (done.stdout + done.stderr).strip()
    balancer.up()
