# SPDX-License-Identifier: GPL-2.0-or-later
"""`linkbal import`: scripts of the classic setup become configurations that do the same (S17)."""

import pathlib

import pytest
from lab import describe, deviation, differences, snapshot, tcp_who

LAB = {"hosts": 2, "uplinks": 2, "ipv6": False}
# The how-to's own script; the lab's network is the how-to's, names and addresses included.
HOWTO = pathlib.Path(__file__).parents[1] / "unit/data/howto_firewall"

# Variables, a loop, numbers of tables, an uneven multipath route of the main table.
BY_VARIABLES = """\
#!/bin/sh
IP=/sbin/ip
LAN=192.168.0.0/24
cat >> /etc/iproute2/rt_tables <<END
101 first
102 second
END
for n in 1 2; do
    iptables -t nat -A POSTROUTING -s $LAN -o eth$n -j MASQUERADE
    echo 0 > /proc/sys/net/ipv4/conf/eth$n/rp_filter
done
iptables -A FORWARD -i eth0 -s "$LAN" -j ACCEPT
$IP route add default via 192.168.1.1 dev eth1 table first
$IP route add default via 192.168.2.1 dev eth2 table second
$IP rule add from 192.168.1.2 table first
$IP rule add from 192.168.2.2 table second
$IP route add default scope global \\
    nexthop via 192.168.1.1 dev eth1 weight 3 \\
    nexthop via 192.168.2.1 dev eth2 weight 1
echo 1 > /proc/sys/net/ipv4/ip_forward
"""


def script(lab, text):
    path = pathlib.Path(lab.directory) / "firewall.sh"
    path.write_text(text, encoding="utf-8")
    return str(path)


def bring_up(balancer, path):
    """Imports, then goes the way that a person would go: check, up."""
    before = snapshot(balancer.lab)
    done = balancer.run("import", path)
    assert done.returncode == 0, done.stderr
    assert not differences(before, snapshot(balancer.lab)), "a script is read, not run"
    balancer.write(done.stdout)
    checked = balancer.run("check", "--system")
    assert checked.returncode == 0, checked.stderr
    balancer.up()
    return done


def assert_shares(lab, weights, count=2000):
    seen = {}
    for address, number in tcp_who(lab, count).items():
        seen[lab.nameof(address)] = seen.get(lab.nameof(address), 0) + number
    assert sum(seen.values()) == count
    assert max(map(abs, deviation(seen, weights).values())) <= 3, describe(seen, weights)
    assert lab.spoofed() == 0


def test_the_howtos_script(lab, balancer):
    done = bring_up(balancer, str(HOWTO))
    assert "101 commands" in done.stderr and "3 not" in done.stderr
    assert_shares(lab, {"velox1": 1, "velox2": 1})
    main = lab.gateway.output("ip", "route", "show", "default")
    assert "via 192.168.1.1 dev eth1" in main, "the script's preferred default route"
    assert [u["name"] for u in balancer.json("status")["uplinks"]] == ["velox1", "velox2"]
    balancer.down()


def test_weights_and_numbers_of_tables(lab, balancer):
    bring_up(balancer, script(lab, BY_VARIABLES))
    assert_shares(lab, {"velox1": 3, "velox2": 1})
    links = {u["name"]: u["table"] for u in balancer.json("status")["uplinks"]}
    assert links == {"first": 101, "second": 102}
    balancer.down()


@pytest.mark.parametrize("text, status, words", [
    (None, 1, "No such file"),
    ("", 2, "no links"),
    ("echo hello\n", 2, "no links"),
    ("#" * 300000, 1, "262144"),
], ids=["no file", "empty", "no links", "too long"])
def test_what_is_no_such_script(lab, balancer, text, status, words):
    path = f"{lab.directory}/absent.sh" if text is None else script(lab, text)
    done = balancer.run("import", path)
    assert done.returncode == status
    assert not done.stdout
    assert path in done.stderr and words in done.stderr


def test_each_command_is_accounted_for(lab, balancer):
    path = script(lab, BY_VARIABLES)
    done = balancer.run("-v", "import", path)
    parts = [line.removeprefix(f"{path}:").split(":")[0] for line in done.stderr.splitlines()]
    assert {int(n) for n in parts if n.isdigit()} == {2, 3, 4, 9, 10, 12, 13, 14, 15, 16, 17, 20}
