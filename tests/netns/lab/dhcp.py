# SPDX-License-Identifier: GPL-2.0-or-later
"""A provider's DHCP server (dnsmasq) and the gateway's client (udhcpc) on an uplink.

    server = Server(lab, uplink, "192.168.1.100", "192.168.1.1")
    client = Client(lab, uplink)
    client.wait(address="192.168.1.100")
    server.change("192.168.1.101", "192.168.1.7")
    client.renew()
"""

import os
import signal
import subprocess

from .hooks import script
from .wait import waituntil

# What the client's script of a distribution does, with nothing of linkbal in it.
SCRIPT = """#!/bin/sh
case "$1" in
deconfig)
    ip link set "$interface" up
    ip -4 addr flush dev "$interface"
    ;;
bound | renew)
    ip -4 -o addr show dev "$interface" | grep -q " $ip/$mask " || {
        ip -4 addr flush dev "$interface"
        ip addr add "$ip/$mask" dev "$interface"
    }
    ip route replace default via "${router%% *}" dev "$interface" proto dhcp metric 100
    ;;
esac
"""


class Server:
    """Gives `address` to its one customer, and `router` as the way out."""

    def __init__(self, lab, uplink, address, router, lease="2m"):
        self._lab, self._uplink, self._lease = lab, uplink, lease
        self._process = None
        self.change(address, router)

    def change(self, address, router):
        """The provider renumbers: clients hear of it when they renew."""
        self.stop()
        pid_file = f"{self._lab.directory}/dnsmasq-{self._uplink.number}.pid"
        self._process = self._uplink.router.popen(
            "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root",
            "--log-facility=/dev/null", f"--pid-file={pid_file}", "--interface=customer",
            "--bind-interfaces", "--dhcp-authoritative", "--no-ping", "--leasefile-ro",
            f"--dhcp-range={address},{address},{self._lease}", f"--dhcp-option=option:router,{router}")
        self._lab.processes.append(self._process)
        waituntil(lambda: ":67 " in self._uplink.router.output("ss", "-ulnH"), what="the DHCP server")

    def stop(self):
        if self._process:
            self._process.kill()
            self._process.wait()


class Client:
    """Runs on the uplink's device of the gateway until the lab ends."""

    def __init__(self, lab, uplink):
        self._gateway, self._device = lab.gateway, uplink.device
        self.process = lab.gateway.popen(
            "udhcpc", "--foreground", "--interface", uplink.device, "--retries", "20",
            "--timeout", "1", "--tryagain", "1",
            "--script", script(lab, f"udhcpc-{uplink.number}", SCRIPT),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        lab.processes.append(self.process)

    def renew(self):
        os.kill(self.process.pid, signal.SIGUSR1)

    def release(self):
        """Gives the lease back, and waits for renew() to ask for one again."""
        os.kill(self.process.pid, signal.SIGUSR2)

    def wait(self, address, router=None, timeout=15):
        """Waits until the device has this address and default route."""
        def configured():
            addresses = self._gateway.output("ip", "-4", "-o", "addr", "show", "dev", self._device)
            routes = self._gateway.output("ip", "route", "show", "default", "dev", self._device,
                                          "proto", "dhcp")
            return f" {address}/" in addresses and (router is None or f"via {router} " in routes)
        return waituntil(configured, timeout, f"{self._device} has {address} by {router}")


def lease_from(lab, host, server, address):
    """Whether a host gets `address` from a DHCP server in another namespace; it keeps its own one."""
    process = server.popen(
        "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--user=root",
        "--log-facility=/dev/null", f"--pid-file={lab.directory}/dnsmasq-lan.pid",
        f"--interface={lab.lan_device}", "--bind-interfaces", "--dhcp-authoritative", "--no-ping",
        "--leasefile-ro", f"--dhcp-range={address},{address},2m")
    try:
        waituntil(lambda: ":67 " in server.output("ss", "-ulnH"), what="the DHCP server")
        nothing = script(lab, "udhcpc-nothing", "#!/bin/sh\n")
        done = host.run("udhcpc", "--foreground", "--quit", "--now", "--interface", "eth0", "--retries",
                        "3", "--timeout", "1", "--script", nothing, check=False)
        return f"lease of {address} obtained" in done.stderr + done.stdout
    finally:
        process.kill()
        process.wait()
