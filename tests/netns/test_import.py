# SPDX-License-Identifier: GPL-2.0-or-later
"""`linkbal import`: scripts of the classic setup become configurations that do the same (S17)."""

import pathlib

import pytest
from lab import describe, deviation, differences, snapshot, tcp_who, waituntil
from lab.fast import Watch
from lab.firewall import Drops
from lab.ftp import ACTIVE, FtpServer, fetch
from lab.raw import TCP, ip, uplink_wire
from lab.reach import OPEN, OUTSIDE, PATIENCE, SILENT, Listener, pings, tcp, udp
from lab.servers import BUSY, HTTP, WHO

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


# The script's drops of INPUT for eth1; 240.0.0.0/5 is a part of what linkbal calls reserved.
FALSE_SOURCES = ["10.1.2.3", "172.16.0.9", "192.168.77.1", "224.0.0.5", "240.0.0.1"]


def test_the_howtos_firewall(lab, balancer):
    """What its INPUT and FORWARD let in, and nothing else."""
    bring_up(balancer, str(HOWTO))
    lab.serve(lab.gateway, "192.168.0.1", *(u.address4 for u in lab.uplinks))
    drops, host, outside = Drops(lab), lab.hosts[0], OUTSIDE[4]
    for address in ("192.168.0.1", *(u.address4 for u in lab.uplinks)):
        assert pings(host, address)
    with Listener(lab.gateway, 22), FtpServer(lab, lab.internet) as ftp:
        for uplink in lab.uplinks:
            there = uplink.address4
            with drops.quiet():
                assert tcp(host, there, 22) == OPEN
                assert tcp(lab.internet, there, 22, outside) == OPEN
                assert tcp(uplink.router, there, 22, uplink.router4) == OPEN
            for space, source in ((lab.internet, outside), (uplink.router, uplink.router4), (host, None)):
                with drops.counted("input", 5):
                    found = [tcp(space, there, port, source, PATIENCE) for port in (HTTP, WHO, BUSY, 53)]
                    found.append(udp(space, there, WHO, source, PATIENCE))
                    assert set(found) == {SILENT}, (space.name, found)
            with drops.counted("input"):
                assert not pings(lab.internet, there, outside, PATIENCE)
            with drops.counted("fragments"):
                assert udp(lab.internet, there, WHO, outside, PATIENCE, bytes(4000)) == SILENT
        with drops.quiet():
            for server in lab.servers()[:6]:
                assert fetch(host, server, ACTIVE) == ftp.content, "the script loads ip_nat_ftp"
    assert {lab.nameof(a) for a in tcp_who(lab, 40)} == {"velox1", "velox2"}
    assert lab.spoofed() == 0


def test_the_howtos_false_sources(lab, balancer):
    """By the script's own uplink; to a port that is open, so that what got through would be seen."""
    bring_up(balancer, str(HOWTO))
    uplink, drops = lab.uplinks[0], Drops(lab)
    lab.gateway.sysctl(**{f"ipv4/conf/{d}/rp_filter": 0 for d in ("all", "eth0", "eth1", "eth2")})
    with Watch(lab.gateway, "tcp dport 22", hook="input", priority=50) as watch, \
            uplink_wire(lab, uplink) as wire, Listener(lab.gateway, 22):
        for n, source in enumerate([*FALSE_SOURCES, "192.168.0.10", "192.168.0.1", "192.168.2.2"]):
            with drops.counted("spoofed"):
                wire.send(ip(source, uplink.address4) / TCP(sport=4000 + n, dport=22, flags="S"))
        assert watch.packets() == 0
        wire.send(ip(OUTSIDE[4], uplink.address4) / TCP(sport=4000, dport=22, flags="S"))
        waituntil(watch.packets, 5, "a source that is not spoofed")


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
