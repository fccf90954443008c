# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways in which a link fails, and comes back.

    with SilentGateway(lab, lab.uplinks[0]):
        ...                                    # the link is dead
    ...                                        # and alive again

    failure = WAYS["carrier"](lab, lab.uplinks[0])
    failure.fail()
    failure.recover()

WAYS are the five that every test of failover goes through. A link with a failure that is not
recovered from goes with its lab.
"""

import fcntl
import socket
import struct

from .namespaces import veth

SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1

# The provider forgets the customer's IPv6 address otherwise as soon as its device goes down.
KEEP = {"ipv6/conf/customer/keep_addr_on_down": 1}


class Failure:
    """One way to fail for one uplink; a context manager."""

    def __init__(self, lab, uplink):
        self.lab, self.uplink = lab, uplink
        self.gateway, self.router = lab.gateway, uplink.router

    def fail(self):
        raise NotImplementedError

    def recover(self):
        raise NotImplementedError

    def __enter__(self):
        self.fail()
        return self

    def __exit__(self, *_):
        self.recover()


class Carrier(Failure):
    """The cable is pulled: the far end of the veth goes down."""

    def __init__(self, lab, uplink):
        super().__init__(lab, uplink)
        self.router.sysctl(**KEEP)

    def fail(self):
        self._set(0)

    def recover(self):
        self._set(IFF_UP)

    def _set(self, up):
        """By hand, for starting `ip` takes as long as a good failover."""
        with self.router.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            request = struct.pack("16sH22x", b"customer", 0)
            flags = struct.unpack_from("16xH", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))[0]
            request = struct.pack("16sH22x", b"customer", flags & ~IFF_UP | up)
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, request)


class Deleted(Failure):
    """The device vanishes, as a USB modem does, and comes again with another index and MAC address."""

    def fail(self):
        self.gateway.batch(f"link del {self.uplink.device}\n")

    def recover(self):
        uplink = self.uplink
        veth(self.gateway, uplink.device, self.router, "customer")
        self.router.batch("link set customer up\n" + self._addresses(
            "customer", f"{uplink.router4}/24", f"{uplink.router6}/64"))
        self.gateway.batch(f"link set {uplink.device} up\n" + self._addresses(
            uplink.device, f"{uplink.address4}/24", f"{uplink.address6}/64"))

    def _addresses(self, device, four, six):
        lines = f"addr add {four} dev {device}\n"
        return lines + (f"addr add {six} dev {device} nodad\n" if self.lab.ipv6 else "")


class AddressLost(Failure):
    """The addresses are taken off the device, as a DHCP client does when its lease ends."""

    def fail(self):
        self.gateway.batch(self._lines("del"))

    def recover(self):
        self.gateway.batch(self._lines("add"))

    def _lines(self, verb):
        uplink = self.uplink
        lines = f"addr {verb} {uplink.address4}/24 dev {uplink.device}\n"
        nodad = " nodad" if verb == "add" else ""
        if self.lab.ipv6:
            lines += f"addr {verb} {uplink.address6}/64 dev {uplink.device}{nodad}\n"
        return lines


class Filter(Failure):
    """The provider drops something: `chains` is the inside of an nftables table of its own."""

    kind, chains = "inet", ""

    def fail(self):
        self.router.nft(f"table {self.kind} failure {{\n{self.chains}\n}}\n")

    def recover(self):
        self.router.nft(f"delete table {self.kind} failure\n")


class SilentGateway(Filter):
    """The provider's router is dead: no frame goes in or comes out, also no ARP; the carrier stays."""

    kind = "netdev"
    chains = """
        chain in {
            type filter hook ingress device "customer" priority -500; policy drop;
        }
        chain out {
            type filter hook egress device "customer" priority -500; policy drop;
        }"""


class SilentInternet(Filter):
    """The router answers for itself, and nothing behind it does."""

    chains = """
        chain forward {
            type filter hook forward priority -10; policy drop;
        }"""


def _both_ways(rules, hooks=("input", "forward")):
    return "".join(f"""
        chain {hook} {{
            type filter hook {hook} priority -10; policy accept;
            {rules}
        }}""" for hook in hooks)


class LossyEcho(Filter):
    """Of echo requests `percent` are lost, to the router and through it; all else is fine."""

    def __init__(self, lab, uplink, percent=30):
        super().__init__(lab, uplink)
        lost = f"numgen random mod 100 <= {percent - 1} drop"
        self.chains = _both_ways(f"""icmp type echo-request {lost}
            icmpv6 type echo-request {lost}""")


class NoEcho(LossyEcho):
    """Every echo request is lost."""

    def __init__(self, lab, uplink):
        super().__init__(lab, uplink, 100)


class OnlyIcmp(Filter):
    """Pings are answered, by whomever; everything else that would be forwarded is lost."""

    chains = _both_ways("meta l4proto != { icmp, ipv6-icmp } drop", ["forward"])


WAYS = {
    "carrier": Carrier,
    "deleted": Deleted,
    "silent gateway": SilentGateway,
    "silent internet": SilentInternet,
    "address": AddressLost,
}
