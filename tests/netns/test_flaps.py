# SPDX-License-Identifier: GPL-2.0-or-later
"""Many flaps in a row: nothing leaks and the state is right at the end.

25 flaps of each kind; LINKBAL_LONG_TESTS=1 makes them 1,000.
"""

import os

import pytest
from lab import Config, differences, snapshot, waituntil
from lab.clients import both_links
from lab.daemon import Daemon
from lab.failures import WAYS
from lab.hooks import Hook
from lab.state import state, wait_same
from lab.steady import Steady

LAB = {"hosts": 2, "uplinks": 2}
HEALTH = {"interval": "100ms", "timeout": "200ms", "down_after": 2, "up_after": 2}
FLAPS = 1000 if os.environ.get("LINKBAL_LONG_TESTS") else 25
ROOM = 2 << 20  # bytes that an allocator may keep


@pytest.mark.parametrize("way", ["carrier", "deleted", "silent gateway", "address"])
def test_nothing_leaks(lab, balancer, way):
    """A few flaps first: what is made once, on the first failure, is no leak."""
    hook = Hook(lab)
    failure = WAYS[way](lab, lab.uplinks[0])
    before = snapshot(lab)
    sections = {"health": HEALTH, "hooks": {"on_change": hook.words}}
    with Daemon(balancer, Config(lab, sections=sections)) as daemon, \
            Steady(lab, lab.uplinks[1], rate=50) as steady:

        def flap(count):
            """Every tenth is long enough to be acted upon, whatever the machine's load."""
            for n in range(count):
                failure.fail()
                if n % 10 == 0:
                    daemon.wait("velox1", "down")
                failure.recover()
                if n % 10 == 0:
                    daemon.wait("velox1", "up")
            daemon.wait("velox1", "up")
            waituntil(lambda: both_links(lab) and both_links(lab, 6), what="both links")

        daemon.probed()
        flap(11)
        waited = waited_for(hook)
        then, descriptors, resident = state(lab), daemon.descriptors(), daemon.resident()
        flap(FLAPS)
        waited_for(hook, waited)
        wait_same(lab, then)
        waituntil(lambda: len(daemon.descriptors()) <= len(descriptors), 10,
                  f"no more descriptors: {daemon.descriptors()} instead of {descriptors}")
        assert daemon.resident() - resident < ROOM
        assert steady.lost() == 0
        balancer.down()
        assert daemon.ended() == 0
    if way != "deleted":
        assert not differences(before, snapshot(lab))


def waited_for(hook, least=0):
    """The last hook of the last flap has run; how many there were."""
    waituntil(lambda: len(hook.calls()) > least and hook.calls()[-1]["STATE"] == "up", what="hooks")
    return len(hook.calls())
