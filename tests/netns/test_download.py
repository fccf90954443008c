# SPDX-License-Identifier: GPL-2.0-or-later
"""A download in two connections to one server runs at the speed of both links (S2).

By which link the bytes came is checked of every run. Time is not the links' alone: a machine that stands
still for 60 ms makes a ratio of 1.9 of one of 2.0, hence the median.
"""

import contextlib
import json
import statistics

import pytest
from lab import Balancer, Config, Lab
from lab.download import aria2c, ranges

SIZE, RATE = 2_000_000, "8mbit"
RUNS = 10


@pytest.fixture(scope="module")
def shaped(linkbal):
    with Lab(hosts=2, uplinks=2, rate=RATE) as lab:
        balancer = Balancer(lab, linkbal)
        balancer.up(Config(lab))
        yield lab


def received(lab):
    """Bytes that each uplink's device has brought so far."""
    shown = {link["ifname"]: link for link in json.loads(lab.gateway.output("ip", "-j", "-s", "link"))}
    return [shown[u.device]["stats64"]["rx"]["bytes"] for u in lab.uplinks]


@contextlib.contextmanager
def by_both(lab, least):
    """What is downloaded inside comes by both links, by each at least this share of it."""
    before = received(lab)
    yield
    came = [after - then for after, then in zip(received(lab), before, strict=True)]
    assert min(came) >= least * sum(came), came


@pytest.mark.parametrize("family", [4, 6])
def test_ten_downloads_in_two_connections(shaped, family):
    """Always by both links; a plain hash does that every second time."""
    server, ratios = shaped.servers(family)[0], []
    one = min(ranges(shaped.hosts[0], server, SIZE, 1) for _ in range(2))
    for _ in range(RUNS):
        with by_both(shaped, 0.45):
            ratios.append(one / ranges(shaped.hosts[0], server, SIZE, 2))
    print("ratios", *(f"{r:.2f}" for r in ratios))
    assert statistics.median(ratios) >= 1.9, ratios


def test_downloads_with_aria2c(shaped):
    """aria2c hands out pieces of 1 MiB, so each connection gets two, unless one of them is slow; its start
    is not counted."""
    server, size = shaped.servers()[1], 4 << 20

    def taken(size, connections):
        return aria2c(shaped.hosts[1], server, size, connections, shaped.directory)

    start = min(taken(100, 1) for _ in range(3))
    one = taken(size, 1) - start
    ratios = []
    for _ in range(RUNS // 2):
        with by_both(shaped, 0.2):
            ratios.append(one / (taken(size, 2) - start))
    print("start", f"{start:.3f} s, ratios", *(f"{r:.2f}" for r in ratios))
    assert statistics.median(ratios) >= 1.9, ratios
