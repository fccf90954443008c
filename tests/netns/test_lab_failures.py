# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's failures, without linkbal: they happen, they end, and what counts losses can count."""

import time

import pytest
from lab import Lab, ping, waituntil
from lab.balancer import devices
from lab.clients import tcp_seen
from lab.dhcp import Client, Server
from lab.failures import WAYS, LossyEcho, NoEcho, OnlyIcmp, SilentGateway
from lab.portal import ADDRESS, Portal
from lab.probed import DNS4, DNS6, NAME, WEB4, WEB6, WEB_PORT, SlowEcho, serve_dns, serve_web
from lab.steady import Attempts, Reader, Steady, readers

LAB = {"hosts": 2, "uplinks": 2}
SERVER = {4: "198.51.100.10", 6: "2001:db8:ff::10"}
# For what gets no answer; what gets one may take its time.
SHORT = 0.4


@pytest.fixture
def by_hand(lab):
    """The LAN leaves by the second link; the gateway may use both."""
    gateway = lab.gateway
    gateway.sysctl(**{"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1,
                      "ipv4/conf/all/rp_filter": 2})
    gateway.nft("""
        table inet sharing {
            chain postrouting {
                type nat hook postrouting priority srcnat; policy accept;
                iifname "eth0" masquerade
            }
        }""")
    for uplink in lab.uplinks:
        route(lab, uplink)
    return lab


def route(lab, uplink):
    metric = 200 - uplink.number
    for flag, router in (("-4", uplink.router4), ("-6", uplink.router6)):
        lab.gateway.run("ip", flag, "route", "replace", "default", "via", router,
                        "dev", uplink.device, "metric", metric)


def reaches(lab, uplink, family, patience=5.0):
    """Whether the gateway itself gets through by that link."""
    with lab.gateway.entered():
        try:
            return tcp_seen(SERVER[family], device=uplink.device, timeout=patience) == uplink.address(family)
        except OSError:
            return False


def pings_router(lab, uplink, family=4, patience=5.0):
    router = uplink.router4 if family == 4 else uplink.router6
    return bool(ping([lab.gateway], [router], timeout=patience))


@pytest.mark.parametrize("way", WAYS)
def test_a_link_fails_and_comes_back(by_hand, way):
    lab, (first, second) = by_hand, by_hand.uplinks
    index = devices(lab.gateway)[first.device]
    failure = WAYS[way](lab, first)
    assert reaches(lab, first, 4) and reaches(lab, first, 6) and pings_router(lab, first)
    with Steady(lab, second) as steady, Steady(lab, second, 6) as steady6:
        for _ in range(2):
            failure.fail()
            for family in (4, 6):
                assert not reaches(lab, first, family, SHORT)
                assert reaches(lab, second, family)
                if way == "silent internet":
                    assert pings_router(lab, first, family)
                else:
                    assert not pings_router(lab, first, family, SHORT)
            failure.recover()
            route(lab, first)
            for family in (4, 6):
                waituntil(lambda f=family: reaches(lab, first, f, SHORT), what=f"IPv{family} is back")
    assert steady.lost() == 0 and steady6.lost() == 0
    assert steady.sent > 100
    assert (devices(lab.gateway)[first.device] != index) == (way == "deleted")


def test_silence_includes_neighbours(by_hand):
    lab, first = by_hand, by_hand.uplinks[0]
    with SilentGateway(lab, first):
        lab.gateway.run("ip", "neigh", "flush", "dev", first.device)
        assert not pings_router(lab, first, 4, SHORT) and not pings_router(lab, first, 6, SHORT)
        assert "lladdr" not in lab.gateway.output("ip", "neigh", "show", first.router4)
    waituntil(lambda: pings_router(lab, first, 4, SHORT), what="the router answers")


def test_losses_of_echoes_alone(by_hand):
    lab, second = by_hand, by_hand.uplinks[1]
    servers = [f"{network}.{n}" for network in ("198.51.100", "203.0.113") for n in range(1, 201)]
    with Steady(lab, second) as steady:
        with LossyEcho(lab, second):
            answered = len(ping(lab.hosts[:1], servers, timeout=1))
            assert 200 < answered < 360  # of 400, 280 expected
        with NoEcho(lab, second):
            assert not ping(lab.hosts[:1], servers[:10], timeout=SHORT)
            assert not pings_router(lab, second, 4, SHORT)
            assert reaches(lab, second, 4)
    assert steady.lost() == 0


def test_losses_of_all_but_icmp(by_hand):
    lab, second = by_hand, by_hand.uplinks[1]
    with OnlyIcmp(lab, second):
        assert len(ping(lab.hosts[:1], lab.servers())) == 20
        assert len(ping(lab.hosts[:1], lab.servers(6))) == 20
        assert not reaches(lab, second, 4, SHORT) and not reaches(lab, second, 6, SHORT)
    assert reaches(lab, second, 4)


@pytest.mark.parametrize("family", [4, 6])
def test_an_outage_is_seen_and_measured(by_hand, family):
    lab, second = by_hand, by_hand.uplinks[1]
    failure = SilentGateway(lab, second)
    with Steady(lab, second, family) as steady, Attempts(lab, family) as attempts:
        since = time.monotonic()
        failure.fail()
        waituntil(lambda: attempts.failed(since) >= 10, what="attempts fail")
        until = time.monotonic()
        failure.recover()
        taken = attempts.recovered(since)
        assert until - since - 0.9 < taken < time.monotonic() - since
        assert attempts.seen() == {second.address(family)}
        assert steady.lost(2) > 10
        assert attempts.recovered(time.monotonic()) == 0.0


def test_a_reader_is_told(by_hand):
    lab, second = by_hand, by_hand.uplinks[1]
    with pytest.raises(ConnectionError):
        readers(lab, lab.uplinks[0], count=1)
    reader = readers(lab, second, count=1)[0]
    assert isinstance(reader, Reader) and not reader.reset()
    lab.gateway.nft("""
        table inet refuse {
            chain forward {
                type filter hook forward priority 0; policy accept;
                meta l4proto tcp reject with tcp reset
            }
        }""")
    reader.socket.send(b"x")
    waituntil(reader.reset, what="the reset")


def test_real_dhcp():
    with Lab(hosts=1, uplinks=1, ipv6=False) as lab:
        gateway, uplink = lab.gateway, lab.uplinks[0]
        gateway.run("ip", "addr", "flush", "dev", "eth1")
        server = Server(lab, uplink, "192.168.1.100", uplink.router4)
        client = Client(lab, uplink)
        assert client.wait(address="192.168.1.100", router="192.168.1.1")
        assert not reaches(lab, uplink, 4, SHORT)  # another address than the lab's
        with gateway.entered():
            assert tcp_seen(SERVER[4]) == "192.168.1.100"
        uplink.router.run("ip", "addr", "add", "192.168.1.7/24", "dev", "customer")
        server.change("192.168.1.101", "192.168.1.7")
        client.renew()
        assert client.wait(address="192.168.1.101", router="192.168.1.7")
        with gateway.entered():
            assert tcp_seen(SERVER[4]) == "192.168.1.101"


def test_dhcp_leases_end_and_begin_again():
    with Lab(hosts=1, uplinks=1, ipv6=False) as lab:
        lab.gateway.run("ip", "addr", "flush", "dev", "eth1")
        Server(lab, lab.uplinks[0], "192.168.1.100", "192.168.1.1")
        client = Client(lab, lab.uplinks[0])
        client.wait("192.168.1.100", "192.168.1.1")
        client.release()
        waituntil(lambda: "inet " not in lab.gateway.output("ip", "-4", "addr", "show", "dev", "eth1"),
                  what="no address")
        client.renew()
        client.wait("192.168.1.100", "192.168.1.1")


def test_log_in_pages_have_one_address(by_hand):
    """Whoever asks is logged in by the link that he asks through, and nowhere else."""
    lab, (first, second) = by_hand, by_hand.uplinks
    portals = [Portal(lab, uplink) for uplink in lab.uplinks]
    assert not reaches(lab, first, 4, SHORT) and not reaches(lab, second, 4, SHORT)
    for n, uplink in enumerate(lab.uplinks):
        lab.gateway.run("curl", "-sf", "--interface", uplink.device, f"http://{ADDRESS}/login")
        assert reaches(lab, uplink, 4)
        assert portals[n].logged_in() == [uplink.address4]
        assert n == 1 or not reaches(lab, second, 4, SHORT)


def test_probed_servers_answer(by_hand):
    lab = by_hand
    serve_dns(lab)
    serve_web(lab)
    for server in (DNS4, DNS6):
        answer = lab.hosts[0].output("dig", "+tries=1", "+time=10", f"@{server}", NAME, "NS")
        assert "status: NOERROR" in answer, answer
    for server in (WEB4, f"[{WEB6}]"):
        for path in ("204", "503", "302"):
            assert lab.hosts[0].output("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                                       f"http://{server}:{WEB_PORT}/{path}") == path


def test_echo_can_be_slow(by_hand):
    lab = by_hand
    with SlowEcho(lab, "198.51.100.77") as echo:
        words = ("ping", "-c", "1", "-W", "10", "198.51.100.77")
        assert lab.hosts[0].run(*words, check=False).returncode == 0
        echo.delays = (0.1,)
        took = float(lab.hosts[0].output(*words).split("time=")[1].split()[0])
        assert took >= 100
        assert lab.hosts[0].run("ping", "-c1", "-W1", "198.51.100.78", check=False).returncode != 0
