# SPDX-License-Identifier: GPL-2.0-or-later
"""Firewalls of others on the gateway: real programs, with settings of their own that end with the lab.

    theirs = Ufw(lab)
    theirs.set_up()     # the LAN may go out, nobody comes in, ssh from the LAN
    theirs.forbid()     # datagrams to port 7000 no more, also those of open connections
    theirs.permit()
    theirs.reload()     # as after a change of the settings
"""

import os
import re
import shutil
import subprocess

from .hooks import script
from .namespaces import veth
from .wait import waituntil


class Neighbour:
    """What all have in common."""

    def __init__(self, lab):
        self.lab, self.gateway = lab, lab.gateway

    def rules(self):
        """Everything in nftables that is not linkbal's, with handles and without counters."""
        text = self.gateway.output("nft", "-a", "-s", "list", "ruleset")
        tables = re.findall(r"^table .*?^}$", text, re.MULTILINE | re.DOTALL)
        return "\n".join(t for t in tables if not t.startswith(f"table inet {self.lab.instance} "))


class Nftables(Neighbour):
    """A table as in the wiki of nftables: policy drop, and what may pass."""

    RULES = """
        table inet filter {{
            chain input {{
                type filter hook input priority filter; policy drop;
                ct state vmap {{ established : accept, related : accept, invalid : drop }}
                iif lo accept
                meta l4proto {{ icmp, ipv6-icmp }} accept
                iifname "eth0" tcp dport 22 accept
            }}
            chain forward {{
                type filter hook forward priority filter; policy drop;
                {forbidden}
                ct state vmap {{ established : accept, related : accept, invalid : drop }}
                iifname "eth0" accept
                {more}
            }}
        }}"""
    more = ""

    def set_up(self):
        self._load("")

    def _load(self, forbidden):
        rules = self.RULES.format(forbidden=forbidden, more=self.more)
        self.gateway.nft(f"table inet filter\ndelete table inet filter\n{rules}")

    def forbid(self):
        self._load("udp dport 7000 drop")

    def permit(self):
        self._load("")

    reload = permit


class Docker(Neighbour):
    """What Docker Engine writes, with a container whose port 80 is published at 8080, and the rules for
    the LAN where Docker wants those of users: in DOCKER-USER."""

    NAT = """*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
"""
    FILTER = """*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
{published}-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
{user}-A DOCKER-USER -j RETURN
COMMIT
"""
    PUBLISHED = "-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT\n"
    USER = """-A DOCKER-USER -i eth0 -j ACCEPT
-A DOCKER-USER -o eth0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
"""
    FORBIDDEN = "DOCKER-USER -p udp -m udp --dport 7000 -j DROP"

    def set_up(self):
        self.container = self.lab.add_namespace("container")
        # Not a bridge as Docker's: those have timers, and a snapshot would never be the same.
        veth(self.gateway, "docker0", self.container, "eth0")
        self.gateway.batch("link set docker0 up\naddr add 172.17.0.1/16 dev docker0\n")
        self.container.batch("link set eth0 up\naddr add 172.17.0.2/16 dev eth0\n"
                             "route add default via 172.17.0.1\n")
        self.lab.serve(self.container)
        self.gateway.sysctl(**{"ipv4/ip_forward": 1})
        self.reload()

    def reload(self):
        four = self.NAT + self.FILTER.format(published=self.PUBLISHED, user=self.USER)
        self.gateway.run("iptables-restore", input=four)
        self.gateway.run("ip6tables-restore", input=self.FILTER.format(published="", user=self.USER))

    def _both(self, *words):
        for tool in ("iptables", "ip6tables"):
            self.gateway.run(tool, *words)

    def forbid(self):
        self._both("-I", *self.FORBIDDEN.split())

    def permit(self):
        self._both("-D", *self.FORBIDDEN.split())


class Ufw(Neighbour):
    """ufw with settings of its own, mounted over the machine's for each of its commands."""

    DEFAULT = """IPV6=yes
DEFAULT_INPUT_POLICY="DROP"
DEFAULT_OUTPUT_POLICY="ACCEPT"
DEFAULT_FORWARD_POLICY="DROP"
DEFAULT_APPLICATION_POLICY="SKIP"
MANAGE_BUILTINS=no
IPT_SYSCTL=/etc/ufw/sysctl.conf
IPT_MODULES=""
"""
    COMMAND = """#!/bin/sh
set -e
mount --bind {folder}/ufw /etc/ufw
mount --bind {folder}/default /etc/default/ufw
exec ufw "$@"
"""
    FIRST = "# End required lines\n"

    def set_up(self):
        folder = f"{self.lab.directory}/ufw"
        shutil.copytree("/etc/ufw", f"{folder}/ufw")
        for name in os.listdir("/usr/share/ufw"):  # as they come with the package
            if name.endswith((".rules", ".init", ".conf")):
                shutil.copy(f"/usr/share/ufw/{name}", f"{folder}/ufw/{name}")
        with open(f"{folder}/default", "w", encoding="ascii") as file:
            file.write(self.DEFAULT)
        self._folder = f"{folder}/ufw"
        self._command = script(self.lab, "ufw.sh", self.COMMAND.format(folder=folder))
        self.ufw("allow", "in", "on", "eth0", "to", "any", "port", "22", "proto", "tcp")
        self.ufw("route", "allow", "in", "on", "eth0")
        self.ufw("--force", "enable")

    def ufw(self, *words):
        return self.gateway.output("unshare", "--mount", self._command, *words)

    def forbid(self):
        """In the rules that come before those about open connections."""
        self._edit(lambda text, chain: text.replace(
            self.FIRST, f"{self.FIRST}-A {chain} -p udp --dport 7000 -j DROP\n"))

    def permit(self):
        self._edit(lambda text, chain: text.replace(f"-A {chain} -p udp --dport 7000 -j DROP\n", ""))

    def _edit(self, change):
        for name, chain in (("before.rules", "ufw-before-forward"), ("before6.rules", "ufw6-before-forward")):
            path = f"{self._folder}/{name}"
            with open(path, encoding="utf-8") as file:
                text = change(file.read(), chain)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        self.reload()

    def reload(self):
        self.ufw("reload")


class Firewalld(Neighbour):
    """firewalld with settings and a system bus of its own. The LAN is `internal`, uplinks `external`."""

    BUS = """<busconfig>
  <type>system</type>
  <listen>unix:path={folder}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"""
    ZONE = """<?xml version="1.0" encoding="utf-8"?>
<zone>
  <short>{name}</short>
  {interfaces}
  {services}
</zone>
"""
    POLICY = """<?xml version="1.0" encoding="utf-8"?>
<policy target="ACCEPT">
  <ingress-zone name="internal"/>
  <egress-zone name="external"/>
</policy>
"""

    def set_up(self):
        self._folder = f"{self.lab.directory}/firewalld"
        for name in ("zones", "policies"):
            os.makedirs(f"{self._folder}/{name}")
        shutil.copy("/etc/firewalld/firewalld.conf", self._folder)
        uplinks = "".join(f'<interface name="{u.device}"/>' for u in self.lab.uplinks)
        self._write("bus.conf", self.BUS.format(folder=self._folder))
        self._write("zones/internal.xml", self.ZONE.format(
            name="internal", interfaces='<interface name="eth0"/>', services='<service name="ssh"/>'))
        self._write("zones/external.xml", self.ZONE.format(
            name="external", interfaces=uplinks, services=""))
        self._write("policies/out.xml", self.POLICY)
        self._start("dbus-daemon", "--nofork", "--nopidfile", f"--config-file={self._folder}/bus.conf")
        waituntil(lambda: os.path.exists(f"{self._folder}/bus"), what="the bus")
        self._start("firewalld", "--nofork", "--nopid", f"--system-config={self._folder}",
                    "--log-target=file", f"--log-file={self._folder}/log")
        waituntil(lambda: self.command("--state", check=False).returncode == 0, 30, "firewalld runs")

    def _write(self, name, text):
        with open(f"{self._folder}/{name}", "w", encoding="utf-8") as file:
            file.write(text)

    def _environment(self):
        return {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self._folder}/bus"}

    def _start(self, *words):
        process = self.gateway.popen(*words, env=self._environment(), stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
        self.lab.processes.append(process)

    def command(self, *words, check=True):
        return self.gateway.run("firewall-cmd", *words, env=self._environment(), check=check)

    def forbid(self):
        """Its switch that stops everything."""
        self.command("--panic-on")

    def permit(self):
        self.command("--panic-off")

    def reload(self):
        self.command("--reload")
