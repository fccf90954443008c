# SPDX-License-Identifier: GPL-2.0-or-later
"""Who was there first stays: foreign XDP programs, shaping, devices without an Ethernet header."""

import subprocess
import time

import pytest
from lab import Lab, waituntil
from lab.fast import Fast, Stream
from lab.servers import HTTP

PASS = """
int foreign(void* ctx) __attribute__((section("xdp"), used));
int foreign(void* ctx) { return 2; }
char _license[] __attribute__((section("license"), used)) = "GPL";
"""


@pytest.fixture
def foreign(tmp_path):
    """An object file with an XDP program that passes everything."""
    (tmp_path / "pass.c").write_text(PASS)
    subprocess.run(["clang", "-O2", "-g", "-target", "bpf", "-c", tmp_path / "pass.c", "-o", tmp_path / "pass.o"],
                   check=True)
    return tmp_path / "pass.o"


def told(fast):
    return {d["interface"]: (d["forwarding"], d["reason"]) for d in fast.json("status")["devices"]}


def all_offloaded(fast, family=4):
    """Streams are forwarded fast, by every uplink, and nothing is lost."""
    uplinks, names = set(), {u.name for u in fast.lab.uplinks}
    for _ in range(10):
        if uplinks == names:
            return
        # The next stream of a client and a server takes the next link, if its port is a new one.
        with Stream(fast.lab, family) as stream:
            uplinks.add(waituntil(lambda s=stream: fast.offloaded(s.source), 15)["uplink"])
            before, sent = fast.counts()["hits"], len(stream.at)
            waituntil(lambda s=stream, n=sent: len(s.at) > n + 50, 15)
            assert stream.stop() == []
            assert fast.counts()["hits"] - before > 60
    assert uplinks == names


def xdp_program(lab, device):
    shown = lab.gateway.output("ip", "-d", "link", "show", device)
    return [line.strip() for line in shown.splitlines() if "prog/xdp" in line]


def test_a_foreign_program_stays(linkbal, foreign):
    with Lab(hosts=1, uplinks=2) as lab:
        fast = Fast(lab, "xdp", linkbal)
        lab.gateway.run("ip", "link", "set", "dev", "eth1", "xdpdrv", "obj", foreign, "sec", "xdp")
        before = xdp_program(lab, "eth1")
        assert before
        fast.up(fast.configured())
        ways = told(fast)
        assert ways["eth1"][0] == "tc" and "XDP" in ways["eth1"][1], ways
        assert ways["eth0"][0] == ways["eth2"][0] == "xdp", ways
        assert xdp_program(lab, "eth1") == before
        all_offloaded(fast)
        all_offloaded(fast, 6)
        fast.up(fast.configured())  # and once more, for what is remembered
        assert xdp_program(lab, "eth1") == before and told(fast) == ways
        fast.down()
        assert xdp_program(lab, "eth1") == before and not xdp_program(lab, "eth2")
        assert lab.spoofed() == 0


RATE = 20_000_000  # bits per second


def test_a_shaped_uplink_stays_shaped(linkbal):
    """A redirect in XDP would go around the qdisc."""
    with Lab(hosts=1, uplinks=2) as lab:
        fast = Fast(lab, "xdp", linkbal)
        lab.gateway.run("tc", "qdisc", "add", "dev", "eth1", "root", "tbf", "rate", f"{RATE}",
                        "burst", "32k", "latency", "200ms")
        fast.up(fast.configured(weights={"velox1": 1}))
        ways = told(fast)
        assert ways["eth1"][0] == "tc" and "qdisc" in ways["eth1"][1], ways
        size, before = 5_000_000, fast.counts()["hits"]
        (shaped := lab.directory + "/file")
        with open(shaped, "wb") as file:
            file.write(bytes(size))
        begin = time.monotonic()
        lab.hosts[0].run("curl", "-sfT", shaped, f"http://{lab.servers(4)[0]}:{HTTP}/file")
        took = time.monotonic() - begin
        assert fast.counts()["hits"] - before > size / 1500 * 0.9, "it was offloaded"
        assert (size - 32_000) * 8 / took <= RATE * 1.1
        assert "tbf" in lab.gateway.output("tc", "qdisc", "show", "dev", "eth1")


@pytest.mark.parametrize("mode", ["auto", "xdp"])
def test_a_device_without_ethernet_header(linkbal, mode):
    with Lab(hosts=1, uplinks=2, tun=(2,)) as lab:
        fast = Fast(lab, mode, linkbal)
        fast.up(fast.configured())
        ways = told(fast)
        assert ways["tun2"][0] == "tc" and "Ethernet header" in ways["tun2"][1], ways
        for family in (4, 6):
            all_offloaded(fast, family)
        assert lab.spoofed() == 0
