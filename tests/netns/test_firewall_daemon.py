# SPDX-License-Identifier: GPL-2.0-or-later
"""[firewall] under `linkbal run`: probes, links that fail, reloads, addresses that change (S12, S13, P4)."""

import json

import pytest
from lab import Config, tcp_who, waituntil
from lab.daemon import Daemon
from lab.dhcp import Client, Server
from lab.failures import WAYS, SilentInternet
from lab.fast import Fast, Stream
from lab.firewall import Drops
from lab.probed import DNS4, DNS6, NAME, serve_dns
from lab.raw import TCP, ip, uplink_wire
from lab.reach import OPEN, OUTSIDE, PATIENCE, SILENT, Listener, pings, tcp, udp
from lab.servers import WHO

LAB = {"hosts": 2, "uplinks": 2}
FAMILIES = pytest.mark.parametrize("family", [4, 6])
HOST = {4: "192.168.0.10", 6: "2001:db8:a::10"}
SSH, PORT = 22, 8080
PROBES = {"icmp": {"targets": ["198.51.100.10", "2001:db8:ff::10"]},
          "dns": {"targets": [DNS4, DNS6], "query": NAME}}
SSH_FROM_LAN = [{"service": ["ssh"]}]


def sections(probe="icmp", **more):
    """Further keys are sections; those of PROBES are behind the providers' routers."""
    health = {"interval": "100ms", "timeout": "300ms", "down_after": 3, "up_after": 3, "passive": False,
              "probe": probe, **PROBES[probe]}
    return {"health": health, "firewall": {}, **more}


def forwards(port=PORT, to_port=WHO):
    to = (f"{HOST[4]}:{to_port}", f"[{HOST[6]}]:{to_port}")
    return [{"protocol": ["tcp", "udp"], "port": port, "to": there} for there in to]


def wait_judged(daemon):
    for family in ("ipv4", "ipv6"):
        waituntil(lambda f=family: all(u["health"][f]["verdict"] == "good"
                                       for u in daemon.uplinks().values()), 15, f"{family} is good")


def rules(lab):
    """The table without what counts and what comes and goes by itself."""
    shown = json.loads(lab.gateway.output("nft", "-j", "-s", "list", "table", "inet", lab.instance))
    found = [item for item in shown["nftables"] if not {"counter", "metainfo"} & set(item)]
    for item in found:
        for thing in item.values():
            thing.pop("handle", None)
    return found


def reload(daemon, config):
    """Waits until the new configuration is in force."""
    before = daemon.said("READY=1")
    daemon.balancer.write(config)
    daemon.hup()
    waituntil(lambda: daemon.said("READY=1") > before, 15, "the reload")


# Links that fail

@pytest.mark.parametrize("probe", PROBES)
def test_a_link_fails_and_comes_back(lab, balancer, probe):
    """Probes are answered through the firewall, which is closed all the time and counts on."""
    if probe == "dns":
        serve_dns(lab)
    dead, good = lab.uplinks
    drops = Drops(lab)

    def assert_closed(*uplinks):
        for address, outside in ((u.address(f), OUTSIDE[f]) for u in uplinks for f in (4, 6)):
            with drops.counted("input"):
                assert tcp(lab.internet, address, SSH, outside, PATIENCE) == SILENT
        assert tcp(lab.hosts[0], "192.168.0.1", SSH) == OPEN
    config = Config(lab, sections=sections(probe, **{"firewall.allow": SSH_FROM_LAN}))
    with Listener(lab.gateway, SSH), Daemon(balancer, config) as daemon:
        wait_judged(daemon)
        with drops.quiet("input", "spoofed"):
            for family in (4, 6):
                assert set(tcp_who(lab, 40, family)) == {u.address(family) for u in lab.uplinks}
        assert_closed(dead, good)
        before, counted = rules(lab), drops.counters()
        with SilentInternet(lab, dead):
            daemon.wait(dead.name, "down")
            for family in (4, 6):
                assert set(tcp_who(lab, 20, family)) == {good.address(family)}
            assert_closed(good)
        daemon.wait(dead.name, "up")
        wait_judged(daemon)
        assert rules(lab) == before
        assert all(packets >= counted[name] for name, packets in drops.counters().items())
        assert_closed(dead, good)
    assert lab.spoofed() == 0


@pytest.mark.parametrize("way", ["carrier", "deleted", "address"])
def test_nothing_is_open_when_devices_change(lab, balancer, way):
    """The firewall of a link that goes and comes is there when it is."""
    dead = lab.uplinks[0]
    drops = Drops(lab)
    config = Config(lab, sections=sections(forward=forwards()))
    lab.serve(lab.hosts[0], *HOST.values())
    with Listener(lab.gateway, SSH), Daemon(balancer, config) as daemon:
        wait_judged(daemon)
        before, counted = rules(lab), drops.counters()["input"]
        failure = WAYS[way](lab, dead)
        failure.fail()
        daemon.wait(dead.name, "down")
        failure.recover()
        daemon.wait(dead.name, "up")
        waituntil(lambda: rules(lab) == before, 10, "the same rules")
        assert drops.counters()["input"] >= counted
        for family in (4, 6):
            with drops.counted("input", 2):
                assert tcp(lab.internet, dead.address(family), SSH, OUTSIDE[family], PATIENCE) == SILENT
                assert not pings(lab.internet, dead.address(family), OUTSIDE[family], PATIENCE)
            assert tcp(lab.internet, dead.address(family), PORT, OUTSIDE[family]) == OPEN
            assert tcp(lab.hosts[1], dead.address(family), PORT) == OPEN


# Reloads

def assert_open(lab, outside, inside):
    """These ports, to somebody outside and to a host of the LAN, and no others; what is open may take its
    time."""
    for space, source, wanted in ((lab.internet, OUTSIDE[4], outside), (lab.hosts[1], None, inside)):
        found = {port for port in (SSH, PORT, PORT + 1) if OPEN == tcp(
            space, lab.uplinks[0].address4, port, source, 5.0 if port in wanted else PATIENCE)}
        assert found == wanted, space.name


def test_a_reload_changes_the_firewall(lab, balancer):
    """Services, pings and forwards at once; what has been counted stays."""
    lab.serve(lab.hosts[0], *HOST.values())
    drops = Drops(lab)
    first = sections(forward=forwards(), **{"firewall.allow": SSH_FROM_LAN})
    second = sections(forward=forwards(PORT + 1), **{
        "firewall": {"ping": ["uplinks"]},
        "firewall.allow": [{"service": ["ssh"], "from": ["uplinks"]}]})
    outside = lab.uplinks[0].address4
    with Listener(lab.gateway, SSH), Daemon(balancer, Config(lab, sections=first)) as daemon:
        for wanted, other in ((first, second), (second, first)):
            if wanted is first:
                assert_open(lab, {PORT}, {PORT, SSH})
                assert pings(lab.hosts[0], "192.168.0.1")
                assert not pings(lab.internet, outside, OUTSIDE[4], PATIENCE)
            else:
                assert_open(lab, {PORT + 1, SSH}, {PORT + 1})
                assert pings(lab.internet, outside, OUTSIDE[4])
                assert not pings(lab.hosts[0], "192.168.0.1", patience=PATIENCE)
            before = drops.counters()
            assert before["input"]
            reload(daemon, Config(lab, sections=other))
            assert all(packets >= before[name] for name, packets in drops.counters().items())


@pytest.mark.parametrize("mode", ["tc", "xdp"])
def test_a_reload_and_flows_of_the_fast_path(linkbal, lab, mode):
    """A forward that is taken out leaves open connections alone: the fast path's like the kernel's."""
    lab.serve(lab.hosts[0], *HOST.values())
    fast = Fast(lab, mode, linkbal)
    there = lab.uplinks[1].address4
    with Daemon(fast, fast.configured(sections=sections(forward=forwards()))) as daemon, \
            Stream(lab, host=lab.internet, server=there, port=PORT, source=OUTSIDE[4]) as stream:
        waituntil(lambda: fast.offloaded(stream.source), 10, "the fast path has it")
        reload(daemon, fast.configured(sections=sections()))
        assert udp(lab.internet, there, PORT, OUTSIDE[4], PATIENCE) == SILENT
        sent = len(stream.at)
        # Several leases: each renewal is the kernel's, and the new firewall's.
        waituntil(lambda: len(stream.at) >= sent + 800, 30, "more datagrams")
        assert fast.offloaded(stream.source)
        assert stream.stop() == []


@FAMILIES
@pytest.mark.parametrize("mode", ["tc", "xdp"])
def test_a_new_drop_ends_a_flow_of_the_fast_path(linkbal, lab, mode, family):
    """A network becomes the LAN's: who comes from it by an uplink is a liar from then on, also in a
    connection that is open. No lease hides that for long."""
    fast, drops = Fast(lab, mode, linkbal), Drops(lab)
    server = {4: "198.51.100.10", 6: "2001:db8:ff::10"}[family]
    ours = {4: "198.51.100.10/32", 6: "2001:db8:ff::10/128"}[family]
    other = {4: "203.0.113.10", 6: "2001:db8:ff::20"}[family]
    config = fast.configured(sections=sections("dns"))
    serve_dns(lab)
    with Daemon(fast, config) as daemon, Stream(lab, family, server=server) as stream, \
            Stream(lab, family, server=other) as untouched:
        for each in (stream, untouched):
            waituntil(lambda s=each: fast.offloaded(s.source), 10, "the fast path has it")
        widened = config.text().replace('networks = ["', f'networks = ["{ours}", "')
        with drops.counted("spoofed"):
            reload(daemon, widened)
            waituntil(lambda: silent(stream), 10, "nothing comes back any more")
        untouched.await_echo()
        assert untouched.stop() == []
        reload(daemon, config)
        stream.await_echo(10)


def silent(stream, count=40):
    """Whether the last `count` datagrams have no echo; at 200 a second each has had time for it."""
    sent = len(stream.at) - 10
    return sent > count and not any(n in stream.back for n in range(sent - count, sent))


# Addresses

def test_addresses_by_dhcp(lab, balancer):
    """Forwards of the LAN's own hosts, and what nobody else may call himself, follow the lease."""
    first = lab.uplinks[0]
    lab.serve(lab.hosts[0], *HOST.values())
    lab.gateway.run("ip", "-4", "addr", "flush", "dev", first.device)
    server = Server(lab, first, "192.168.1.100", first.router4)
    client, drops = Client(lab, first), Drops(lab)
    client.wait("192.168.1.100", first.router4)
    config = Config(lab, sections=sections(forward=forwards(), **{"firewall.allow": SSH_FROM_LAN}),
                    links={"velox1": {"gateway": None}})
    with Listener(lab.gateway, SSH), Daemon(balancer, config):
        wait_forwarded(lab, "192.168.1.100")
        counted = drops.counters()["input"]
        server.change("192.168.1.101", first.router4)
        client.renew()
        client.wait("192.168.1.101", first.router4)
        wait_forwarded(lab, "192.168.1.101")
        assert tcp(lab.hosts[1], "192.168.1.100", PORT, patience=PATIENCE) != OPEN
        assert tcp(lab.hosts[1], "192.168.1.101", SSH) == OPEN, "the gateway's own service"
        with drops.counted("input"):
            assert tcp(lab.internet, "192.168.1.101", SSH, OUTSIDE[4], PATIENCE) == SILENT
        assert drops.counters()["input"] > counted
        with uplink_wire(lab, first) as wire, drops.counted("spoofed"):
            wire.send(ip("192.168.1.101", "192.168.1.101") / TCP(sport=4000, dport=SSH, flags="S"))
        sets = lab.gateway.output("nft", "list", "set", "inet", lab.instance, "outside4")
        assert "192.168.1.101" in sets and "192.168.1.100" not in sets


def wait_forwarded(lab, address):
    """From outside and, by the hairpin, from the LAN."""
    for space, source in ((lab.internet, OUTSIDE[4]), (lab.hosts[1], None)):
        waituntil(lambda s=space, f=source: tcp(s, address, PORT, f, PATIENCE) == OPEN, 15,
                  f"{space.name} is forwarded at {address}")
