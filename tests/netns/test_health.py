# SPDX-License-Identifier: GPL-2.0-or-later
"""Probes of every kind, their thresholds, and the verdicts of real traffic (P4, N2)."""

import json
import re
import time

import pytest
from lab import Config, tcp_who, waituntil
from lab.daemon import Daemon
from lab.failures import Carrier, LossyEcho, NoEcho, OnlyIcmp, SilentGateway
from lab.hooks import Hook
from lab.probed import DNS4, DNS6, NAME, WEB4, WEB6, WEB_PORT, SlowEcho, serve_dns, serve_web
from lab.steady import Attempts

LAB = {"hosts": 2, "uplinks": 2}
QUICK = {"interval": "100ms", "timeout": "300ms", "down_after": 3, "up_after": 3}
PINGED = ["198.51.100.10", "2001:db8:ff::10"]
# {kind: (further keys of [health], what a provider sees of it)}
KINDS = {
    "icmp": ({"targets": PINGED}, "meta l4proto { icmp, ipv6-icmp }"),
    "tcp": ({"targets": ["198.51.100.10:7000", "[2001:db8:ff::10]:7000"]}, "tcp dport 7000"),
    "dns": ({"targets": [DNS4, DNS6], "query": NAME}, "udp dport 53"),
    "http": ({"targets": [f"http://{WEB4}:{WEB_PORT}/204", f"http://[{WEB6}]:{WEB_PORT}/204"]},
             f"tcp dport {WEB_PORT}"),
}


def config(lab, hook=None, links=None, **health):
    sections = {"health": {**QUICK, **health}}
    if hook:
        sections["hooks"] = {"on_change": hook.words}
    return Config(lab, sections=sections, links=links)


def verdicts(daemon):
    """{uplink name: {"ipv4": verdict, "ipv6": verdict}}; a family without targets has none"""
    return {name: {family: health["verdict"] for family, health in uplink["health"].items() if health}
            for name, uplink in daemon.uplinks().items()}


def wait_all_good(daemon, families=("ipv4", "ipv6")):
    waituntil(lambda: all(v.get(f) == "good" for v in verdicts(daemon).values() for f in families), 15,
              what="all links are good")


def wait_verdict(daemon, name, verdict, family="ipv4"):
    return waituntil(lambda: verdicts(daemon)[name].get(family) == verdict, 15, f"{name} is {verdict}")


class Counted:
    """Counts, in each provider, what matches on its way to the internet; may drop it as well."""

    def __init__(self, uplink, match):
        self._router, self._match = uplink.router, match
        self._set("")

    def _set(self, verdict):
        # In one transaction: a probe in between would be let through, and counted by nobody.
        self._router.nft(f"""
            table inet counted
            delete table inet counted
            table inet counted {{
                chain forward {{
                    type filter hook forward priority -20; policy accept;
                    iifname "customer" {self._match} counter {verdict}
                }}
            }}""")

    def drop(self):
        self._set("drop")

    def accept(self):
        self._set("accept")

    def packets(self):
        shown = json.loads(self._router.output("nft", "-j", "list", "table", "inet", "counted"))
        rules = [entry["rule"] for entry in shown["nftables"] if "rule" in entry]
        return next(e["counter"]["packets"] for e in rules[0]["expr"] if "counter" in e)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_by_its_own_link(lab, balancer, kind):
    """Good where it is answered, bad where it is not, and never by somebody else's link."""
    keys, match = KINDS[kind]
    {"dns": serve_dns, "http": serve_web}.get(kind, lambda _: None)(lab)
    counted = {u.name: Counted(u, match) for u in lab.uplinks}
    with Daemon(balancer, config(lab, probe=kind, passive=False, **keys)) as daemon:
        wait_all_good(daemon)
        for uplink in daemon.uplinks().values():
            assert uplink["state"] == "up"
            for health in uplink["health"].values():
                assert health["latency_ms"] >= 0 and health["loss"] < 1 and health["reason"]
        for each in counted.values():
            waituntil(lambda e=each: e.packets() >= 5, what="probes in each provider's hands")
        counted["velox1"].drop()
        reason = daemon.wait("velox1", "down")["reason"]
        assert re.search(r"answer|target|probe|time", reason), reason
        assert verdicts(daemon)["velox2"] == {"ipv4": "good", "ipv6": "good"}
        assert set(tcp_who(lab, 20)) == {"192.168.2.2"}
        # Also while the other link is the only one in use.
        before = counted["velox1"].packets()
        waituntil(lambda: counted["velox1"].packets() >= before + 5, what="probes go on")
        counted["velox1"].accept()
        daemon.wait("velox1", "up")
        wait_all_good(daemon)
    assert lab.spoofed() == 0


def test_http_status(lab, balancer):
    """Any 2xx is good; a portal's redirection and an error are not, unless they are asked for."""
    serve_web(lab)

    def health(path, **more):
        return {"probe": "http", "targets": [f"http://{WEB4}:{WEB_PORT}{path}"], **more}

    links = {"velox1": {"health": health("/302")}, "velox2": {"health": health("/503", status=503)}}
    with Daemon(balancer, config(lab, links=links, passive=False)) as daemon:
        assert WEB4 in daemon.wait("velox1", "down")["reason"]
        wait_verdict(daemon, "velox2", "good")
        links["velox1"]["health"] = health("/204", status=204)
        links["velox2"]["health"] = health("/503")
        balancer.write(config(lab, links=links, passive=False))
        daemon.hup()
        daemon.wait("velox1", "up")
        daemon.wait("velox2", "down")


def test_tcp_refused_is_an_outage(lab, balancer):
    """Where nobody listens, the service that the probe stands for is not there."""
    links = {"velox1": {"health": {"targets": ["198.51.100.10:7999"]}}}
    with Daemon(balancer, config(lab, links=links, probe="tcp", passive=False,
                                 targets=["198.51.100.10:7000"])) as daemon:
        daemon.wait("velox1", "down")
        wait_verdict(daemon, "velox2", "good")


def test_quorum(lab, balancer):
    """Of three targets two must answer."""
    targets = ["198.51.100.10", "198.51.100.11", "198.51.100.12"]
    router = lab.uplinks[0].router
    with Daemon(balancer, config(lab, targets=targets, quorum=2, passive=False)) as daemon:
        wait_all_good(daemon, ["ipv4"])
        lost = Counted(lab.uplinks[0], "ip daddr 198.51.100.10 icmp type echo-request")
        lost.drop()
        waituntil(lambda: lost.packets() >= 8, what="many probes are lost")
        assert daemon.states()["velox1"] == "up"
        router.run("nft", "add", "rule", "inet", "counted", "forward", "ip", "daddr",
                   "198.51.100.11", "drop")
        reason = daemon.wait("velox1", "down")["reason"]
        assert targets[0] in reason and targets[1] in reason and targets[2] not in reason, reason
        lost.accept()
        daemon.wait("velox1", "up")


def test_hysteresis(lab, balancer):
    """As many in a row as configured, down and up; the provider counts them."""
    health = {"targets": ["198.51.100.10"], "down_after": 8, "up_after": 12, "passive": False}
    echo = Counted(lab.uplinks[0], "icmp type echo-request")
    with Daemon(balancer, config(lab, **health)) as daemon:
        wait_all_good(daemon, ["ipv4"])
        echo.drop()
        daemon.wait("velox1", "down")
        assert echo.packets() >= 8
        echo.accept()
        daemon.wait("velox1", "up")
        assert echo.packets() >= 12


def test_loss_threshold(lab, balancer):
    """max_loss judges what down_after alone would not: 60 % of the probes come back."""
    health = {"targets": ["198.51.100.10"], "down_after": 50, "window": 20, "passive": False}
    links = {"velox1": {"health": {"max_loss": 15}}}
    with Daemon(balancer, config(lab, links=links, **health)) as daemon:
        wait_all_good(daemon, ["ipv4"])
        with LossyEcho(lab, lab.uplinks[0], 40), LossyEcho(lab, lab.uplinks[1], 40):
            assert "loss" in daemon.wait("velox1", "down")["reason"]
            waituntil(lambda: daemon.uplinks()["velox2"]["health"]["ipv4"]["loss"] > 0.1,
                      what="the other link's loss is known")
            assert daemon.states()["velox2"] == "up"
        daemon.wait("velox1", "up", 30)


@pytest.mark.parametrize("what, delays", [("max_latency", (0.08,)), ("max_jitter", (0.0, 0.08))])
def test_latency_and_jitter_thresholds(lab, balancer, what, delays):
    """The word that status gives is the threshold's; without it the same link is good."""
    health = {"targets": ["198.51.100.77"], "timeout": "1s", "window": 10, "passive": False}
    links = {"velox1": {"health": {what: "30ms"}}}
    with SlowEcho(lab, "198.51.100.77") as echo:
        with Daemon(balancer, config(lab, links=links, **health)) as daemon:
            wait_all_good(daemon, ["ipv4"])
            # Both links ask in turn, so each answer's delay is drawn for either of them.
            echo.delays = delays if len(delays) == 1 else (0.0, 0.0, 0.08, 0.08)
            reason = daemon.wait("velox1", "down")["reason"]
            assert what.removeprefix("max_") in reason, reason
            assert daemon.states()["velox2"] == "up"
            echo.delays = (0.0,)
            daemon.wait("velox1", "up", 30)


@pytest.mark.parametrize("failure, limits", [(LossyEcho, {"max_loss": 10, "window": 10}), (NoEcho, {})])
def test_lost_probes_do_not_fail_a_link_that_works(lab, balancer, failure, limits):
    """30 % of the pings are lost, or all, while real connections succeed."""
    hook = Hook(lab)
    echo = Counted(lab.uplinks[0], "icmp type echo-request")
    with Daemon(balancer, config(lab, hook, targets=["198.51.100.10"], **limits)) as daemon:
        wait_all_good(daemon, ["ipv4"])
        with Attempts(lab) as attempts, failure(lab, lab.uplinks[0]):
            since = time.monotonic()
            waituntil(lambda: "connections succeed" in daemon.uplinks()["velox1"]["reason"],
                      what="the probes alone would fail it")
            before = echo.packets()
            waituntil(lambda: echo.packets() >= before + 25, 30, "25 more probes went out")
            assert daemon.states() == {"velox1": "up", "velox2": "up"}
            assert attempts.failed(since) == 0
            assert len(attempts.seen(since)) == 2
        assert "state=down" not in daemon.log
        assert not [call for call in hook.calls() if call["STATE"] == "down"]


def test_a_link_that_eats_connections_is_failed_though_it_answers_pings(lab, balancer):
    """Everything but ICMP is dropped: real traffic finds out, in each family."""
    dead, good = lab.uplinks
    with Daemon(balancer, config(lab, targets=PINGED)) as daemon:
        wait_all_good(daemon)
        with Attempts(lab, 4, 0.01) as four, Attempts(lab, 6, 0.01) as six, OnlyIcmp(lab, dead):
            since = time.monotonic()
            for family, attempts in ((4, four), (6, six)):
                assert 0 < attempts.recovered(since) < 10
                later = time.monotonic()
                waituntil(lambda f=family: verdicts(daemon)[dead.name][f"ipv{f}"] == "bad", what="bad")
                assert attempts.seen(later) <= {good.address(family)}
                reason = daemon.uplinks()[dead.name]["health"][f"ipv{family}"]["reason"]
                assert re.search(r"connection attempts", reason), reason
        for family in (4, 6):
            wait_verdict(daemon, dead.name, "good", f"ipv{family}")


def test_no_probes(lab, balancer):
    """probe = "none": silence is not noticed without traffic, the carrier is."""
    with Daemon(balancer, config(lab, probe="none")) as daemon:
        assert daemon.states() == {"velox1": "up", "velox2": "up"}
        before = lab.echoes()
        with Carrier(lab, lab.uplinks[0]):
            assert re.search("carrier|link|cable", daemon.wait("velox1", "down")["reason"])
        daemon.wait("velox1", "up")
        with Attempts(lab) as attempts, SilentGateway(lab, lab.uplinks[0]):
            assert 0 < attempts.recovered(time.monotonic()) < 10  # by real traffic
        assert lab.echoes() == before


def test_defaults(lab, balancer):
    """Nothing is configured: the gateway of each link is asked."""
    with Daemon(balancer, Config(lab)) as daemon:
        wait_all_good(daemon)
        assert sum(lab.echoes().values()) == 0  # nothing beyond the routers
        with SilentGateway(lab, lab.uplinks[0]):
            reason = daemon.wait("velox1", "down")["reason"]
            assert re.search(r"answer|gateway", reason), reason
            assert verdicts(daemon)["velox1"] == {"ipv4": "bad", "ipv6": "bad"}
        daemon.wait("velox1", "up")


def test_dead_from_the_start(lab, balancer):
    """The first verdict is fast: it does not wait for three probes of 30 seconds each."""
    slow = {"interval": "30s", "timeout": "500ms", "targets": PINGED, "passive": False}
    with SilentGateway(lab, lab.uplinks[0]):
        with Daemon(balancer, config(lab, **slow)) as daemon:
            daemon.wait("velox1", "down")
            wait_verdict(daemon, "velox2", "good")
            assert set(tcp_who(lab, 20)) == {"192.168.2.2"}


def test_overrides_of_an_uplink(lab, balancer):
    """[uplink.health] replaces key by key."""
    links = {"velox1": {"health": {"targets": ["198.51.100.10"]}},
             "velox2": {"health": {"probe": "none"}}}
    first, second = (Counted(u, "icmp type echo-request") for u in lab.uplinks)
    with Daemon(balancer, config(lab, links=links, targets=["203.0.113.10"], passive=False)) as daemon:
        waituntil(lambda: first.packets() >= 10, what="probes by the first")
        assert second.packets() == 0
        router = lab.uplinks[0].router
        router.nft("""
            table inet failure {
                chain forward {
                    type filter hook forward priority -10; policy accept;
                    ip daddr 198.51.100.10 drop
                }
            }""")
        daemon.wait("velox1", "down")
        assert daemon.states()["velox2"] == "up"
