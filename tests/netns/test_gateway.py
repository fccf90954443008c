# SPDX-License-Identifier: GPL-2.0-or-later
"""The gateway's own traffic, its tables and settings, and networks that are no internet."""

import json
import re

import pytest
from lab import Balancer, Config, ping, tcp_who
from lab.clients import tcp_seen

LAB = {"hosts": 2, "uplinks": 2}


@pytest.fixture(scope="module", autouse=True)
def balancer(linkbal, shared_lab):
    shared_lab.site("early", 30)
    balancer = Balancer(shared_lab, linkbal)
    balancer.up(Config(shared_lab, default_uplink='"velox2"'))
    shared_lab.site("late", 31)
    yield balancer
    assert shared_lab.spoofed() == 0


@pytest.mark.parametrize("family", [4, 6])
def test_own_traffic_takes_the_preferred_default(shared_lab, family):
    with shared_lab.gateway.entered():
        for server in shared_lab.servers(family)[:5]:
            assert tcp_seen(server) == shared_lab.uplinks[1].address(family)


@pytest.mark.parametrize("family", [4, 6])
def test_own_traffic_follows_its_source_address(shared_lab, family):
    with shared_lab.gateway.entered():
        for uplink in shared_lab.uplinks * 3:
            source = uplink.address(family)
            assert tcp_seen(shared_lab.servers(family)[0], source=source) == source


def test_preferred_default_route(shared_lab):
    shown = shared_lab.gateway.output("ip", "route", "show", "default")
    assert "via 192.168.2.1 dev eth2" in shown


def test_a_table_per_link_by_name(shared_lab):
    for uplink in shared_lab.uplinks:
        shown = shared_lab.gateway.output("ip", "route", "show", "table", uplink.name)
        assert f"default via {uplink.router4} dev {uplink.device}" in shown
        assert f"{uplink.network4} dev {uplink.device}" in shown
        shown = shared_lab.gateway.output("ip", "-6", "route", "show", "table", uplink.name)
        assert f"default via {uplink.router6} dev {uplink.device}" in shown
        assert f"{uplink.network6} dev {uplink.device}" in shown


@pytest.mark.parametrize("family", [4, 6])
def test_balancing_table_has_every_link(shared_lab, family):
    shown = shared_lab.gateway.output("ip", f"-{family}", "route", "show", "table", "velox")
    assert "default" in shown
    for uplink in shared_lab.uplinks:
        router = uplink.router4 if family == 4 else uplink.router6
        assert re.search(rf"nexthop via {router} dev {uplink.device} weight 1\b", shown), shown


@pytest.mark.parametrize("family", [4, 6])
def test_a_source_rule_per_link_address(shared_lab, family):
    rules = json.loads(shared_lab.gateway.output("ip", "-j", f"-{family}", "rule", "show"))
    sources = {r["src"]: r["table"] for r in rules if r["src"] != "all"}
    for uplink in shared_lab.uplinks:
        assert sources[uplink.address(family)] == uplink.name


def test_settings(shared_lab):
    def value(key):
        return int(shared_lab.gateway.read(f"/proc/sys/net/{key}"))

    assert value("ipv4/ip_forward") == 1
    assert value("ipv6/conf/all/forwarding") == 1
    assert value("ipv4/icmp_echo_ignore_broadcasts") == 1
    for uplink in shared_lab.uplinks:
        own = value(f"ipv4/conf/{uplink.device}/rp_filter")
        assert max(own, value("ipv4/conf/all/rp_filter")) != 1, "a strict filter is in the way"


def test_no_iptables_rule_exists(shared_lab):
    assert shared_lab.gateway.read("/proc/net/ip_tables_names") == ""
    assert shared_lab.gateway.read("/proc/net/ip6_tables_names") == ""
    tables = shared_lab.gateway.output("nft", "list", "tables").split("\n")
    assert [t for t in tables if t] == [f"table inet {shared_lab.instance}"]


@pytest.mark.parametrize("site", [30, 31], ids=["up before linkbal", "up after linkbal"])
@pytest.mark.parametrize("family", [4, 6])
def test_other_sites_see_the_clients_own_address(shared_lab, family, site):
    """A VPN's networks stand in the main table: neither balanced nor masqueraded."""
    near, far = ((f"10.{site}.0.2", f"10.{site}.1.9") if family == 4
                 else (f"2001:db8:{site}::2", f"2001:db8:{site}:1::9"))
    for host in shared_lab.hosts:
        own = host.address4 if family == 4 else host.address6
        assert set(tcp_who(shared_lab, 20, family, hosts=[host], servers=[near, far])) == {own}


@pytest.mark.parametrize("family", [4, 6])
def test_gateway_and_providers_answer_to_the_lan(shared_lab, family):
    uplinks = shared_lab.uplinks
    addresses = [u.address(family) for u in uplinks]
    addresses += [u.router4 if family == 4 else u.router6 for u in uplinks]
    addresses.append("192.168.0.1" if family == 4 else "2001:db8:a::1")
    assert len(ping(shared_lab.hosts, addresses)) == len(addresses) * len(shared_lab.hosts)
