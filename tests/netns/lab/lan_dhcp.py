# SPDX-License-Identifier: GPL-2.0-or-later
"""The LAN's DHCP servers, run with the files that `linkbal dhcp --write` made, and hosts that have
nothing but what these tell them.

    server = Dnsmasq(lab, "/path/of/linkbal.conf")
    host = BareHost(lab, lab.hosts[0])
    lease = host.lease()
    lease["ip"], lease["dns"]
"""

import json
import os
import subprocess

from .hooks import script
from .wait import waituntil

NAME, NAME4, NAME6 = "www.example.org", "198.51.100.10", "2001:db8:ff::10"

# What the client's script of a distribution does; resolv.conf is one for all namespaces here, so what
# belongs into it goes into a file.
SCRIPT = """#!/bin/sh
case "$1" in
deconfig)
    ip link set "$interface" up
    ip -4 addr flush dev "$interface"
    ;;
bound | renew)
    ip addr replace "$ip/$mask" dev "$interface"
    ip route replace default via "${{router%% *}}" dev "$interface"
    for name in ip mask router dns domain lease hostname; do
        eval "printf '%s=%s\\n' $name \\"\\$$name\\""
    done >{path}.new
    mv {path}.new {path}
    ;;
esac
"""

SCRIPT6 = """#!/bin/sh
case "$reason" in BOUND6 | RENEW6) ;; *) exit 0 ;; esac
[ -z "$new_ip6_address" ] || ip addr replace "$new_ip6_address/128" dev "$interface" nodad
printf '%s\\n' "ip=$new_ip6_address" "dns=$new_dhcp6_name_servers" >{path}.new
mv {path}.new {path}
"""


class BareHost:
    """A host of the LAN without addresses and routes; `mac` is to be its own."""

    def __init__(self, lab, host, mac=None):
        self._lab, self.space = lab, host
        self._path = f"{lab.directory}/{host.name}.lease"
        lines = ["link set eth0 down", f"link set eth0 address {mac}" if mac else "", "addr flush dev eth0"]
        host.batch("\n".join(filter(None, lines)) + "\n")
        host.sysctl(**{"ipv6/conf/eth0/accept_ra": 1, "ipv6/conf/eth0/autoconf": 1,
                       "ipv6/conf/eth0/router_solicitation_interval": 1})
        host.batch("link set eth0 up\n")

    def lease(self, *options, timeout=20):
        """What DHCP brings, as the client's script is told; {} of name and value."""
        self.client = self.space.popen(
            "udhcpc", "--foreground", "--interface", "eth0", "--retries", "20", "--timeout", "1",
            "--tryagain", "1", *options,
            "--script", script(self._lab, f"udhcpc-{self.space.name}", SCRIPT.format(path=self._path)),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._lab.processes.append(self.client)
        return self._told(self._path, timeout)

    def lease6(self, *options, timeout=20):
        """What DHCPv6 brings; with "-S" no address is asked for."""
        path = f"{self._path}6"
        waituntil(self._settled, what=f"addresses of {self.space.name}")  # dhclient doesn't wait for them
        self._lab.processes.append(self.space.popen(
            "dhclient", "-6", *options, "-d", "-lf", f"{path}.leases", "-pf", f"{path}.pid",
            "-sf", script(self._lab, f"dhclient-{self.space.name}", SCRIPT6.format(path=path)), "eth0",
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return self._told(path, timeout)

    def _told(self, path, timeout):
        waituntil(lambda: os.path.exists(path), timeout, f"{self.space.name} has a lease")
        with open(path, encoding="ascii") as file:
            return dict(line.strip().split("=", 1) for line in file)

    def default_routers(self, family=4):
        routes = json.loads(self.space.output("ip", "-j", f"-{family}", "route", "show", "default"))
        return [route["gateway"] for route in routes]

    def addresses6(self):
        shown = json.loads(self.space.output("ip", "-j", "-6", "addr", "show", "dev", "eth0"))
        return [a["local"] for i in shown for a in i["addr_info"] if a["scope"] == "global"]

    def _settled(self):
        """It has addresses, and may use them all: the kernel looks at new ones when it comes to it."""
        shown = self.space.output("ip", "-6", "addr", "show", "dev", "eth0")
        return "inet6 fe80:" in shown and "tentative" not in shown

    def advertised(self, timeout=20):
        """Waits for the default route that an advertisement brings, and with it the addresses that the
        host made itself; returns router and addresses."""
        def configured():
            routers = self.default_routers(6)
            return (routers[0], self.addresses6()) if routers and self._settled() else None
        return waituntil(configured, timeout, f"{self.space.name} has heard an advertisement")

    def resolve(self, server, name, kind="A"):
        """The answers of a name server and its status: (["198.51.100.10"], "NOERROR")."""
        text = self.space.output("dig", "+noall", "+comments", "+answer", "+tries=2", "+time=3",
                                 f"@{server}", name, kind)
        answers = [line.split()[-1] for line in text.splitlines() if line and line[0] != ";"]
        return answers, text.split("status: ", 1)[1].split(",", 1)[0]


class InternetNames:
    """A name server in the lab's internet; it also pretends to know about the LAN's own domain."""

    ADDRESS = "198.51.100.53"

    def __init__(self, lab, domain):
        self.resolv_conf = f"{lab.directory}/resolv.conf"
        with open(self.resolv_conf, "w", encoding="ascii") as file:
            file.write(f"nameserver {self.ADDRESS}\n")
        lab.processes.append(lab.internet.popen(
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--no-resolv",
            "--no-hosts", "--log-facility=/dev/null", f"--pid-file={lab.directory}/names.pid",
            f"--address=/{NAME}/{NAME4}", f"--address=/{NAME}/{NAME6}", f"--address=/{domain}/{NAME4}"))
        waituntil(lambda: ":53 " in lab.internet.output("ss", "-ulnH"), what="the internet's names")


class Dnsmasq:
    """With a file of linkbal's and, as from a distribution's unit, places for its own."""

    def __init__(self, lab, path, resolv_conf="/dev/null"):
        self.log_path = f"{lab.directory}/dnsmasq.log"
        lab.processes.append(lab.gateway.popen(
            "dnsmasq", "--keep-in-foreground", f"--conf-file={path}", "--user=root",
            f"--log-facility={self.log_path}", f"--pid-file={lab.directory}/dnsmasq.pid",
            f"--dhcp-leasefile={lab.directory}/dnsmasq.leases", f"--resolv-file={resolv_conf}"))
        waituntil(lambda: ":67 " in lab.gateway.output("ss", "-ulnH"), what="dnsmasq")


def kea(lab, family, path):
    """It keeps its leases below /var: that is another place for it alone."""
    for folder in ("/var/lib/kea", "/run/kea"):
        os.makedirs(folder, exist_ok=True)
    places = "mount -t tmpfs none /var/lib/kea && mount -t tmpfs none /run/kea && exec "
    with open(f"{lab.directory}/kea{family}.log", "wb") as log:
        lab.processes.append(lab.gateway.popen(
            "unshare", "--mount", "sh", "-c", f"{places} kea-dhcp{family} -c {path}", stdout=log, stderr=log))

    def started():
        with open(log.name, encoding="utf-8") as words:
            return f"DHCP{family}_STARTED" in words.read()
    waituntil(started, 30, what=f"kea-dhcp{family}")


def radvd(lab, path):
    with open(f"{lab.directory}/radvd.log", "wb") as log:
        lab.processes.append(lab.gateway.popen(
            "radvd", "--nodaemon", "--logmethod", "stderr", "--config", path,
            "--pidfile", f"{lab.directory}/radvd.pid", stdout=log, stderr=log))
