# SPDX-License-Identifier: GPL-2.0-or-later
"""A flood of new flows, which nobody answers, does not cost the flows that are there.

LINKBAL_LONG_TESTS=1: a million flows.
"""

import json
import os
import selectors
import socket
import subprocess
import sys
import threading
import time

import pytest
from lab import Lab, waituntil
from lab.fast import Fast
from lab.servers import WHO

FLOWS = 1_000_000 if os.environ.get("LINKBAL_LONG_TESTS") else 150_000
ESTABLISHED, OFFERED = 1000, 2000  # flows; packets a second of all of them
FLOOD = """
import socket, sys, time
count, rate = int(sys.argv[1]), int(sys.argv[2])
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
begin = time.monotonic()
for n in range(count):
    out.sendto(b"flood", (f"203.0.113.{n % 250 + 1}", 10000 + n // 250))
    if n % 50 == 0:
        time.sleep(max(0, begin + n / rate - time.monotonic()))
"""


class Established:
    """UDP flows that are echoed, in turn and at a fixed rate; sent and received are by number."""

    def __init__(self, lab):
        self.sent, self.received = [], {}
        self.sockets, self._selector = [], selectors.DefaultSelector()
        with lab.hosts[1].entered():
            for n in range(ESTABLISHED):
                made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                made.connect((lab.servers(4)[n % 10], WHO))
                made.setblocking(False)
                self.sockets.append(made)
                self._selector.register(made, selectors.EVENT_READ)
        self._going = True
        self._threads = [threading.Thread(target=t) for t in (self._send, self._receive)]

    def _send(self):
        due = time.monotonic()
        while self._going:
            for _ in range(10):
                number = len(self.sent)
                self.sent.append(time.monotonic())
                self.sockets[number % ESTABLISHED].send(number.to_bytes(8, "big"))
            due = max(due + 10 / OFFERED, time.monotonic() - 0.05)
            time.sleep(max(0.0, due - time.monotonic()))

    def _receive(self):
        while self._going or self._selector.select(0.3):
            for key, _ in self._selector.select(0.1):
                answer = key.fileobj.recv(100)
                self.received[int.from_bytes(answer.partition(b"\n")[2], "big")] = answer

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        self._going = False
        for thread in self._threads:
            thread.join()

    def __exit__(self, *_):
        self.stop()
        for made in self.sockets:
            made.close()


@pytest.mark.parametrize("mode", ["tc", "xdp"])
def test_established_flows_keep_their_rate(linkbal, mode, record_property):
    with Lab(hosts=2, uplinks=2) as lab:
        fast = Fast(lab, mode, linkbal)
        fast.up()
        lab.internet.nft("""
            table inet sink {
                counter flooded { }
                chain input {
                    type filter hook prerouting priority -300; policy accept;
                    meta l4proto udp udp dport 10000-20000 counter name flooded drop
                }
            }""")
        with Established(lab) as established:
            waituntil(lambda: len(established.sent) > 3 * ESTABLISHED, 10)
            waituntil(lambda: sum(f["offloaded"] for f in fast.json("flows")) >= ESTABLISHED, 10)
            first, before = len(established.sent), fast.counts()
            flood = lab.hosts[0].popen(sys.executable, "-c", FLOOD, str(FLOWS), "40000",
                                       stderr=subprocess.PIPE)
            waituntil(lambda: flood.poll() is not None, 300, "the end of the flood", step=0.1)
            assert flood.returncode == 0, flood.stderr.read()
            until, after = len(established.sent), fast.counts()
            established.stop()
        offered = until - first
        arrived = [n for n in established.received if first <= n < until]
        hits = after["hits"] - before["hits"]
        record_property("arrived", f"{len(arrived)} of {offered}")
        print(f"{len(arrived)} of {offered} arrived; {hits} hits; full {after['full'] - before['full']}")
        flooded = json.loads(lab.internet.output("nft", "-j", "list", "counter", "inet", "sink", "flooded"))
        assert flooded["nftables"][-1]["counter"]["packets"] > 0.5 * min(FLOWS, 200_000), "they came through"
        assert offered > 1000
        assert len(arrived) >= 0.9 * offered
        # With two packets in a lease every other one may be its renewal.
        assert hits >= 0.35 * 2 * offered, "and it was the fast path that carried them"
        # One connection, one mapping, all the time.
        seen = {}
        for number, answer in established.received.items():
            seen.setdefault(number % ESTABLISHED, set()).add(answer.partition(b"\n")[0])
        assert all(len(mappings) == 1 for mappings in seen.values())
