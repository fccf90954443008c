# SPDX-License-Identifier: GPL-2.0-or-later
"""An uplink with offloaded connections loses its carrier, with the daemon and without."""

import contextlib

import pytest
from lab import Lab, waituntil
from lab.daemon import Daemon
from lab.failures import Carrier
from lab.fast import Fast, Stream

HEALTH = {"probe": "none"}


@pytest.mark.parametrize("mode", ["tc", "xdp"])
@pytest.mark.parametrize("with_daemon", [True, False], ids=["daemon", "no daemon"])
def test_carrier(linkbal, mode, with_daemon):
    """The other uplink's stream loses nothing. The dead one's goes on when the carrier is back; with the
    daemon it takes the other link before that."""
    with Lab(hosts=1, uplinks=2) as lab, contextlib.ExitStack() as stack:
        fast = Fast(lab, mode, linkbal)
        config = fast.configured(sections={"health": HEALTH})
        if with_daemon:
            stack.enter_context(Daemon(fast, config))
        else:
            fast.up(config)
        streams = {}
        for _ in lab.uplinks:  # the second stream of a client and a server takes the other link
            stream = stack.enter_context(Stream(lab, rate=100))
            streams[waituntil(lambda s=stream: fast.offloaded(s.source), 15)["uplink"]] = stream
        dead, good = lab.uplinks
        victim, other = streams[dead.name], streams[good.name]
        failure = Carrier(lab, dead)
        failure.fail()
        if with_daemon:
            waituntil(lambda: good.address4 in {a for a, _ in victim.seen}, 15, "the other link takes it")
        count = len(other.at)
        waituntil(lambda: len(other.at) > count + 100, 15)
        failure.recover()
        victim.await_echo(15)
        # A carrier that comes back may end all leases: what follows begins new ones.
        waituntil(lambda: fast.offloaded(other.source), 15, "still offloaded")
        assert other.stop() == []
        assert len(other.seen) == 1
        waituntil(lambda: fast.offloaded(victim.source), 15, "offloaded again")
        assert lab.spoofed() == 0
