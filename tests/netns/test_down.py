# SPDX-License-Identifier: GPL-2.0-or-later
"""`down` leaves the machine byte for byte as it was, whoever else lives there (P15, S9)."""

import pytest
from lab import Config, differences, snapshot, tcp_who
from lab.clients import TWICE
from lab.foreign import settle_in

LAB = {"hosts": 2, "uplinks": 2}


def used(lab):
    """Some traffic, so that whatever happens only then has happened."""
    tcp_who(lab, 50)
    tcp_who(lab, 50, 6)


def test_bare_machine(lab, balancer, attach):
    before = snapshot(lab)
    balancer.up(Config(lab, attach=attach))
    assert differences(before, snapshot(lab))
    used(lab)
    balancer.down()
    assert not differences(before, snapshot(lab))


def test_inhabited_machine(lab, balancer, attach):
    settle_in(lab)
    before = snapshot(lab)
    balancer.up(Config(lab, attach=attach))
    used(lab)
    balancer.down()
    assert not differences(before, snapshot(lab))


def test_after_several_ups(lab, balancer, attach):
    settle_in(lab)
    before = snapshot(lab)
    for weights in ({"velox1": 1, "velox2": 1}, {"velox1": 3, "velox2": 1}, {"velox2": 1},
                    {"velox1": 1, "velox2": 1}):
        balancer.up(Config(lab, weights, attach=attach))
    used(lab)
    balancer.down()
    assert not differences(before, snapshot(lab))


def test_changing_the_way_to_attach(lab, balancer):
    before = snapshot(lab)
    for attach in ('"auto"', '"clsact"', '"auto"', '"clsact"'):
        balancer.up(Config(lab, attach=attach))
        assert len(tcp_who(lab, TWICE)) == 2
    balancer.down()
    assert not differences(before, snapshot(lab))


@pytest.mark.parametrize("routes", [
    ["default via 192.168.1.1 dev eth1"],
    ["default via 192.168.1.1 dev eth1 metric 100"],
    ["default via 192.168.2.1 dev eth2", "default via 192.168.1.1 dev eth1 metric 600"],
    ["default via 192.168.2.1 dev eth2 proto dhcp src 192.168.2.2 metric 1024"],
], ids=["same default", "worse default", "two defaults", "default of a DHCP client"])
def test_default_routes_that_were_there(lab, balancer, routes):
    lines = "".join(f"route add {route}\n" for route in routes)
    lab.gateway.batch(lines)
    lab.gateway.run("ip", "-6", "route", "add", "default", "via", "2001:db8:1::1", "metric", "55")
    before = snapshot(lab)
    balancer.up(Config(lab))
    shown = lab.gateway.output("ip", "route", "get", "198.51.100.10")
    assert "dev eth1" in shown
    balancer.down()
    assert not differences(before, snapshot(lab))


def test_settings_that_were_there(lab, balancer):
    """Also where they already are, or are stricter than, what linkbal wants."""
    lab.gateway.sysctl(**{
        "ipv4/ip_forward": 1, "ipv4/conf/all/rp_filter": 1, "ipv4/conf/eth1/rp_filter": 1,
        "ipv4/conf/eth2/rp_filter": 0, "ipv4/fib_multipath_hash_policy": 1,
        "ipv6/conf/eth1/accept_ra": 2, "ipv6/conf/eth2/accept_ra": 0,
        "ipv6/conf/eth0/forwarding": 1})
    before = snapshot(lab)
    balancer.up(Config(lab))
    used(lab)
    balancer.down()
    assert not differences(before, snapshot(lab))


def test_device_gone_while_up(lab, balancer):
    """What went with the device cannot be restored; everything else is."""
    balancer.up(Config(lab))
    lab.gateway.run("ip", "link", "del", "eth2")
    assert balancer.run("down").returncode == 0
    after = snapshot(lab)
    assert lab.instance not in after["nft"] + after["pins"] + after["rt_tables.d"]
    for section in ("rules", "rules6"):
        assert not [r for r in after[section].splitlines() if r.startswith("1000")], after[section]


def test_config_gone_or_broken_while_up(lab, balancer):
    """`down` knows what to restore without the configuration that `up` had."""
    before = snapshot(lab)
    balancer.up(Config(lab))
    balancer.write("this is no configuration\n")
    assert balancer.run("down").returncode == 0
    assert not differences(before, snapshot(lab))
