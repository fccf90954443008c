# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections that pause: TCP is remembered as long as the kernel promises, UDP is forgotten in time."""

import time

import pytest
from lab import waituntil
from lab.busy import Connection
from lab.fast import Stream, endpoint
from lab.tracked import tracked

LAB = {"hosts": 1, "uplinks": 2}
FAMILIES = pytest.mark.parametrize("family", [4, 6])


def left(fast, protocol, connection):
    """Seconds that conntrack has left for what has such `ends`, or None."""
    known = tracked(fast.lab.gateway, protocol, *connection.ends)
    return known and known.seconds


@FAMILIES
def test_tcp_stays_for_days(shared_fast, family):
    """Conntrack gives a connection five minutes whose last data it has not seen acknowledged."""
    fast = shared_fast
    made = [Connection(fast.lab.hosts[0], s) for s in fast.lab.servers(family)[:4]]
    for connection in made:
        connection.socket.settimeout(5)

    def talk():
        for connection in made:
            connection.send()
            while connection.waiting and not connection.error:
                connection.receive()

    def taken():
        talk()
        # All at one look: nobody talks meanwhile, and a lease is a second.
        offloaded = {f["source"] for f in fast.json("flows") if f["offloaded"] and f["protocol"] == "tcp"}
        return all(endpoint(*c.ends[0]) in offloaded for c in made)
    waituntil(taken, 15)
    end = time.monotonic() + 1.5  # some renewals, at any moment of a conversation
    while time.monotonic() < end:
        talk()
    assert all(c.error is None for c in made)
    seconds = [left(fast, "tcp", c) for c in made]
    assert min(seconds) > 100_000, seconds
    for connection in made:
        connection.socket.close()


def test_udp_ends_with_conntracks_timeout(shared_fast):
    """While it flows it lives, however short the timeout; then conntrack and the flow cache forget it."""
    fast = shared_fast
    fast.lab.gateway.sysctl(**{"netfilter/nf_conntrack_udp_timeout": 3,
                               "netfilter/nf_conntrack_udp_timeout_stream": 3})
    with Stream(fast.lab, 4) as four, Stream(fast.lab, 6) as six:
        for stream in (four, six):
            waituntil(lambda s=stream: fast.offloaded(s.source), 15)
        hits, sent = fast.counts()["hits"], (len(four.at), len(six.at))
        waituntil(lambda: len(four.at) > sent[0] + 800 and len(six.at) > sent[1] + 800, 30)  # 4 s
        for stream in (four, six):
            assert stream.stop() == []
            assert len(stream.seen) == 1 and left(fast, "udp", stream) is not None
        assert fast.counts()["hits"] - hits > 2500
        for stream in (four, six):
            waituntil(lambda s=stream: left(fast, "udp", s) is None, 15, "conntrack forgets it")
            assert not fast.flow(stream.source, "udp")
        waituntil(lambda: fast.counts()["flows"] == 0, 15, "no flow is left")
