# SPDX-License-Identifier: GPL-2.0-or-later
"""Network namespaces for one gateway: a LAN host, the gateway, and the far end of each uplink.

        host                gateway                isp
    lan0 ---------------- eth0   eth1 ---------- wan1
  192.168.0.10+       192.168.0.1   ethN ------- wanN
  2001:db8:10::10+    2001:db8:10::1

Every device has as many queues as the machine has cores, so that each core can forward what it sent
itself. Names carry the process id; whatever a killed run left behind is removed by the next one.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

PREFIX = "lbbench"
# What the generator writes into its frames; see tools/pktgen/generator.h and frame.h.
GATEWAY_MAC = "02:00:00:00:00:01"
HOST_MAC = "02:00:00:00:00:10"
HOSTS = range(10, 10 + 199)


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


@dataclass(frozen=True)
class Family:
    """Everything in which the families differ."""

    name: str
    ip: str  # the command
    iptables: str
    nft: str  # name of the family, and of its header's fields
    lan: str
    lan_address: str
    host_format: str
    internet: str
    flag: tuple = ()  # of pktgen

    def host(self, number):
        return self.host_format.format(number)


IPV4 = Family("ipv4", "ip -4", "iptables-legacy", "ip", "192.168.0.0/24", "192.168.0.1/24",
              "192.168.0.{}", "203.0.113.0/24")
IPV6 = Family("ipv6", "ip -6", "ip6tables-legacy", "ip6", "2001:db8:10::/64", "2001:db8:10::1/64",
              "2001:db8:10::{:x}", "2001:db8:ff::/64", ("--ipv6",))
FAMILIES = {family.name: family for family in (IPV4, IPV6)}


class Uplink:
    """One uplink as both ends see it; the first is eth1 with 192.168.1.2, as in the how-to."""

    def __init__(self, number):
        self.number = number
        self.name = f"velox{number}"
        self.device = f"eth{number}"
        self.far = f"wan{number}"
        self.far_mac = f"02:00:00:00:01:{number:02x}"
        self.table = 9 + number if number < 20 else 1000 + number
        # Beyond 192.168.1.0/24 and 192.168.2.0/24 there is room for 250 more.
        self._ipv4 = f"192.168.{number}" if number <= 2 else f"10.76.{number}"
        self._ipv6 = f"2001:db8:{0x100 + number:x}:"

    def network(self, family):
        return f"{self._ipv4}.0/24" if family is IPV4 else f"{self._ipv6}:/64"

    def address(self, family):
        return f"{self._ipv4}.2" if family is IPV4 else f"{self._ipv6}:2"

    def gateway(self, family):
        return f"{self._ipv4}.1" if family is IPV4 else f"{self._ipv6}:1"


class Lab:
    def __init__(self, name, uplinks=2, families=(IPV4, IPV6)):
        self.prefix = self.instance = f"{PREFIX}-{os.getpid()}-{name}"
        self.host = f"{self.prefix}-host"
        self.gateway = f"{self.prefix}-gw"
        self.isp = f"{self.prefix}-isp"
        self.uplinks = [Uplink(n) for n in range(1, uplinks + 1)]
        self.families = families

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
        self.script(SYSCTLS)
        queues = f"numrxqueues {os.cpu_count()} numtxqueues {os.cpu_count()}"
        links = [f"link add lan0 {queues} netns {self.host} type veth "
                 f"peer name eth0 {queues} netns {self.gateway}"]
        links += [f"link add {up.far} {queues} netns {self.isp} type veth "
                  f"peer name {up.device} {queues} netns {self.gateway}" for up in self.uplinks]
        run("ip", "-batch", "-", stdin="\n".join(links))
        self._configure_ends()
        run("ip", "-n", self.gateway, "-batch", "-", stdin="\n".join(self._gateway_lines()))
        # A frame redirected into a veth is dropped unless the other end has NAPI, which GRO turns on;
        # linkbal asks for that before it redirects.
        ends = {self.gateway: ["eth0", *(up.device for up in self.uplinks)],
                self.host: ["lan0"], self.isp: [up.far for up in self.uplinks]}
        for netns, devices in ends.items():
            run(*inside(netns), "sh", "-e",
                stdin="".join(f"ethtool -K {device} gro on\n" for device in devices))

    def _configure_ends(self):
        lines = [line for up in self.uplinks
                 for line in (f"link set {up.far} address {up.far_mac}", f"link set {up.far} up")]
        run("ip", "-n", self.isp, "-batch", "-", stdin="\n".join(lines))
        run("ip", "-n", self.host, "link", "set", "lan0", "address", HOST_MAC, "up")

    def _gateway_lines(self):
        lines = [f"link set eth0 address {GATEWAY_MAC}", "link set eth0 up"]
        lines += [f"link set {up.device} up" for up in self.uplinks]
        for family in self.families:
            lines.append(f"address add {family.lan_address} dev eth0")
            lines += [f"neigh replace {family.host(n)} lladdr {HOST_MAC} dev eth0 nud permanent"
                      for n in HOSTS]
            for up in self.uplinks:
                length = family.lan.split("/")[1]
                lines += [f"address add {up.address(family)}/{length} dev {up.device}",
                          f"neigh replace {up.gateway(family)} lladdr {up.far_mac} "
                          f"dev {up.device} nud permanent"]
        return lines

    def script(self, text):
        """Runs shell commands in the gateway; stops at the first that fails."""
        return run(*inside(self.gateway), "sh", "-e", stdin=text)

    def port_of_host(self):
        return f"{self.host}:lan0"

    def port_of(self, uplink):
        return f"{self.isp}:{uplink.far}"

    def remove(self):
        for netns in (self.host, self.gateway, self.isp):
            subprocess.run(["ip", "netns", "delete", netns], capture_output=True)


# For every contender alike, before there are devices. Unanswered UDP is forgotten after 30 s
# otherwise, and the rounds of one contender lie further apart; network cards check checksums, veth
# leaves it to conntrack. Addresses need not be probed for: nobody else is there.
SYSCTLS = """
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
sysctl -qw net.netfilter.nf_conntrack_udp_timeout=3600
sysctl -qw net.netfilter.nf_conntrack_udp_timeout_stream=3600
sysctl -qw net.netfilter.nf_conntrack_checksum=0
"""


class ConntrackRoom:
    """Room for connections, in the table that all namespaces share; put back by the last run.

    What it was before the first of them is kept in a file each, so that it is put back as well after
    a run that was killed.
    """

    DIRECTORY = Path("/run")
    SETTINGS = ("nf_conntrack_max", "nf_conntrack_buckets")

    def __init__(self, connections):
        self.connections = connections
        self.file = self.DIRECTORY / f"{PREFIX}-{os.getpid()}-conntrack"

    def __enter__(self):
        now = {name: int(self.setting(name).read_text()) for name in self.SETTINGS}
        others = self.files()
        self.file.write_text(others[0].read_text() if others else
                             "".join(f"{name} {value}\n" for name, value in now.items()))
        for name, value in now.items():
            if value < self.connections:
                self.setting(name).write_text(f"{self.connections}\n")
        return self

    def __exit__(self, *_):
        self.restore(self.file)

    @staticmethod
    def setting(name):
        return Path("/proc/sys/net/netfilter") / name

    @classmethod
    def files(cls):
        return sorted(cls.DIRECTORY.glob(f"{PREFIX}-*-conntrack"))

    @classmethod
    def restore(cls, file):
        """Puts back what the file says, unless another run still needs the room."""
        text = file.read_text()
        file.unlink()
        if cls.files():
            return
        for line in text.splitlines():
            name, value = line.split()
            if name in cls.SETTINGS:
                cls.setting(name).write_text(f"{value}\n")


# What runs leave that are killed: namespaces, and what linkbal keeps of an instance.
LEFTOVERS = ("/run/netns", "/sys/fs/bpf", "/run", "/etc/iproute2/rt_tables.d")


def remove_stale():
    """Removes what runs left behind whose process is gone, and puts back what they had set."""
    for directory in LEFTOVERS:
        for path in Path(directory).glob(f"{PREFIX}-*"):
            owner = re.match(rf"{PREFIX}-(\d+)-", path.name)
            if not owner or Path(f"/proc/{owner[1]}").exists():
                continue
            if path.parent.name == "netns":
                subprocess.run(["ip", "netns", "delete", path.name], capture_output=True)
            elif path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name.endswith("-conntrack"):
                ConntrackRoom.restore(path)
            else:
                path.unlink(missing_ok=True)
