# SPDX-License-Identifier: GPL-2.0-or-later
"""The classic gateway in one configuration: uplinks, firewall, DHCP and DNS, forwards, helpers (S12-S17).

Each part has files of its own; here they are together, as on a real machine, and the hosts have nothing
but what the gateway tells them.
"""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from lab import Lab, differences, snapshot, waituntil
from lab.clients import tcp_seen
from lab.download import ranges
from lab.fast import Fast, Stream, Watch
from lab.firewall import Drops
from lab.ftp import ACTIVE, PASSIVE, FtpServer, fetch
from lab.lan_dhcp import NAME, NAME4, NAME6, BareHost, Dnsmasq, InternetNames
from lab.reach import OPEN, OUTSIDE, PATIENCE, SILENT, Listener, pings, send, tcp, udp
from lab.servers import BUSY, HTTP, WHO

FAMILIES = pytest.mark.parametrize("family", [4, 6])
# IPv6 counts a /64 as one source.
ELSEWHERE = {4: "203.0.113.9", 6: "2001:db8:fe:1::1"}
LAN_ADDRESS = {4: "192.168.0.1", 6: "2001:db8:a::1"}
DOMAIN, CAMERA_MAC, CAMERA = "minharede.intranet", "02:00:00:00:00:10", "192.168.0.20"
SSH, FORWARDED, DNS, DHCP = 22, 8080, 53, 67
# The gateway has servers there, so that an answer would be seen.
SERVED = (SSH, DNS, HTTP, WHO, BUSY)
SCANNED = [*(("tcp", port) for port in (*SERVED, 21, 23, 443, 2121, FORWARDED, FORWARDED + 1)),
           *(("udp", port) for port in (DNS, DHCP, WHO, 69, 123, 500, 547, 5060, FORWARDED))]


def sections(file):
    return {
        "firewall": {"dns_servers": [InternetNames.ADDRESS]},
        "firewall.allow": [{"service": ["ssh"], "from": ["lan", "203.0.113.0/24", "2001:db8:fe::/48"]}],
        "forward": [{"name": "camera", "port": FORWARDED, "to": f"{CAMERA}:{BUSY}"}],
        "helpers": {"ftp": True},
        "dhcp": {"lease_time": "10m", "domain": DOMAIN, "file": file},
        "dhcp.range": [{"first": "192.168.0.100", "last": "192.168.0.150"}],
        "dhcp.host": [{"mac": CAMERA_MAC, "address": CAMERA, "name": "camera"}],
        "dhcp.ipv6": {"mode": "slaac"}}


@pytest.fixture(scope="module", params=["tc", "xdp"])
def whole(linkbal, request):
    """The gateway, its two hosts and the servers; `before` is the gateway without linkbal."""
    with Lab(hosts=2, uplinks=2) as lab, contextlib.ExitStack() as stack:
        made = SimpleNamespace(lab=lab, fast=Fast(lab, request.param, linkbal), drops=Drops(lab))
        names = InternetNames(lab, DOMAIN)
        made.before = snapshot(lab)
        path = f"{lab.directory}/dnsmasq.conf"
        made.fast.write(made.fast.configured(sections=sections(path)))
        made.fast.run("dhcp", "--write", check=True)
        made.fast.up(made.fast.configured(sections=sections(path)))
        stack.enter_context(Listener(lab.gateway, SSH))
        lab.serve(lab.gateway, *LAN_ADDRESS.values(),
                  *(u.address(f) for u in lab.uplinks for f in (4, 6)))
        Dnsmasq(lab, path, names.resolv_conf)
        made.camera = BareHost(lab, lab.hosts[1], CAMERA_MAC)
        made.camera.lease()
        lab.serve(made.camera.space)
        made.host = BareHost(lab, lab.hosts[0])
        made.lease = made.host.lease("-x", "hostname:laptop")
        made.ftp = stack.enter_context(FtpServer(lab, lab.internet))
        yield made
        assert lab.spoofed() == 0


@contextlib.contextmanager
def by_both_links(lab, match):
    with contextlib.ExitStack() as stack:
        links = [stack.enter_context(Watch(u.router, match)) for u in lab.uplinks]
        yield links
    assert all(link.last for link in links), [link.last for link in links]


# A host of the LAN

def test_a_host_learns_all_that_it_needs(whole):
    assert 100 <= int(whole.lease["ip"].rsplit(".", 1)[1]) <= 150
    assert (whole.lease["router"], whole.lease["dns"]) == ("192.168.0.1", "192.168.0.1")
    assert whole.lease["domain"] == DOMAIN
    assert whole.host.default_routers() == ["192.168.0.1"]
    router, addresses = whole.host.advertised()
    assert router.startswith("fe80:") and addresses[0].startswith("2001:db8:a:")
    for family in (4, 6):
        assert pings(whole.host.space, LAN_ADDRESS[family])


def test_names(whole):
    """By the gateway or by the server that is named; nobody else is asked, as the firewall says."""
    host = whole.host
    with whole.drops.quiet():
        assert host.resolve(whole.lease["dns"], NAME) == ([NAME4], "NOERROR")
        assert host.resolve(LAN_ADDRESS[6], NAME, "AAAA") == ([NAME6], "NOERROR")
        assert host.resolve(whole.lease["dns"], f"laptop.{DOMAIN}") == ([whole.lease["ip"]], "NOERROR")
        assert host.resolve(InternetNames.ADDRESS, NAME) == ([NAME4], "NOERROR")
    with whole.drops.counted("dns"):
        asked = host.space.run("dig", "+tries=1", "+time=1", "@198.51.100.54", NAME, check=False)
    assert NAME4 not in asked.stdout


@FAMILIES
def test_downloads_by_both_links(whole, family):
    whole.host.advertised()
    server = {4: NAME4, 6: NAME6}[family]
    with by_both_links(whole.lab, f"tcp dport {HTTP}"), whole.drops.quiet("input", "forward", "spoofed"):
        ranges(whole.host.space, server, 2_000_000, 20)


@FAMILIES
@pytest.mark.parametrize("mode", [ACTIVE, PASSIVE], ids=["active", "passive"])
def test_ftp(whole, family, mode):
    """By which link a server is asked first is chance: twelve by the same happen once in 2000 times."""
    whole.host.advertised()
    prefix = {4: "198.51.100.", 6: "2001:db8:ff::"}[family]
    with by_both_links(whole.lab, "tcp dport 21") as links, whole.drops.quiet("input", "forward", "spoofed"):
        for n in range(1, 51):
            assert fetch(whole.host.space, f"{prefix}{n}", mode) == whole.ftp.content
            if n >= 12 and all(link.packets() for link in links):
                break


@FAMILIES
def test_the_fast_path_is_used(whole, family):
    whole.host.advertised()
    assert {d["forwarding"] for d in whole.fast.json("status")["devices"]} == {whole.fast.mode}
    with Watch(whole.lab.gateway, f"udp dport {WHO}") as watch, \
            Stream(whole.lab, family, host=whole.host.space) as stream:
        waituntil(lambda: whole.fast.offloaded(stream.source), 10, "the fast path has it")
        hits, sent = whole.fast.counts()["hits"], len(stream.at)
        waituntil(lambda: len(stream.at) >= sent + 200, 20, "more datagrams")
        assert stream.stop() == []
        assert whole.fast.counts()["hits"] - hits >= 200
    assert watch.last < len(stream.at) / 2, "the kernel sees the beginning, and renewals"


# The internet

@FAMILIES
@pytest.mark.parametrize("who", ["anybody", "the administrator"])
def test_what_is_open_to_the_internet(whole, family, who):
    """The forward to anybody (its target is an IPv4 address), SSH to those that are listed."""
    source = {"anybody": OUTSIDE, "the administrator": ELSEWHERE}[who][family]
    allowed = {("tcp", FORWARDED)} if family == 4 else set()
    if who == "the administrator":
        allowed.add(("tcp", SSH))
    for uplink in whole.lab.uplinks:
        there = uplink.address(family)
        with whole.drops.counted("input", len(SCANNED) - len(allowed) + 1):
            found = scan(whole.lab.internet, there, source, allowed)
            assert {what for what, answer in found.items() if answer == OPEN} == allowed
            assert {answer for what, answer in found.items() if what not in allowed} == {SILENT}
            assert not pings(whole.lab.internet, there, source, PATIENCE)


def scan(space, address, source, allowed):
    """{(protocol, port): OPEN, REFUSED or SILENT}, all asked at once; what is allowed may take its time."""
    def ask(what):
        patience = 5 if what in allowed else PATIENCE
        return {"tcp": tcp, "udp": udp}[what[0]](space, address, what[1], source, patience)
    with ThreadPoolExecutor(len(SCANNED)) as pool:
        return dict(zip(SCANNED, pool.map(ask, SCANNED)))


def test_the_camera_knows_who_it_is(whole):
    for uplink in whole.lab.uplinks * 3:
        with whole.lab.internet.entered():
            assert tcp_seen(uplink.address4, OUTSIDE[4], port=FORWARDED) == OUTSIDE[4]
    with whole.host.space.entered():
        assert tcp_seen(whole.lab.uplinks[1].address4, port=FORWARDED), "from the LAN, too"


@FAMILIES
def test_what_serves_the_lan_is_not_there_for_the_uplinks(whole, family):
    """Neither at their own addresses nor at the LAN's, which the gateway has as well."""
    for uplink in whole.lab.uplinks:
        router, own = uplink.router, {4: uplink.router4, 6: uplink.router6}[family]
        router.run("ip", f"-{family}", "route", "replace", f"{LAN_ADDRESS[family]}", "via",
                   uplink.address(family))
        for there in (uplink.address(family), LAN_ADDRESS[family]):
            with whole.drops.counted("input", 3):
                asked = router.run("dig", "+tries=1", "+time=1", "-b", own, f"@{there}", NAME, check=False)
                assert asked.returncode == 9, asked.stdout  # no reply
                assert tcp(router, there, DNS, own, PATIENCE) == SILENT
                send(router, there, {4: DHCP, 6: 547}[family], bytes(300), own)
    assert whole.host.resolve(LAN_ADDRESS[family], NAME) == ([NAME4], "NOERROR")


def test_no_lease_by_an_uplink(whole):
    """Who has no address yet asks from 0.0.0.0, which nobody may by an uplink."""
    for uplink in whole.lab.uplinks:
        with whole.drops.counted("spoofed"):
            asked = uplink.router.run("udhcpc", "--interface", "customer", "--now", "--quit", "--retries",
                                      "2", "--timeout", "1", "--script", "/bin/true", check=False)
        assert asked.returncode == 1, asked.stdout + asked.stderr


# The end; it takes down what the tests above have in common

def test_down_leaves_the_gateway_as_it_was(whole):
    whole.fast.down()
    changed = differences(whole.before, snapshot(whole.lab))
    assert not changed, changed
