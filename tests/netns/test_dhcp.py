# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses and gateways that a real DHCP server gives and changes, and that ppp-like links learn (P9).

`gateway` is left out of the configuration: it is followed from the interface.
"""

import json

import pytest
from lab import Balancer, Config, Lab, tcp_who, waituntil
from lab.busy import Busy
from lab.clients import TWICE
from lab.daemon import Daemon
from lab.dhcp import Client, Server
from lab.failures import SilentGateway
from lab.steady import Steady

LAB = {"hosts": 2, "uplinks": 2, "ipv6": False}
HEALTH = {"interval": "100ms", "timeout": "300ms", "down_after": 3, "up_after": 3}


def config(lab, *followed):
    """The gateways of these links are followed, and so is velox1's unless others are named."""
    return Config(lab, sections={"health": HEALTH},
                  links={name: {"gateway": None} for name in followed or ("velox1",)})


def wait_seen(lab, *addresses):
    waituntil(lambda: set(tcp_who(lab, TWICE)) == set(addresses), 20, f"connections by {addresses}",
              step=0.1)


def default_of(lab, table):
    routes = json.loads(lab.gateway.output("ip", "-j", "route", "show", "table", table))
    return next((r.get("gateway") for r in routes if r["dst"] == "default"), None)


@pytest.fixture
def leased(lab):
    """eth1 of the gateway has nothing but what DHCP brings."""
    first = lab.uplinks[0]
    lab.gateway.run("ip", "addr", "flush", "dev", first.device)
    return Server(lab, first, "192.168.1.100", "192.168.1.1")


def renumber(lab, server, address, router):
    """Another address and another router; the former router can go then, alone."""
    provider = lab.uplinks[0].router
    provider.sysctl(**{"ipv4/conf/customer/promote_secondaries": 1})
    provider.run("ip", "addr", "add", f"{router}/24", "dev", "customer")
    server.change(address, router)


def test_address_and_gateway_change_on_renewal(lab, balancer, leased):
    first, second = lab.uplinks
    client = Client(lab, first)
    client.wait("192.168.1.100", "192.168.1.1")
    with Daemon(balancer, config(lab)) as daemon, Busy(lab, 30) as busy, Steady(lab, second) as steady:
        wait_seen(lab, "192.168.1.100", "192.168.2.2")
        assert default_of(lab, "velox1") == "192.168.1.1"
        renumber(lab, leased, "192.168.1.101", "192.168.1.7")
        client.renew()
        client.wait("192.168.1.101", "192.168.1.7")
        waituntil(lambda: default_of(lab, "velox1") == "192.168.1.7", what="the table follows")
        first.router.run("ip", "addr", "del", "192.168.1.1/24", "dev", "customer")
        wait_seen(lab, "192.168.1.101", "192.168.2.2")
        daemon.wait("velox1", "up")
        assert not [c for c in busy.stuck() if c.seen == second.address4]
        assert steady.lost() == 0
        rules = lab.gateway.output("ip", "rule")
        assert "192.168.1.101" in rules and "192.168.1.100" not in rules


def test_only_the_gateway_changes(lab, balancer, leased):
    """The address stays, and connections with it: a new way out is no outage."""
    first = lab.uplinks[0]
    client = Client(lab, first)
    client.wait("192.168.1.100", "192.168.1.1")
    with Daemon(balancer, config(lab)) as daemon, Busy(lab, 30) as busy:
        wait_seen(lab, "192.168.1.100", "192.168.2.2")
        renumber(lab, leased, "192.168.1.100", "192.168.1.7")
        client.renew()
        client.wait("192.168.1.100", "192.168.1.7")
        waituntil(lambda: default_of(lab, "velox1") == "192.168.1.7", what="the table follows")
        first.router.run("ip", "addr", "del", "192.168.1.1/24", "dev", "customer")
        assert not busy.stuck()
        assert daemon.states() == {"velox1": "up", "velox2": "up"}
        with SilentGateway(lab, first):  # the new gateway is the one that is probed
            daemon.wait("velox1", "down")
        daemon.wait("velox1", "up")


def test_the_lease_comes_late(lab, balancer, leased):
    """The daemon starts while the link has no address, and takes it in when it has one."""
    with Daemon(balancer, config(lab)) as daemon:
        assert "address" in daemon.wait("velox1", "down")["reason"]
        wait_seen(lab, "192.168.2.2")
        Client(lab, lab.uplinks[0]).wait("192.168.1.100", "192.168.1.1")
        daemon.wait("velox1", "up")
        wait_seen(lab, "192.168.1.100", "192.168.2.2")


def test_the_lease_ends(lab, balancer, leased):
    client = Client(lab, lab.uplinks[0])
    client.wait("192.168.1.100", "192.168.1.1")
    with Daemon(balancer, config(lab)) as daemon, Steady(lab, lab.uplinks[1]) as steady:
        wait_seen(lab, "192.168.1.100", "192.168.2.2")
        client.release()
        assert "address" in daemon.wait("velox1", "down")["reason"]
        wait_seen(lab, "192.168.2.2")
        client.renew()
        client.wait("192.168.1.100", "192.168.1.1")
        daemon.wait("velox1", "up")
        wait_seen(lab, "192.168.1.100", "192.168.2.2")
        assert steady.lost() == 0


def test_down_leaves_what_dhcp_brought(lab, balancer, leased):
    """The client's route is where it was, also when it has changed meanwhile."""
    client = Client(lab, lab.uplinks[0])
    client.wait("192.168.1.100", "192.168.1.1")
    with Daemon(balancer, config(lab)) as daemon:
        renumber(lab, leased, "192.168.1.101", "192.168.1.7")
        client.renew()
        client.wait("192.168.1.101", "192.168.1.7")
        waituntil(lambda: default_of(lab, "velox1") == "192.168.1.7", what="the table follows")
        balancer.down()
        assert daemon.ended() == 0
    routes = lab.gateway.output("ip", "route", "show", "default")
    assert routes.split() == "default via 192.168.1.7 dev eth1 proto dhcp metric 100".split()


def test_router_advertisements_move(linkbal):
    """The IPv6 gateway, followed from the default route that the interface has."""
    with Lab(hosts=2, uplinks=2) as lab:
        first, second = lab.uplinks
        for uplink in lab.uplinks:
            lab.gateway.run("ip", "-6", "route", "add", "default", "via", uplink.router6,
                            "dev", uplink.device, "metric", 1024 + uplink.number, "proto", "ra")
        links = {name: {"gateway6": None} for name in ("velox1", "velox2")}
        with Daemon(Balancer(lab, linkbal), Config(lab, sections={"health": HEALTH}, links=links)) \
                as daemon, Busy(lab, 20, 6) as busy:
            both = {u.address6 for u in lab.uplinks}
            waituntil(lambda: set(tcp_who(lab, TWICE, 6)) == both, what="both links")
            first.router.run("ip", "addr", "add", "2001:db8:1::7/64", "dev", "customer", "nodad")
            lab.gateway.run("ip", "-6", "route", "replace", "default", "via", "2001:db8:1::7",
                            "dev", "eth1", "metric", "1025", "proto", "ra")
            waituntil(lambda: "via 2001:db8:1::7 " in lab.gateway.output(
                "ip", "-6", "route", "show", "table", "10"), what="the table follows")
            first.router.run("ip", "addr", "del", "2001:db8:1::1/64", "dev", "customer")
            assert not busy.stuck()
            assert set(tcp_who(lab, TWICE, 6)) == both
            assert daemon.states() == {"velox1": "up", "velox2": "up"}


@pytest.mark.parametrize("family", [4, 6])
def test_daemon_with_tun_uplinks(linkbal, family):
    """No Ethernet header, no gateway that could be asked for its MAC address."""
    with Lab(hosts=2, uplinks=2, tun=(1, 2)) as lab:
        first, second = lab.uplinks
        # Like a PPP link: the way out is the device itself.
        for uplink in lab.uplinks:
            lab.gateway.run("ip", "route", "add", "default", "dev", uplink.device,
                            "metric", 500 + uplink.number)
            lab.gateway.run("ip", "-6", "route", "add", "default", "dev", uplink.device,
                            "metric", 500 + uplink.number)
        links = {u.name: {"gateway": None, "gateway6": None} for u in lab.uplinks}
        health = {**HEALTH, "targets": ["198.51.100.10", "2001:db8:ff::10"]}
        with Daemon(Balancer(lab, linkbal), Config(lab, sections={"health": health}, links=links)) \
                as daemon, Steady(lab, second, family) as steady:
            both = {u.address(family) for u in lab.uplinks}
            waituntil(lambda: set(tcp_who(lab, TWICE, family)) == both, what="both links")
            with SilentGateway(lab, first):
                daemon.wait("velox1", "down")
                waituntil(lambda: set(tcp_who(lab, 20, family)) == {second.address(family)},
                          what="the other link")
            daemon.wait("velox1", "up")
            waituntil(lambda: set(tcp_who(lab, TWICE, family)) == both, what="both links again")
            assert steady.lost() == 0
            assert lab.spoofed() == 0
