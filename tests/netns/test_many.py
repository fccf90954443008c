# SPDX-License-Identifier: GPL-2.0-or-later
"""250 uplinks: `up` and `down` work, and how long they take is printed (no timed assertion)."""

import time

import pytest
from lab import Balancer, Config, Lab, differences, snapshot


@pytest.mark.parametrize("count", [2, 250])
def test_up_and_down(linkbal, count, record_property):
    with Lab(hosts=1, uplinks=count, cheap=True) as lab:
        balancer = Balancer(lab, linkbal)
        balancer.write(Config(lab))
        before = snapshot(lab)
        for command in ("up", "up", "down"):
            start = time.monotonic()
            done = balancer.run(command)
            taken = time.monotonic() - start
            assert done.returncode == 0, done.stderr
            record_property(f"{command} of {count} uplinks", f"{taken * 1000:.0f} ms")
            print(f"{command} of {count} uplinks: {taken * 1000:.0f} ms")
            if command == "up":
                rules = lab.gateway.output("ip", "-N", "rule", "show")
                assert rules.count("fwmark") == count
        assert not differences(before, snapshot(lab))


def test_two_instances_side_by_side(linkbal):
    with Lab(hosts=1) as first, Lab(hosts=1) as second:
        before = snapshot(first), snapshot(second)
        one, other = Balancer(first, linkbal), Balancer(second, linkbal)
        one.up(Config(first))
        other.up(Config(second))
        assert second.instance != first.instance
        one.down()
        assert not differences(before[0], snapshot(first))
        assert other.json("status")["uplinks"]
        other.down()
        assert not differences(before[1], snapshot(second))
