# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets that no socket sends: made by scapy, put on a wire of the lab.

    wire = Wire(uplink.router, "customer", lab.gateway, uplink.device)
    wire.send(IP(src="10.1.2.3", dst=uplink.address4) / UDP(dport=53))
"""

import ipaddress
import json
import socket

from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest,
                                ICMPv6MLReport, ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6NDOptSrcLLAddr, IPv6, IPv6ExtHdrFragment,
                                IPv6ExtHdrHopByHop, RouterAlert, fragment6)

__all__ = [
    "ICMP", "IP", "TCP", "UDP", "ICMPv6DestUnreach", "ICMPv6EchoReply", "ICMPv6EchoRequest", "ICMPv6MLReport",
    "ICMPv6NDOptSrcLLAddr", "ICMPv6ND_NS", "ICMPv6ND_RA", "IPv6", "IPv6ExtHdrFragment",
    "IPv6ExtHdrHopByHop", "RouterAlert", "Wire", "fragment", "fragment6", "group_mac", "ip", "lan_wire",
    "uplink_wire",
]


def ip(source, destination, **fields):
    """The header of the family of the addresses."""
    return (IPv6 if ":" in destination else IP)(src=source, dst=destination, **fields)


class Wire:
    """One end of a wire with Ethernet headers, and whom it leads to."""

    def __init__(self, space, device, other, other_device):
        self._head = bytes.fromhex((mac(other, other_device) + mac(space, device)).replace(":", ""))
        with space.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            self._socket.bind((device, 0))

    def send(self, packet, to=None):
        """to    hardware address, as for multicast"""
        kind = b"\x08\x00" if isinstance(packet, IP) else b"\x86\xdd"
        head = bytes.fromhex(to.replace(":", "")) + self._head[6:] if to else self._head
        self._socket.send(head + kind + bytes(packet))

    def close(self):
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def uplink_wire(lab, uplink):
    """From a provider to the gateway."""
    return Wire(uplink.router, "customer", lab.gateway, uplink.device)


def lan_wire(lab, host=None):
    """From a host of the LAN to the gateway."""
    return Wire(host or lab.hosts[0], "eth0", lab.gateway, lab.lan_device)


def group_mac(group):
    """The hardware address of a multicast group."""
    tail = ipaddress.ip_address(group).packed[-4:]
    head = bytes.fromhex("3333") if ":" in group else bytes.fromhex("01005e") + bytes([tail[1] & 0x7f])
    return (head + tail[-(6 - len(head)):]).hex(":")


def mac(space, device):
    return json.loads(space.output("ip", "-j", "link", "show", device))[0]["address"]
