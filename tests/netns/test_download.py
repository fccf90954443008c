# SPDX-License-Identifier: GPL-2.0-or-later
"""A download in two connections to one server runs at the speed of both links (S2)."""

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


@pytest.mark.parametrize("family", [4, 6])
def test_ten_downloads_in_two_connections(shaped, family):
    """Always at least 1.9 times one link; a plain hash does that every second time."""
    server = shaped.servers(family)[0]
    one = min(ranges(shaped.hosts[0], server, SIZE, 1) for _ in range(2))
    ratios = [one / ranges(shaped.hosts[0], server, SIZE, 2) for _ in range(RUNS)]
    print("ratios", *(f"{r:.2f}" for r in ratios))
    assert min(ratios) >= 1.9, ratios


def test_downloads_with_aria2c(shaped):
    """aria2c hands out pieces of 1 MiB, so each connection gets two; its start is not counted.

    What it does in between depends on the machine's load, hence the median; that no run has both
    connections on one link, which would be a ratio of 1, holds for every one.
    """
    server, size = shaped.servers()[1], 4 << 20

    def taken(size, connections):
        return aria2c(shaped.hosts[1], server, size, connections, shaped.directory)

    start = min(taken(100, 1) for _ in range(3))
    one = taken(size, 1) - start
    ratios = [one / (taken(size, 2) - start) for _ in range(RUNS // 2)]
    print("start", f"{start:.3f} s, ratios", *(f"{r:.2f}" for r in ratios))
    assert min(ratios) >= 1.5, ratios
    assert statistics.median(ratios) >= 1.9, ratios
