# SPDX-License-Identifier: GPL-2.0-or-later
"""Wrong configuration: exit 2, FILE:LINE:COLUMN and what was expected, nothing touched."""

import re
import subprocess

import pytest
from lab import Balancer, Config, Lab, differences, snapshot

GOOD = """\
[lan]
interfaces = ["eth0"]
networks = ["192.168.0.0/24", "2001:db8:a::/64"]

[[uplink]]
name = "velox1"
interface = "eth1"
gateway = "192.168.1.1"
gateway6 = "2001:db8:1::1"
table = 10
weight = 1

[[uplink]]
name = "velox2"
interface = "eth2"
gateway = "192.168.2.1"
gateway6 = "2001:db8:2::1"
table = 11
weight = 1

[balance]
table = 30
table_name = "velox"
hash = "connection"
datapath = "auto"
default_uplink = "velox1"
mark_mask = 0x00ff0000
"""

# name: (a line of GOOD, what stands there instead, what the message mentions)
MISTAKES = {
    "no TOML": ("table = 11", "table = = 11", ""),
    "unknown key": ("weight = 1", "wieght = 1", "wieght"),
    "unknown section": ("[balance]", "[balanse]", "balanse"),
    "a text for a number": ("table = 11", 'table = "11"', "table"),
    "a number for a text": ('hash = "connection"', "hash = 1", "hash"),
    "an element that is no text": ('interfaces = ["eth0"]', "interfaces = [7]", "interfaces"),
    "no LAN interface": ('interfaces = ["eth0"]', "interfaces = []", "interfaces"),
    "not a network": ('networks = ["192.168.0.0/24", "2001:db8:a::/64"]',
                      'networks = ["192.168.0.0/33"]', "192.168.0.0/33"),
    "not an address": ('gateway = "192.168.2.1"', 'gateway = "192.168.2.256"', "192.168.2.256"),
    "gateway of the other family": ('gateway = "192.168.2.1"', 'gateway = "2001:db8:2::1"', "gateway"),
    "gateway6 of the other family": ('gateway6 = "2001:db8:2::1"', 'gateway6 = "192.168.2.1"', "gateway6"),
    "same table": ("table = 11", "table = 10", "10"),
    "table of the balance": ("table = 11", "table = 30", "30"),
    "same name": ('name = "velox2"', 'name = "velox1"', "velox1"),
    "name of the balance": ('name = "velox2"', 'name = "velox"', "velox"),
    "reserved name": ('name = "velox2"', 'name = "main"', "main"),
    "empty name": ('name = "velox2"', 'name = ""', "name"),
    "name with a slash": ('name = "velox2"', 'name = "../velox"', "name"),
    "name with a space": ('name = "velox2"', 'name = "velox 2"', "name"),
    "same interface": ('interface = "eth2"', 'interface = "eth1"', "eth1"),
    "interface of the LAN": ('interface = "eth2"', 'interface = "eth0"', "eth0"),
    "interface name too long": ('interface = "eth2"', 'interface = "sixteencharacter"', "interface"),
    "weight 0": ("weight = 1", "weight = 0", "weight"),
    "weight 1001": ("weight = 1", "weight = 1001", "1000"),
    "weight -1": ("weight = 1", "weight = -1", "weight"),
    "weight 1.5": ("weight = 1", "weight = 1.5", "weight"),
    "table 0": ("table = 11", "table = 0", "table"),
    "table 253": ("table = 11", "table = 253", "253"),
    "table 254": ("table = 11", "table = 254", "254"),
    "table 255": ("table = 11", "table = 255", "255"),
    "table too large": ("table = 11", "table = 4294967296", "table"),
    "balance table 254": ("table = 30", "table = 254", "254"),
    "mask too small": ("mark_mask = 0x00ff0000", "mark_mask = 0x00010000", "mark_mask"),
    "mask 0": ("mark_mask = 0x00ff0000", "mark_mask = 0", "mark_mask"),
    "mask with a hole": ("mark_mask = 0x00ff0000", "mark_mask = 0x00f0f000", "mark_mask"),
    "mask too large": ("mark_mask = 0x00ff0000", "mark_mask = 0x1ff000000", "mark_mask"),
    "unknown hash": ('hash = "connection"', 'hash = "random"', "source-destination"),
    "unknown datapath": ('datapath = "auto"', 'datapath = "dpdk"', "classify"),
    "unknown attach": ('datapath = "auto"', 'attach = "xdp"', "clsact"),
    "unknown default uplink": ('default_uplink = "velox1"', 'default_uplink = "velox9"', "velox9"),
    "LAN network is an uplink's": ('networks = ["192.168.0.0/24", "2001:db8:a::/64"]',
                                   'networks = ["192.168.0.0/22"]', "192.168"),
    "key given twice": ("table = 11", "table = 11\ntable = 12", ""),
}
# Mistakes that may be reported where either of two lines stands, or at no line in particular.
ANYWHERE = {"LAN network is an uplink's", "key given twice", "table of the balance",
            "name of the balance", "mask too small"}


def replaced(old, new):
    """GOOD with the last line that is `old` changed; returns the text and that line's number."""
    lines = GOOD.splitlines()
    index = len(lines) - 1 - lines[::-1].index(old)
    lines[index:index + 1] = new.splitlines()
    return "\n".join(lines) + "\n", index + 1


def check(linkbal, path, *words):
    return subprocess.run([linkbal, "--config", str(path), *words], text=True, timeout=20,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "linkbal.toml"


def test_good_configuration(linkbal, path):
    path.write_text(GOOD)
    done = check(linkbal, path, "check")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake(linkbal, path, mistake):
    old, new, mentioned = MISTAKES[mistake]
    text, line = replaced(old, new)
    path.write_text(text)
    done = check(linkbal, path, "check")
    assert done.returncode == 2, done.stdout + done.stderr
    first = done.stderr.splitlines()[0]
    position = re.fullmatch(rf"{re.escape(str(path))}:(\d+):(\d+): (.+)", first)
    assert position, f"not FILE:LINE:COLUMN: message: {first!r}"
    assert mentioned in done.stderr
    if mistake not in ANYWHERE:
        assert int(position[1]) == line, first
        assert 1 <= int(position[2]) <= len(new) + 1, first


def many(count):
    links = "".join(f'[[uplink]]\nname = "u{n}"\ninterface = "ppp{n}"\n' for n in range(count))
    return f'[lan]\ninterfaces = ["eth0"]\n{links}'


def test_255_uplinks_are_enough(linkbal, path):
    path.write_text(many(255))
    assert check(linkbal, path, "check").returncode == 0
    path.write_text(many(256))
    done = check(linkbal, path, "check")
    assert done.returncode == 2 and "255" in done.stderr


@pytest.mark.parametrize("text", ["", "[lan]\ninterfaces = [\"eth0\"]\n", "[[uplink]]\nname = \"a\"\n"],
                         ids=["empty", "no uplink", "no LAN"])
def test_something_is_missing(linkbal, path, text):
    path.write_text(text)
    done = check(linkbal, path, "check")
    assert done.returncode == 2 and re.match(rf"{re.escape(str(path))}:\d+:\d+: .", done.stderr)


def test_no_file(linkbal, path):
    done = check(linkbal, path, "check")
    assert done.returncode == 2 and str(path) in done.stderr


@pytest.mark.parametrize("words", [["frobnicate"], ["up", "--frobnicate"], []], ids=str)
def test_wrong_usage(linkbal, path, words):
    path.write_text(GOOD)
    assert check(linkbal, path, *words).returncode == 2


@pytest.fixture(scope="module")
def system(linkbal):
    with Lab(hosts=1, uplinks=2, cheap=True) as lab:
        yield Balancer(lab, linkbal)


def test_good_configuration_suits_the_system(system):
    system.write(Config(system.lab))
    done = system.run("check", "--system")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("old, new, mentioned", [
    ('interface = "eth2"', 'interface = "eth9"', "eth9"),
    ('interfaces = ["eth0"]', 'interfaces = ["lan9"]', "lan9"),
    ('gateway = "192.168.2.1"', 'gateway = "192.168.3.1"', "192.168.3.1"),
    ('gateway6 = "2001:db8:2::1"', 'gateway6 = "2001:db8:3::1"', "2001:db8:3::1"),
    ('networks = ["192.168.0.0/24", "2001:db8:a::/64"]', 'networks = ["192.168.2.128/25"]', "192.168.2"),
], ids=["unknown uplink interface", "unknown LAN interface", "gateway outside", "gateway6 outside",
        "LAN overlaps uplink"])
def test_what_does_not_suit_the_system(system, old, new, mentioned):
    before = snapshot(system.lab)
    text, _ = replaced(old, new)
    path = system.write(text)
    for command in (["check", "--system"], ["up"]):
        done = system.run(*command)
        assert done.returncode in ((1, 2) if command == ["up"] else (2,)), done.stdout + done.stderr
        assert mentioned in done.stderr and path in done.stderr
        assert not differences(before, snapshot(system.lab))


def test_mark_of_somebody_elses_rule(system):
    system.write(Config(system.lab))
    gateway = system.lab.gateway
    gateway.run("ip", "rule", "add", "fwmark", "0x10000/0x10000", "lookup", "77", "pref", "4000")
    before = snapshot(system.lab)
    for command in (["check", "--system"], ["up"]):
        done = system.run(*command)
        assert done.returncode in (1, 2)
        assert "4000" in done.stderr or "0x10000" in done.stderr
    assert not differences(before, snapshot(system.lab))
    system.write(Config(system.lab, mark_mask="0xff000000"))
    assert system.run("check", "--system").returncode == 0
    gateway.run("ip", "rule", "del", "pref", "4000")


@pytest.mark.parametrize("mistake", ["no TOML", "unknown key", "same table", "weight 0", "mask 0"])
def test_up_touches_nothing(system, mistake):
    before = snapshot(system.lab)
    text, _ = replaced(*MISTAKES[mistake][:2])
    path = system.write(text)
    for command in ("up", "plan"):
        done = system.run(command)
        assert done.returncode == 2 and done.stderr.startswith(f"{path}:")
    assert not differences(before, snapshot(system.lab))
