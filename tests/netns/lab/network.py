# SPDX-License-Identifier: GPL-2.0-or-later
"""The how-to's network.

    host 0   192.168.0.10  2001:db8:a::10 ─┐
    host 1   192.168.0.11  2001:db8:a::11 ─┤ switch
                                           │
      eth0   192.168.0.1   2001:db8:a::1  ─┘
    gateway
      eth1   192.168.1.2   2001:db8:1::2 ── provider 1  192.168.1.1  2001:db8:1::1 ─┐
      eth2   192.168.2.2   2001:db8:2::2 ── provider 2  192.168.2.1  2001:db8:2::1 ─┤
                                                                                    │
    internet  198.51.100.0/24  203.0.113.0/24  2001:db8:ff::/64 (every address answers)

Providers route without NAT and, like real ones, drop what does not come from their own customer's
network: a packet that takes the wrong link, or the right link with the wrong source, is lost and
counted (`Lab.spoofed`). They also count the ICMP echo requests that they carry (`Lab.echoes`).
"""

import atexit
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from . import namespaces
from .namespaces import Namespace, veth
from .wait import waituntil

SERVERS4 = [f"198.51.100.{n}" for n in range(10, 20)] + [f"203.0.113.{n}" for n in range(10, 20)]
SERVERS6 = [f"2001:db8:ff::{n}" for n in range(10, 30)]

_counter = itertools.count(1)
_open = []


class Uplink:
    """One link of the gateway, numbered from 1. IPv6 networks carry the number in decimal digits."""

    def __init__(self, number, device=None):
        self.number = number
        self.name = f"velox{number}"
        self.device = device or f"eth{number}"
        self.address4 = f"192.168.{number}.2"
        self.router4 = f"192.168.{number}.1"
        self.network4 = f"192.168.{number}.0/24"
        self.address6 = f"2001:db8:{number}::2"
        self.router6 = f"2001:db8:{number}::1"
        self.network6 = f"2001:db8:{number}::/64"
        self.router = None

    def address(self, family):
        return self.address4 if family == 4 else self.address6


class Lab:
    """The network; a context manager that leaves nothing behind.

    hosts    number of LAN hosts
    uplinks  number of links; with cheap=True they end in one namespace without an internet
    rate     {uplink number: "8mbit"}, both ways, or one rate for all
    ipv6     whether there is any
    tun      devices without an Ethernet header: "lan" and uplink numbers
    """

    def __init__(self, hosts=2, uplinks=2, rate=None, ipv6=True, tun=(), cheap=False):
        namespaces.reap()
        self.instance = f"lb-{os.getpid()}-{next(_counter)}"
        self.ipv6 = ipv6
        self.tun = frozenset(tun)
        self.processes = []
        self.namespaces = []
        self.directory = tempfile.mkdtemp(prefix=f"{self.instance}-")
        os.chmod(self.directory, 0o755)
        _open.append(self)
        try:
            self._build(hosts, uplinks, rate, cheap)
        except BaseException:
            self.close()
            raise

    def _build(self, hosts, uplinks, rate, cheap):
        self.gateway = self._namespace("gw")
        # What a fresh machine has; the namespace would inherit what this machine happens to have.
        self.gateway.sysctl(**{
            "ipv4/ip_forward": 0, "ipv4/conf/all/rp_filter": 0, "ipv4/conf/default/rp_filter": 1,
            "ipv4/icmp_echo_ignore_broadcasts": 0, "ipv6/conf/all/forwarding": 0})
        self.lan_device = "tun0" if "lan" in self.tun else "eth0"
        self.uplinks = [Uplink(n, f"tun{n}" if n in self.tun else None)
                        for n in range(1, uplinks + 1)]
        self.hosts = []
        if "lan" in self.tun:
            self._tun_lan()
        else:
            self._switched_lan(hosts)
        if cheap:
            self._cheap_uplinks()
            return
        self._internet()
        for uplink in self.uplinks:
            self._provider(uplink)
            speed = rate.get(uplink.number) if isinstance(rate, dict) else rate
            if speed:
                self.shape(uplink, speed)
        self.serve(self.internet, *SERVERS4, *(SERVERS6 if self.ipv6 else ()))

    def add_namespace(self, role):
        """One more, which ends with the lab."""
        return self._namespace(role)

    def _namespace(self, role):
        space = Namespace(f"{self.instance}-{role}")
        self.namespaces.append(space)
        return space

    def _addresses(self, space, device, *addresses, default=()):
        """Addresses and default routes of a device that is then up."""
        lines = [f"link set {device} up"]
        lines += [f"addr add {a} dev {device}{' nodad' if ':' in a else ''}"
                  for a in addresses if self.ipv6 or ":" not in a]
        lines += [f"route add default via {r}" for r in default if self.ipv6 or ":" not in r]
        space.batch("\n".join(lines) + "\n")

    def _switched_lan(self, count):
        switch = self._namespace("switch")
        switch.batch("link add br0 type bridge\nlink set br0 up\n")
        veth(self.gateway, "eth0", switch, "gw")
        switch.batch("link set gw master br0 up\n")
        self._addresses(self.gateway, "eth0", "192.168.0.1/24", "2001:db8:a::1/64")
        for n in range(count):
            host = self._namespace(f"host{n}")
            veth(host, "eth0", switch, f"host{n}")
            switch.batch(f"link set host{n} master br0 up\n")
            self._host(host, "eth0", 10 + n)

    def _tun_lan(self):
        host = self._namespace("host0")
        self.processes.append(namespaces.tun_pair(self.gateway, "tun0", host, "tun0"))
        self._addresses(self.gateway, "tun0", "192.168.0.1/24", "2001:db8:a::1/64")
        self._host(host, "tun0", 10)

    def _host(self, host, device, number):
        host.address4, host.address6 = f"192.168.0.{number}", f"2001:db8:a::{number}"
        self._addresses(host, device, f"{host.address4}/24", f"{host.address6}/64",
                        default=("192.168.0.1", "2001:db8:a::1"))
        self.hosts.append(host)

    def _internet(self):
        self.internet = self._namespace("net")
        local = ["198.51.100.0/24", "203.0.113.0/24"] + ["2001:db8:ff::/64"] * self.ipv6
        self.internet.batch("".join(f"route add local {n} dev lo\n" for n in local))
        self.internet.sysctl(**{
            "ipv6/ip_nonlocal_bind": 1, "ipv4/icmp_ratelimit": 0, "ipv6/icmp/ratelimit": 0,
            "ipv4/icmp_msgs_per_sec": 100000, "ipv4/icmp_msgs_burst": 100000})

    def _provider(self, uplink):
        router = uplink.router = self._namespace(f"isp{uplink.number}")
        n = uplink.number
        if n in self.tun:
            self.processes.append(
                namespaces.tun_pair(self.gateway, uplink.device, router, "customer"))
        else:
            veth(self.gateway, uplink.device, router, "customer")
        veth(router, "internet", self.internet, f"isp{n}")
        self._addresses(self.gateway, uplink.device, f"{uplink.address4}/24", f"{uplink.address6}/64")
        self._addresses(router, "customer", f"{uplink.router4}/24", f"{uplink.router6}/64")
        self._addresses(self.internet, f"isp{n}", f"100.64.{n}.1/24", f"2001:db8:fe:{n}::1/64")
        self._addresses(router, "internet", f"100.64.{n}.2/24", f"2001:db8:fe:{n}::2/64",
                        default=(f"100.64.{n}.1", f"2001:db8:fe:{n}::1"))
        router.sysctl(**{"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1,
                         "ipv4/icmp_ratelimit": 0, "ipv4/icmp_msgs_per_sec": 100000,
                         "ipv6/icmp/ratelimit": 0})
        lines = f"route add {uplink.network4} via 100.64.{n}.2\n"
        if self.ipv6:
            lines += f"route add {uplink.network6} via 2001:db8:fe:{n}::2\n"
        self.internet.batch(lines)
        router.nft(f"""
            table inet provider {{
                counter spoofed {{ }}
                counter echo4 {{ }}
                counter echo6 {{ }}
                chain forward {{
                    type filter hook forward priority 0; policy accept;
                    iifname "customer" ip saddr != {uplink.network4} counter name spoofed drop
                    iifname "customer" ip6 saddr != {uplink.network6} counter name spoofed drop
                    iifname "customer" icmp type echo-request counter name echo4
                    iifname "customer" icmpv6 type echo-request counter name echo6
                }}
            }}""")

    def _cheap_uplinks(self):
        isp = self._namespace("isp")
        pairs = "".join(f"link add eth{u.number} type veth peer name gw{u.number} netns {isp.name}\n"
                        for u in self.uplinks)
        self.gateway.batch(pairs)
        for space, device, last in ((self.gateway, "eth", 2), (isp, "gw", 1)):
            lines = []
            for n in (u.number for u in self.uplinks):
                lines.append(f"link set {device}{n} up\n")
                lines.append(f"addr add 192.168.{n}.{last}/24 dev {device}{n}\n")
                if self.ipv6:
                    lines.append(f"addr add 2001:db8:{n}::{last}/64 dev {device}{n} nodad\n")
            space.batch("".join(lines))

    def shape(self, uplink, rate):
        """Limits a link, both ways, in its provider's hands; queues are long enough to lose nothing."""
        for device in ("customer", "internet"):
            uplink.router.run("tc", "qdisc", "add", "dev", device, "root", "tbf", "rate", rate,
                              "burst", "16k", "latency", "4s")

    def unshape(self, uplink):
        for device in ("customer", "internet"):
            uplink.router.run("tc", "qdisc", "del", "dev", device, "root")

    def serve(self, space, *udp):
        """Starts the servers of servers.py in a namespace; UDP on the given addresses."""
        script = os.path.join(os.path.dirname(__file__), "servers.py")
        process = space.popen(sys.executable, script, *udp, stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"{space.name}: the servers did not start")

    def site(self, name, number):
        """A second site behind device NAME of the gateway, as over a VPN, with servers.

        10.NUMBER.0.1 and 2001:db8:NUMBER::1 are the gateway's end; 10.NUMBER.1.0/24 and
        2001:db8:NUMBER:1::/64 are behind the other end.
        """
        site = self._namespace(name)
        near4, near6 = f"10.{number}.0.", f"2001:db8:{number}::"
        far4, far6 = f"10.{number}.1.0/24", f"2001:db8:{number}:1::/64"
        veth(self.gateway, name, site, name)
        self._addresses(self.gateway, name, f"{near4}1/24", f"{near6}1/64")
        self._addresses(site, name, f"{near4}2/24", f"{near6}2/64", default=(f"{near4}1", f"{near6}1"))
        for space, route in ((site, "local {} dev lo"), (self.gateway, "{} via {}2")):
            lines = [f"route add {route.format(far4, near4)}"]
            lines += [f"route add {route.format(far6, near6)}"] * self.ipv6
            space.batch("\n".join(lines) + "\n")
        self.serve(site)
        return site

    def servers(self, family=4):
        return SERVERS4 if family == 4 else SERVERS6

    def nameof(self, address):
        """The uplink that an address belongs to, or None."""
        return next((u.name for u in self.uplinks if address in (u.address4, u.address6)), None)

    def spoofed(self):
        """Packets that reached a provider with another provider's, or no provider's, address."""
        return sum(self._count(u, "spoofed") for u in self.uplinks)

    def echoes(self, family=4):
        """{uplink name: ICMP echo requests carried so far}"""
        return {u.name: self._count(u, f"echo{family}") for u in self.uplinks}

    def _count(self, uplink, counter):
        text = uplink.router.output("nft", "-j", "list", "counter", "inet", "provider", counter)
        return next(o["counter"]["packets"] for o in json.loads(text)["nftables"] if "counter" in o)

    def settle(self):
        """Waits until every host and every provider has its links up."""
        for space in self.hosts + [u.router for u in self.uplinks if u.router] + [self.gateway]:
            waituntil(lambda s=space: "state DOWN" not in s.output("ip", "-o", "link", "show", "up"),
                      what=f"{space.name} up")

    def __enter__(self):
        self.settle()
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Removes everything that belongs to the lab, also what a balancer has left."""
        if self not in _open:
            return
        _open.remove(self)
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
        # Before too: a namespace of somebody else may get the number of one that is gone.
        namespaces.remove_instance(self.instance)
        for space in self.namespaces:
            namespaces.remove(space.name)
        namespaces.remove_instance(self.instance)
        shutil.rmtree(self.directory, ignore_errors=True)


def _close_all():
    for lab in list(_open):
        lab.close()


def _on_signal(number, _frame):
    _close_all()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def remove_on_signals():
    """Ends labs on SIGTERM and SIGHUP too (SIGINT is an exception in Python, and unwinds them)."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _on_signal)


atexit.register(_close_all)
