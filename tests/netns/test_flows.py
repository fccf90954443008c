# SPDX-License-Identifier: GPL-2.0-or-later
"""`linkbal flows` tells of open connections what conntrack knows of them (S18)."""

import contextlib
import json
import socket
import time

import pytest
from lab import Balancer, Config, ping
from lab.clients import Udp
from lab.servers import WHO

LAB = {"hosts": 1, "uplinks": 2}
OUTSIDE = {4: "198.51.100.77", 6: "2001:db8:ff::77"}
HOST = {4: "192.168.0.10", 6: "2001:db8:a::10"}
KEYS = {"protocol", "source", "destination", "uplink", "nat_source", "offloaded", "packets", "bytes"}
FORWARD = """
table inet forwards {
    chain prerouting {
        type nat hook prerouting priority dstnat;
        meta nfproto ipv4 tcp dport 8000 dnat ip to 192.168.0.10 : 7000
        meta nfproto ipv6 tcp dport 8000 dnat ip6 to [2001:db8:a::10] : 7000
    }
}"""


@pytest.fixture(scope="module", autouse=True)
def balancer(linkbal, shared_lab):
    shared_lab.gateway.nft(FORWARD)
    shared_lab.serve(shared_lab.hosts[0], *HOST.values())
    balancer = Balancer(shared_lab, linkbal)
    balancer.up(Config(shared_lab))
    shared_lab.gateway.run("sysctl", "-qw", "net.netfilter.nf_conntrack_acct=1")
    return balancer


def at(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@contextlib.contextmanager
def tcp(space, destination, port):
    """An open connection; its own address, as the flows should tell it."""
    with space.entered():
        client = socket.create_connection((destination, port), timeout=5)
    with client:
        assert client.recv(100)
        yield at(*client.getsockname()[:2])


def flow(balancer, source):
    found = [f for f in balancer.json("flows") if f["source"] == source]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("family", [4, 6])
def test_a_connection_to_the_internet(shared_lab, balancer, family):
    server = shared_lab.servers(family)[0]
    with tcp(shared_lab.hosts[0], server, WHO) as source:
        told = flow(balancer, source)
    uplink = next(u for u in shared_lab.uplinks if u.name == told["uplink"])
    assert told["protocol"] == "tcp" and told["destination"] == at(server, WHO)
    assert told["nat_source"].startswith(at(uplink.address(family), ""))
    assert told["offloaded"] is False and set(told) >= KEYS
    assert told["packets"] >= 4 and told["bytes"] >= told["packets"] * (40 if family == 4 else 60)


@pytest.mark.parametrize("family", [4, 6])
def test_a_connection_by_a_port_forward(shared_lab, balancer, family):
    uplink = shared_lab.uplinks[1]
    with shared_lab.internet.entered():
        client = socket.create_connection((uplink.address(family), 8000), timeout=5,
                                          source_address=(OUTSIDE[family], 0))
    with client:
        told = flow(balancer, at(*client.getsockname()[:2]))
    assert told["uplink"] == uplink.name
    assert told["destination"] == at(uplink.address(family), 8000)
    assert told["nat_source"] == told["source"], "nobody hides the outside host"


@pytest.mark.parametrize("family", [4, 6])
def test_a_ping_has_no_port(shared_lab, balancer, family):
    server = shared_lab.servers(family)[0]
    ping([shared_lab.hosts[0]], [server])
    bare = {4: lambda a: a, 6: lambda a: f"[{a}]"}[family]
    protocol = {4: "icmp", 6: "icmpv6"}[family]
    told = [f for f in balancer.json("flows") if f["protocol"] == protocol]
    assert {(f["source"], f["destination"]) for f in told} == {(bare(HOST[family]), bare(server))}


def test_of_one_uplink(shared_lab, balancer):
    made = [Udp(shared_lab.hosts[0], shared_lab.servers(4)[n % 4]) for n in range(12)]
    for client in made:
        client.ask()
    for uplink in shared_lab.uplinks:
        told = json.loads(balancer.run("flows", "--json", "--uplink", uplink.name, check=True).stdout)
        assert told and {f["uplink"] for f in told} == {uplink.name}
    refused = balancer.run("flows", "--uplink", "velox9")
    assert refused.returncode == 1 and refused.stderr == "linkbal: there is no uplink velox9\n"


def test_for_people(shared_lab, balancer):
    with tcp(shared_lab.hosts[0], shared_lab.servers(4)[0], WHO) as source:
        lines = balancer.run("flows", check=True).stdout.splitlines()
    assert lines[0].split()[:4] == ["proto", "source", "destination", "uplink"]
    assert any(line.startswith("tcp ") and source in line for line in lines)
    assert not any("\x1b" in line for line in lines)


def test_a_quarter_of_a_million_connections(shared_lab, balancer, record_property):
    """In seconds at most, whatever machine this is."""
    lines = (f"-A -t 600 -u SEEN_REPLY,ASSURED -s 10.0.{n >> 14}.1 -d 198.51.{n >> 14}.1 "
             f"-r 198.51.{n >> 14}.1 -q 203.0.113.1 -p udp --sport {1024 + (n & 0x3fff)} --dport 53 "
             f"--reply-port-src 53 --reply-port-dst {1024 + (n & 0x3fff)} -m 0x10000\n"
             for n in range(250000))
    shared_lab.gateway.run("conntrack", "-R", "-", input="".join(lines))
    begin = time.monotonic()
    shown = balancer.run("flows", "--json", check=True).stdout
    took = time.monotonic() - begin
    record_property("seconds", took)
    print(f"{took:.2f} s")
    assert len(json.loads(shown)) >= 200000
    assert took < 10
