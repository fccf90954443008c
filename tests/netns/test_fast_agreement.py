# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever changes the kernel's mind counts for what the fast path has taken: within a lease without
the daemon, at once with it. Captures at the far ends tell when the last old packet came."""

import contextlib
import socket
import threading
import time
from types import SimpleNamespace

import pytest
from lab import Lab, waituntil
from lab.daemon import Daemon
from lab.fast import TCP, UDP, Capture, Fast, Stream, endpoint
from lab.servers import BUSY, WHO

GATEWAYS = [("tc", False, 4), ("tc", True, 6), ("xdp", False, 6), ("xdp", True, 4)]
LEASE, AT_ONCE = 2.0, 0.5  # seconds: one lease of few flows is one; the daemon's leases here are 40


@pytest.fixture(scope="module", params=GATEWAYS,
                ids=lambda p: f"{p[0]}{', daemon' if p[1] else ''}, IPv{p[2]}")
def gateway(request, linkbal):
    mode, with_daemon, family = request.param
    with Lab(hosts=1, uplinks=2) as lab, contextlib.ExitStack() as stack:
        fast = Fast(lab, mode, linkbal)
        # Neighbours tell of a new MAC address, and are believed at any time.
        for space, device in [(u.router, "customer") for u in lab.uplinks] + [(lab.hosts[0], "eth0")]:
            space.sysctl(**{f"ipv4/conf/{device}/arp_notify": 1, f"ipv6/conf/{device}/ndisc_notify": 1})
        for device in ["eth0", *(u.device for u in lab.uplinks)]:
            lab.gateway.sysctl(**{f"ipv4/neigh/{device}/locktime": 0})
        config = fast.configured(sections={"health": {"probe": "none"}})
        if with_daemon:
            stack.enter_context(Daemon(fast, config))
        else:
            fast.up(config)
        yield SimpleNamespace(fast=fast, lab=lab, daemon=with_daemon, family=family,
                              limit=AT_ONCE if with_daemon else LEASE)


@contextlib.contextmanager
def offloaded(gateway):
    """A stream that the fast path has taken, by which uplink, and captures at all ends."""
    fast, lab = gateway.fast, gateway.lab
    if gateway.daemon:
        fast.long_leases()
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(Stream(lab, gateway.family, rate=200))

        def of_it(seen):
            return seen.protocol == UDP and WHO in (seen.sport, seen.dport)
        captures = {u.name: stack.enter_context(Capture(u.router, "customer", keep=of_it))
                    for u in lab.uplinks}
        captures["host"] = stack.enter_context(Capture(lab.hosts[0], "eth0", keep=of_it))
        flow = waituntil(lambda: fast.offloaded(stream.source), 5)
        before = fast.counts()["hits"]
        waituntil(lambda: fast.counts()["hits"] > before + 40, 5)
        stream.uplink = next(u for u in lab.uplinks if u.name == flow["uplink"])
        yield stream, captures


def settled(gateway, stream, effective, since):
    """Waits until something has its effect, and half a second longer for stragglers."""
    waituntil(effective, gateway.limit + 5, "an effect")
    count = len(stream.at)
    waituntil(lambda: len(stream.at) > count + 100, 10)
    return time.monotonic() - since


def last(frames, wanted=lambda frame: True):
    return max((f.at for f in list(frames) if wanted(f)), default=0.0)


def outgoing_to_server(capture):
    return [f for f in list(capture.frames) if f.dport == WHO]


def silent(stream, seconds=0.4):
    """True when nothing has come back for a while, though there is much to come."""
    return lambda: time.monotonic() - max(list(stream.back.values())[-10:]) > seconds


def judge(gateway, stream, since, moment, record_property):
    """`moment` is when the last packet went the old way."""
    took = moment - since
    record_property("seconds", round(took, 3))
    print(f"{took:.3f} s")
    assert took < gateway.limit


def test_a_deleted_conntrack_entry(gateway, record_property):
    """The stream is a new connection, which takes the other uplink's turn; nothing goes back to the
    former one."""
    with offloaded(gateway) as (stream, captures):
        old = stream.uplink
        new = next(u for u in gateway.lab.uplinks if u is not old)
        gateway.lab.gateway.run("conntrack", "-D", "-f", f"ipv{gateway.family}", "-p", "udp",
                                "--orig-port-src", str(stream.sport))
        since = time.monotonic()
        settled(gateway, stream, lambda: len(stream.seen) == 2, since)
    judge(gateway, stream, since, last(outgoing_to_server(captures[old.name])), record_property)
    first_new = min(f.at for f in outgoing_to_server(captures[new.name]))
    assert last(outgoing_to_server(captures[old.name])) <= first_new + 0.005
    assert [address for address, _ in stream.seen] == [old.address(gateway.family),
                                                       new.address(gateway.family)]


RULE = """
table inet stop {{
    chain forward {{
        type filter hook forward priority 0; policy accept;
        {} dport {} drop
    }}
}}"""


def test_a_new_firewall_rule(gateway, record_property):
    with offloaded(gateway) as (stream, captures):
        gateway.lab.gateway.nft(RULE.format("udp", WHO))
        since = time.monotonic()
        try:
            settled(gateway, stream, silent(stream), since)
            moment = last(outgoing_to_server(captures[stream.uplink.name]))
        finally:
            gateway.lab.gateway.nft("delete table inet stop\n")
        judge(gateway, stream, since, moment, record_property)
        stream.await_echo()


def test_a_new_firewall_rule_for_tcp(gateway, record_property):
    """An echoing connection, which sends all the time."""
    fast, lab, family = gateway.fast, gateway.lab, gateway.family
    if gateway.daemon:
        fast.long_leases()
    with lab.hosts[0].entered():
        client = socket.create_connection((lab.servers(family)[3], BUSY), timeout=5)
    own = endpoint(*client.getsockname()[:2])
    going = [True]

    def talk(way):
        with contextlib.suppress(OSError):
            while going[0]:
                way()
                time.sleep(0.002)
    threads = [threading.Thread(target=talk, args=(way,))
               for way in (lambda: client.send(b"x" * 200), lambda: client.recv(5000))]
    for thread in threads:
        thread.start()
    try:
        flow = waituntil(lambda: fast.offloaded(own), 5)
        router = next(u.router for u in lab.uplinks if u.name == flow["uplink"])

        def of_it(seen):
            return seen.protocol == TCP and seen.dport == BUSY
        with Capture(router, "customer", keep=of_it) as capture:
            waituntil(lambda: len(capture.frames) > 50, 5)
            lab.gateway.nft(RULE.format("tcp", BUSY))
            since = time.monotonic()
            waituntil(lambda: time.monotonic() - last(capture.frames[-10:]) > 0.4, 10, "silence")
            judge(gateway, None, since, last(capture.frames), record_property)
    finally:
        lab.gateway.run("nft", "delete", "table", "inet", "stop")
        going[0] = False
        client.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        client.close()


@pytest.mark.parametrize("way", ["to the server", "to the host"])
def test_a_new_route(gateway, record_property, way):
    with offloaded(gateway) as (stream, captures):
        to = stream.server if way == "to the server" else stream.address
        where = captures[stream.uplink.name] if way == "to the server" else captures["host"]
        port = "dport" if way == "to the server" else "sport"
        words = ["ip", f"-{gateway.family}", "route", "add", "blackhole", to]
        gateway.lab.gateway.run(*words)
        since = time.monotonic()
        try:
            settled(gateway, stream, silent(stream), since)
            moment = last(where.frames, lambda f: getattr(f, port) == WHO)
        finally:
            gateway.lab.gateway.run(*["del" if w == "add" else w for w in words])
        judge(gateway, stream, since, moment, record_property)
        stream.await_echo()


@pytest.mark.parametrize("who", ["provider", "LAN host"])
def test_another_mac_address(gateway, record_property, who):
    with offloaded(gateway) as (stream, captures):
        if who == "provider":
            space, device, capture = stream.uplink.router, "customer", captures[stream.uplink.name]
        else:
            space, device, capture = gateway.lab.hosts[0], "eth0", captures["host"]
        old = next(f.to for f in capture.frames if not f.outgoing)
        new = bytes([old[0] & 0xfe | 2]) + old[1:5] + bytes([old[5] ^ 1])
        space.run("ip", "link", "set", device, "address", new.hex(":"))
        since = time.monotonic()
        settled(gateway, stream, lambda: any(f.to == new for f in capture.frames[-20:]), since)
        stream.await_echo()
    moment = last(capture.frames, lambda f: not f.outgoing and f.to == old)
    judge(gateway, stream, since, moment, record_property)
    first_new = min(f.at for f in capture.frames if not f.outgoing and f.to == new)
    assert moment <= first_new + 0.005


def route(gateway, words):
    gateway.lab.gateway.run("ip", f"-{gateway.family}", "route", *words.split())


def test_a_deleted_route_of_the_uplink(gateway, record_property):
    """Without the daemon nothing leaves any more; with it the route is back before anybody notices."""
    with offloaded(gateway) as (stream, captures):
        uplink = stream.uplink
        # Or the fallback would take the same uplink, if its hash says so.
        route(gateway, f"flush table {uplink.name}")
        if not gateway.daemon:
            route(gateway, f"add blackhole default table {uplink.name}")
        since = time.monotonic()
        if gateway.daemon:
            number = len(stream.at)
            waituntil(lambda: len(stream.at) > number + 200, 10)
            stream.await_echo()
            return
        settled(gateway, stream, silent(stream), since)
        moment = last(outgoing_to_server(captures[uplink.name]))
        route(gateway, f"flush table {uplink.name}")
        gateway.fast.up()
        judge(gateway, stream, since, moment, record_property)


def test_another_address_of_the_uplink(gateway, record_property):
    """Nothing carries the former address any more."""
    lab, family = gateway.lab, gateway.family
    with offloaded(gateway) as (stream, captures):
        uplink = stream.uplink
        old = uplink.address(family)
        length = 24 if family == 4 else 64
        new = f"192.168.{uplink.number}.77" if family == 4 else f"2001:db8:{uplink.number}::77"
        nodad = ["nodad"] if family == 6 else []
        lab.gateway.run("ip", "addr", "del", f"{old}/{length}", "dev", uplink.device)
        lab.gateway.run("ip", "addr", "add", f"{new}/{length}", "dev", uplink.device, *nodad)
        since = time.monotonic()
        try:
            count = len(stream.at)
            waituntil(lambda: len(stream.at) > count + (600 if not gateway.daemon else 300), 15)
            moment = last(captures[uplink.name].frames, lambda f: f.source == old)
        finally:
            lab.gateway.run("ip", "addr", "del", f"{new}/{length}", "dev", uplink.device)
            lab.gateway.run("ip", "addr", "add", f"{old}/{length}", "dev", uplink.device, *nodad)
        judge(gateway, stream, since, moment, record_property)
