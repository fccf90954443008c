# SPDX-License-Identifier: GPL-2.0-or-later
"""A firewall that would cut the session that applies it is warned about (S12)."""

import contextlib
import os
import re
import socket

import pytest
from lab import Config
from lab.daemon import Daemon

LAB = {"hosts": 1, "uplinks": 2}
PORT = 2222


def config(lab, **firewall):
    """A [firewall] without services; `allow` adds one, from an origin, for PORT."""
    allow = firewall.pop("allow", None)
    text = Config(lab, sections={"firewall": firewall}).text()
    if allow:
        text += f'\n[[firewall.allow]]\nservice = ["{PORT}/tcp"]\nfrom = ["{allow}"]\n'
    return text


@contextlib.contextmanager
def session(lab, family=4, lan=False, mapped=False):
    """A connection to a service of the gateway's; yields the client's address and our end of it."""
    server = lab.uplinks[0].address(family)
    address = f"::ffff:{server}" if mapped else server
    with contextlib.ExitStack() as stack:
        with lab.gateway.entered():
            kind = socket.AF_INET6 if family == 6 or mapped else socket.AF_INET
            listener = stack.enter_context(socket.socket(kind))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if mapped:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind(("::" if mapped else address, PORT))
            listener.listen()
        with (lab.hosts[0] if lan else lab.uplinks[0].router).entered():
            theirs = stack.enter_context(socket.create_connection((server, PORT), timeout=10))
        ours = stack.enter_context(listener.accept()[0])
        yield theirs.getsockname()[0], ours


def run(balancer, ours, *words, **environment):
    """Below a process that holds the connection, as a session's shell is below sshd."""
    holder = ("/usr/bin/python3", "-c", "import subprocess, sys\n"
              "sys.exit(subprocess.run(sys.argv[1:], close_fds=True).returncode)\n")
    known = {k: v for k, v in os.environ.items() if k != "SSH_CONNECTION"}
    return balancer.lab.gateway.run(*holder, *balancer.words(*words), check=False,
                                    env={**known, **environment}, pass_fds=(ours.fileno(),))


def warnings(done):
    return [line for line in done.stderr.splitlines() if "would not let you in again" in line]


@pytest.mark.parametrize("family, mapped", [(4, False), (6, False), (4, True)],
                         ids=["IPv4", "IPv6", "IPv4-mapped"])
def test_warned(lab, balancer, family, mapped):
    """By each command that shows or makes the firewall; the line has all that one needs."""
    with session(lab, family, mapped=mapped) as (client, ours):
        balancer.write(config(lab))
        for words in (("plan",), ("check", "--system")):
            done = run(balancer, ours, *words)
            assert done.returncode == 0, done
            line, = warnings(done)
            for part in (f" {client} ", f"{PORT}/tcp", "velox1", "[[firewall.allow]]", "--confirm"):
                assert part in line
        remedy = re.search(r'from = \["(.+?)"\]', line)[1]
        assert remedy.split("/")[0] == client
        balancer.write(config(lab, allow=remedy))
        for words in (("plan",), ("check", "--system")):
            done = run(balancer, ours, *words)
            assert done.returncode == 0 and not warnings(done), done


def test_warned_by_up(lab, balancer):
    with session(lab) as (_, ours):
        balancer.write(config(lab))
        assert warnings(run(balancer, ours, "up"))


def test_warned_with_a_daemon(lab, balancer):
    """Whose session it is the command knows, not the daemon."""
    with session(lab) as (_, ours), Daemon(balancer, Config(lab)) as daemon:
        balancer.write(config(lab))
        for words in (("plan",), ("up", "--confirm", "3600")):
            done = run(balancer, ours, *words)
            assert done.returncode == 0 and warnings(done), done
        assert "let you in" not in daemon.log
        assert balancer.run("confirm").returncode == 0


def test_from_the_lan(lab, balancer):
    with session(lab, lan=True) as (client, ours):
        balancer.write(config(lab, allow="uplinks"))
        line, = warnings(run(balancer, ours, "plan"))
        assert f" {client} " in line and "eth0" in line and '"lan"' in line
        balancer.write(config(lab, allow="lan"))
        assert not warnings(run(balancer, ours, "plan"))


def forwarding(lab, **firewall):
    """PORT of every uplink leads to the first host."""
    return (config(lab, **firewall) if firewall else Config(lab).text()) + \
        f'\n[[forward]]\nport = {PORT}\nto = "192.168.0.10"\n'


@pytest.mark.parametrize("lan", [False, True], ids=["from outside", "hairpin"])
@pytest.mark.parametrize("firewall", [{}, {"allow": "lan"}], ids=["alone", "with [firewall]"])
def test_led_away_by_a_forward(lab, balancer, lan, firewall):
    with session(lab, lan=lan) as (client, ours):
        balancer.write(forwarding(lab, **firewall))
        for words in (("plan",), ("check", "--system")):
            done = run(balancer, ours, *words)
            assert done.returncode == 0, done
            line, = warnings(done)
            assert f" {client} " in line and "forward[0] leads there" in line and "[[forward]] port" in line


def test_of_the_lan_by_another_device(lab, balancer):
    """A tunnel of the administrator's within networks that are the LAN's, by a route only."""
    lab.gateway.run("ip", "link", "add", "wg0", "type", "veth", "peer", "name", "wg1")
    lab.gateway.run("ip", "link", "set", "wg0", "up")
    lab.gateway.run("ip", "route", "add", "192.168.0.248/29", "dev", "wg0")
    balancer.write(config(lab, allow="lan"))
    with session(lab, lan=True) as (_, ours):
        told = {"SSH_CONNECTION": f"192.168.0.250 50000 192.168.0.1 {PORT}"}
        line, = warnings(run(balancer, ours, "plan", **told))
        assert "by wg0" in line and "must not come from elsewhere" in line
        assert not warnings(run(balancer, ours, "plan"))


def test_said_by_sshd(lab, balancer):
    """SSH_CONNECTION comes before what can be found."""
    with session(lab) as (_, ours):
        balancer.write(config(lab, allow="uplinks"))
        told = {"SSH_CONNECTION": f"203.0.113.77 50000 {lab.uplinks[1].address4} 22"}
        line, = warnings(run(balancer, ours, "plan", **told))
        assert re.search(r"203\.0\.113\.77 to port 22/tcp by uplink velox2", line)
        local = {"SSH_CONNECTION": "127.0.0.1 50000 127.0.0.1 22"}
        assert not warnings(run(balancer, ours, "plan", **local))


def test_not_at_the_console(lab, balancer):
    """Nor where there is no firewall, nor by what the ancestor itself has connected to."""
    balancer.write(config(lab))
    assert not warnings(balancer.run("plan"))
    with session(lab) as (_, ours):
        balancer.write(Config(lab))
        assert not warnings(run(balancer, ours, "plan"))
    router = lab.uplinks[0]
    with router.router.entered():
        elsewhere = socket.create_server((router.router4, PORT))
    with elsewhere, lab.gateway.entered():
        with socket.create_connection((router.router4, PORT), timeout=10) as own:
            balancer.write(config(lab))
            assert not warnings(run(balancer, own, "plan"))
