# SPDX-License-Identifier: GPL-2.0-or-later
"""Network namespaces for one gateway: a LAN host, the gateway, and the far end of each uplink.

        host            gateway            isp1 ... ispN
    lan0 ------------ eth0   eth1 ---------- wan0
  192.168.0.10+   192.168.0.1   ethN ------- wan0

Names carry the process id; whatever a killed run left behind is removed by the next one.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

PREFIX = "lbbench"
LAN = "192.168.0.0/24"
INTERNET = "203.0.113.0/24"
GATEWAY_MAC = "02:00:00:00:00:01"  # the generator writes it into its frames


class CommandError(Exception):
    pass


def run(*command, stdin=None):
    """Runs a command; returns what it prints, or raises CommandError with what it complained about."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True)
    if done.returncode != 0:
        raise CommandError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def inside(netns):
    # Not `ip netns exec`: it remounts /sys, and BPF objects pinned there would vanish.
    return ["nsenter", f"--net=/run/netns/{netns}"]


class Uplink:
    """One uplink as both ends see it; the first is eth1 with 192.168.1.2, as in the how-to."""

    def __init__(self, number):
        self.number = number
        self.name = f"velox{number}"
        self.device = f"eth{number}"
        self.table = 9 + number if number < 20 else 1000 + number
        # Beyond 192.168.1.0/24 and 192.168.2.0/24 there is room for 250 more.
        self.network = f"192.168.{number}" if number <= 2 else f"10.76.{number}"
        self.address = f"{self.network}.2"
        self.gateway = f"{self.network}.1"


class Lab:
    def __init__(self, name, uplinks=2):
        self.prefix = self.instance = f"{PREFIX}-{os.getpid()}-{name}"
        self.host = f"{self.prefix}-host"
        self.gateway = f"{self.prefix}-gw"
        self.isp = f"{self.prefix}-isp"
        self.uplinks = [Uplink(n) for n in range(1, uplinks + 1)]

    def __enter__(self):
        try:
            self._create()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_):
        self.remove()

    def _create(self):
        for netns in (self.host, self.gateway, self.isp):
            run("ip", "netns", "add", netns)
            run("ip", "-n", netns, "link", "set", "lo", "up")
        links = [f"link add lan0 netns {self.host} type veth peer name eth0 netns {self.gateway}"]
        inner = [f"link set eth0 address {GATEWAY_MAC}", "address add 192.168.0.1/24 dev eth0",
                 "link set eth0 up"]
        outer = []
        for up in self.uplinks:
            far = f"wan{up.number}"
            mac = f"02:00:00:00:01:{up.number:02x}"
            links.append(f"link add {far} netns {self.isp} type veth "
                         f"peer name {up.device} netns {self.gateway}")
            inner += [f"address add {up.address}/24 dev {up.device}", f"link set {up.device} up",
                      f"neigh replace {up.gateway} lladdr {mac} dev {up.device} nud permanent"]
            outer += [f"link set {far} address {mac}", f"link set {far} up"]
        run("ip", "-batch", "-", stdin="\n".join(links))
        run("ip", "-n", self.isp, "-batch", "-", stdin="\n".join(outer))
        run("ip", "-n", self.gateway, "-batch", "-", stdin="\n".join(inner))
        run("ip", "-n", self.host, "link", "set", "lan0", "up")
        # A frame redirected into a veth is dropped unless the other end has NAPI.
        self.script("ethtool -K eth0 gro on")
        self.script(SYSCTLS)

    def script(self, text):
        """Runs shell commands in the gateway; stops at the first that fails."""
        return run(*inside(self.gateway), "sh", "-e", stdin=text)

    def port_of_host(self):
        return f"{self.host}:lan0"

    def port_of(self, uplink):
        return f"{self.isp}:wan{uplink.number}"

    def remove(self):
        for netns in (self.host, self.gateway, self.isp):
            subprocess.run(["ip", "netns", "delete", netns], capture_output=True)


# For every contender alike. Unanswered UDP is forgotten after 30 s otherwise, and the rounds of one
# contender lie further apart; network cards check checksums, veth leaves it to conntrack.
SYSCTLS = """
sysctl -qw net.ipv4.ip_forward=1
sysctl -qw net.netfilter.nf_conntrack_udp_timeout=3600
sysctl -qw net.netfilter.nf_conntrack_udp_timeout_stream=3600
sysctl -qw net.netfilter.nf_conntrack_checksum=0
"""


# What runs leave that are killed: namespaces, and what linkbal keeps of an instance.
LEFTOVERS = ("/run/netns", "/sys/fs/bpf", "/run", "/etc/iproute2/rt_tables.d")


def remove_stale():
    """Removes what runs left behind whose process is gone."""
    for directory in LEFTOVERS:
        for path in Path(directory).glob(f"{PREFIX}-*"):
            owner = re.match(rf"{PREFIX}-(\d+)-", path.name)
            if not owner or Path(f"/proc/{owner[1]}").exists():
                continue
            if path.parent.name == "netns":
                subprocess.run(["ip", "netns", "delete", path.name], capture_output=True)
            elif path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
