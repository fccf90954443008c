# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections from outside, by somebody's port forward, are the fast path's too, in both directions."""

import os
import socket
import threading

import pytest
from lab import waituntil
from lab.fast import Watch, endpoint
from lab.servers import BUSY

LAB = {"hosts": 1, "uplinks": 2}
OUTSIDE = {4: "198.51.100.77", 6: "2001:db8:ff::77"}
FORWARD = f"""
table inet forwards {{
    chain prerouting {{
        type nat hook prerouting priority dstnat;
        meta nfproto ipv4 tcp dport 8000 dnat ip to 192.168.0.10 : {BUSY}
        meta nfproto ipv6 tcp dport 8000 dnat ip6 to [2001:db8:a::10] : {BUSY}
    }}
}}"""
SIZE = 2_000_000


@pytest.fixture(scope="module", autouse=True)
def forwards(shared_fast):
    shared_fast.lab.gateway.nft(FORWARD)
    shared_fast.lab.serve(shared_fast.lab.hosts[0])


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("number", [0, 1])
def test_echo(shared_fast, family, number):
    fast, uplink = shared_fast, shared_fast.lab.uplinks[number]
    with fast.lab.internet.entered():
        client = socket.create_connection((uplink.address(family), 8000), timeout=10,
                                          source_address=(OUTSIDE[family], 0))
    source = endpoint(*client.getsockname()[:2])
    with client, client.makefile("rb") as lines:
        lines.readline()

        def taken():
            client.sendall(b"hello\n")
            assert lines.readline() == b"hello\n"
            return fast.offloaded(source)
        flow = waituntil(taken, 15)
        assert flow["uplink"] == uplink.name and flow["nat_source"] == source
        data, before = os.urandom(SIZE), fast.counts()["hits"]
        with Watch(fast.lab.gateway, f"tcp dport {BUSY}") as there, \
                Watch(fast.lab.gateway, f"tcp sport {BUSY}") as back:
            sender = threading.Thread(target=client.sendall, args=(data,))
            sender.start()
            assert lines.read(SIZE) == data
            sender.join()
            assert there.packets() < 30 and back.packets() < 30
        assert fast.counts()["hits"] - before > 60
