# SPDX-License-Identifier: GPL-2.0-or-later
"""`plan` and a repeated `up`: what is there is left alone, only the difference is applied (N6)."""

import json
import re

import pytest
from lab import Balancer, Config, Lab, differences, snapshot, tcp_who

LAB = {"hosts": 2, "uplinks": 2}
# Not the lines of an nftables ruleset, which are indented, nor comments.
COMMAND = re.compile(r"^((?:ip|nft|tc|bpftool|sysctl|conntrack) .*)", re.MULTILINE)


def state(lab, balancer):
    """The gateway's state, and the identity of everything that is pinned."""
    return {**snapshot(lab), "objects": json.dumps(balancer.object_ids(), indent=1),
            "maps": "\n".join(json.dumps(balancer.map(name)) for name in ("settings", "buckets", "uplinks"))}


def commands(text):
    return [" ".join(found.split()) for found in COMMAND.findall(text)]


def test_plan_shows_everything_and_does_nothing(lab, balancer):
    before = snapshot(lab)
    balancer.write(Config(lab))
    planned = commands(balancer.plan())
    assert not differences(before, snapshot(lab))
    assert planned
    for kind in (r"ip (-[46] )?rule add", r"ip (-[46] )?route (add|append|replace)", r"nft ", r"tc |bpftool net"):
        assert any(re.match(kind, line) for line in planned), f"no line like {kind!r} in the plan"
    for device in ("eth0", "eth1", "eth2"):
        assert any(device in line for line in planned)


def test_up_does_what_the_plan_says(lab, balancer):
    """The planned rules and routes are those that are there afterwards."""
    balancer.write(Config(lab))
    planned = commands(balancer.plan())
    before = snapshot(lab)
    balancer.up()
    after = snapshot(lab)
    for section, word in (("rules", "rule"), ("rules6", "rule")):
        new = set(after[section].splitlines()) - set(before[section].splitlines())
        six = section.endswith("6")
        lines = [p for p in planned if re.match(rf"ip {'-6 ' if six else '(-4 )?'}{word} add", p)]
        assert len(lines) == len(new), f"planned: {lines}\nthere now: {new}"


def test_second_up_changes_nothing_and_says_so(lab, balancer):
    balancer.up(Config(lab))
    before = state(lab, balancer)
    assert not commands(balancer.plan())
    done = balancer.up()
    assert re.search(r"nothing|no change|unchanged|up to date", done.stdout + done.stderr, re.I)
    assert not differences(before, state(lab, balancer))


def test_changed_weight_changes_only_that(lab, balancer):
    balancer.up(Config(lab, {"velox1": 1, "velox2": 1}))
    before = state(lab, balancer)
    balancer.write(Config(lab, {"velox1": 3, "velox2": 1}))
    planned = commands(balancer.plan())
    assert planned and not differences(before, state(lab, balancer)), "plan has changed something"
    for line in planned:
        assert re.match(r"ip (-[46] )?route", line) and re.search(r"\b(30|velox)\b", line), line
    balancer.up()
    after = state(lab, balancer)
    assert not differences(before, after, "routes", "routes6", "maps", "objects", "run")
    for section in ("routes", "routes6"):
        changed = differences({section: before[section]}, {section: after[section]})
        for line in changed.splitlines()[2:]:
            assert line.startswith("@@") or "table 30" in line or "nexthop" in line, changed
    assert not commands(balancer.plan())
    seen = tcp_who(lab, 400)
    assert 270 <= seen["192.168.1.2"] <= 330


def test_hand_made_damage_is_planned_and_mended(lab, balancer):
    balancer.up(Config(lab))
    before = snapshot(lab)
    lab.gateway.run("ip", "route", "flush", "table", "11")
    lab.gateway.run("ip", "rule", "del", "from", "192.168.2.2")
    planned = commands(balancer.plan())
    assert any("rule" in line for line in planned) and any("route" in line for line in planned)
    balancer.up()
    assert not differences(before, snapshot(lab), "run")


def test_down_twice(lab, balancer):
    balancer.up(Config(lab))
    balancer.down()
    before = snapshot(lab)
    assert balancer.run("down").returncode == 0
    assert not differences(before, snapshot(lab))


def test_new_uplink_joins(lab, balancer):
    balancer.up(Config(lab, {"velox1": 1}))
    assert set(tcp_who(lab, 50)) == {"192.168.1.2"}
    balancer.up(Config(lab, {"velox1": 1, "velox2": 1}))
    assert set(tcp_who(lab, 50)) == {"192.168.1.2", "192.168.2.2"}


def test_what_may_be_left_out(lab, balancer):
    """The LAN's networks are then the subnets of its interfaces; tables are chosen."""
    before = snapshot(lab)
    text = re.sub(r"^(table|table_name|weight|default_uplink) = .*\n", "",
                  Config(lab, networks=False).text(), flags=re.MULTILINE)
    balancer.up(text)
    for family in (4, 6):
        assert sorted(tcp_who(lab, 100, family).values()) == pytest.approx([50, 50], abs=15)
    assert not commands(balancer.plan())
    balancer.down()
    assert not differences(before, snapshot(lab))


def test_routers_with_the_same_link_local_address(lab, balancer):
    """What router advertisements bring: fe80::1 on every link."""
    for uplink in lab.uplinks:
        uplink.router.run("ip", "addr", "add", "fe80::1/64", "dev", "customer", "nodad")
    before = snapshot(lab)
    text = re.sub(r'^gateway6 = ".*"', 'gateway6 = "fe80::1"', Config(lab).text(), flags=re.MULTILINE)
    balancer.up(text)
    assert sorted(tcp_who(lab, 100, 6).values()) == pytest.approx([50, 50], abs=15)
    balancer.down()
    assert not differences(before, snapshot(lab))


def test_without_any_ipv6(linkbal):
    with Lab(hosts=2, ipv6=False) as lab:
        before, balancer = snapshot(lab), Balancer(lab, linkbal)
        balancer.up(Config(lab))
        assert sorted(tcp_who(lab, 100).values()) == pytest.approx([50, 50], abs=15)
        assert "10002" not in snapshot(lab)["rules6"], "rules for a family that no uplink has"
        balancer.down()
        assert not differences(before, snapshot(lab))
