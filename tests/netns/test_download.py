# SPDX-License-Identifier: GPL-2.0-or-later
"""A download in two connections to one server runs at the speed of both links (S2)."""

import pytest
from lab import Balancer, Config, Lab
from lab.download import aria2c, ranges

SIZE, RATE = 2_000_000, "16mbit"
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


def test_ten_downloads_with_aria2c(shaped):
    """aria2c hands out pieces of 1 MiB, so each connection gets three; and it needs time to start."""
    server, size = shaped.servers()[1], 6 << 20
    one = aria2c(shaped.hosts[1], server, size, 1, shaped.directory)
    ratios = [one / aria2c(shaped.hosts[1], server, size, 2, shaped.directory) for _ in range(RUNS)]
    print("ratios", *(f"{r:.2f}" for r in ratios))
    assert min(ratios) >= 1.9, ratios
