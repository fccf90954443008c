# SPDX-License-Identifier: GPL-2.0-or-later
"""Links that are brought up, logged in and tested one after the other, each by its own way out (S11).

The log-in pages of all providers have one address and each is reachable only by its own link; the
commands name no interface. Who is logged in where is decided by the way out alone.
"""

import re

import pytest
from lab import Config, differences, snapshot, tcp_who, waituntil
from lab.busy import Busy
from lab.daemon import Daemon
from lab.hooks import script
from lab.portal import ADDRESS, Portal

LAB = {"hosts": 2, "uplinks": 3, "ipv6": False}
HEALTH = {"interval": "100ms", "timeout": "300ms", "down_after": 3, "up_after": 3,
          "targets": ["198.51.100.10"]}
SERVER = "198.51.100.10"

# NAME DEVICE ADDRESS: what rc.local did by hand.
BRING_UP = """#!/bin/sh -e
echo "bring_up $1" >> {journal}
ip link set "$2" up
ip addr replace "$3/24" dev "$2"
"""
LOG_IN = f"""#!/bin/sh -e
echo "log_in $1" >> {{journal}}
curl --silent --show-error --fail --max-time 5 --retry 3 --retry-connrefused http://{ADDRESS}/login
"""
# Through the link: the server says whom it saw.
TEST = f"""#!/bin/bash -e
exec 3<>/dev/tcp/{SERVER}/7000
read -r seen _ <&3
echo "test $1 $seen" >> {{journal}}
"""


class Story:
    """Three providers with log-in pages, the links of the gateway down, and the three commands."""

    def __init__(self, lab):
        self.lab, self.journal_path = lab, f"{lab.directory}/journal"
        self.portals = [Portal(lab, uplink) for uplink in lab.uplinks]
        for uplink in lab.uplinks:
            lab.gateway.batch(f"addr flush dev {uplink.device}\nlink set {uplink.device} down\n")
        self._paths = {name: script(lab, name, text.replace("{journal}", self.journal_path))
                       for name, text in (("bring_up", BRING_UP), ("log_in", LOG_IN), ("test", TEST))}

    def config(self, **changes):
        """`changes`: {uplink name: {key: value}}"""
        links = {}
        for uplink in self.lab.uplinks:
            facts = [uplink.name, uplink.device, uplink.address4]
            links[uplink.name] = {name: [path, *facts] for name, path in self._paths.items()}
            links[uplink.name] |= {"command_timeout": "20s", **changes.get(uplink.name, {})}
        return Config(self.lab, sections={"health": HEALTH}, links=links)

    def journal(self):
        try:
            with open(self.journal_path, encoding="utf-8") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def wait_used(self, *names):
        wanted = {u.address4 for u in self.lab.uplinks if u.name in names}
        waituntil(lambda: set(tcp_who(self.lab, 30)) == wanted, 20, f"connections by {names}")


@pytest.fixture
def story(lab):
    return Story(lab)


def test_in_order_each_by_its_own_link(lab, balancer, story):
    with Daemon(balancer, story.config()) as daemon:
        for uplink in lab.uplinks:
            daemon.wait(uplink.name, "up", 40)
        story.wait_used("velox1", "velox2", "velox3")
        expected = []
        for uplink in lab.uplinks:
            expected += [f"bring_up {uplink.name}", f"log_in {uplink.name}",
                         f"test {uplink.name} {uplink.address4}"]
        assert story.journal() == expected
        for uplink, portal in zip(lab.uplinks, story.portals):
            assert portal.logged_in() == [uplink.address4]
    assert lab.spoofed() == 0


@pytest.mark.parametrize("step, command", [
    ("bring_up", ["/bin/false"]),
    ("log_in", ["/bin/sh", "-c", "echo wrong password >&2; exit 3"]),
    ("test", ["/bin/sh", "-c", "exec sleep 1000"]),
    ("log_in", ["/nowhere/log-in"]),
], ids=["bring_up fails", "log_in fails", "test hangs", "no such program"])
def test_a_link_that_fails_does_not_stop_the_others(lab, balancer, story, step, command):
    changes = {"velox2": {step: command, "command_timeout": "3s"}}
    with Daemon(balancer, story.config(**changes)) as daemon:
        daemon.wait("velox1", "up", 40)
        daemon.wait("velox3", "up", 40)
        reason = daemon.wait("velox2", "down", 40)["reason"]
        # Nobody has switched its device on where bring_up has failed.
        assert re.search(f"{step}|{command[0]}" if step != "bring_up" else "switched off", reason), reason
        story.wait_used("velox1", "velox3")
        assert any("velox2" in line and (step in line or command[0] in line)
                   for line in daemon.log.splitlines()), daemon.log
        if "wrong password" in command[-1]:
            assert "wrong password" in daemon.log
        assert [line for line in story.journal() if line.startswith("test")] == \
            ["test velox1 192.168.1.2", "test velox3 192.168.3.2"]
        assert story.portals[0].logged_in() and story.portals[2].logged_in()


def test_nothing_of_it_stays(lab, balancer, story):
    """The temporary way out is gone afterwards, and `down` leaves what the commands have left."""
    with Daemon(balancer, story.config()) as daemon:
        for uplink in lab.uplinks:
            daemon.wait(uplink.name, "up", 40)
        balancer.down()
        assert daemon.ended() == 0
    shown = snapshot(lab)
    assert "default" not in shown["routes"] and lab.instance not in shown["nft"] + shown["pins"]
    assert len(shown["rules"].splitlines()) == 3
    with Daemon(balancer, story.config()) as daemon:
        for uplink in lab.uplinks:
            daemon.wait(uplink.name, "up", 40)
        balancer.down()
        assert daemon.ended() == 0
    assert not differences(shown, snapshot(lab))


def test_a_restart_disturbs_nobody(lab, balancer, story):
    """The links that are up already carry connections while the commands run again, or do not run."""
    with Daemon(balancer, story.config()) as daemon:
        for uplink in lab.uplinks:
            daemon.wait(uplink.name, "up", 40)
        with Busy(lab, 60) as busy:
            assert not busy.stuck()
            daemon.kill()
            with Daemon(balancer) as successor:
                for uplink in lab.uplinks:
                    successor.wait(uplink.name, "up", 40)
                assert not busy.stuck()
                story.wait_used("velox1", "velox2", "velox3")
