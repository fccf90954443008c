# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway between two wires whose ends are nobody's: frames are sent and captured as they are.

      192.168.0.10, 2001:db8:a::10 ... eth0  gateway  eth1 or tun1 ... 192.168.1.1, 2001:db8:1::1

All gateways have the same addresses, of hardware as well, so that what goes into two of them should
come out of both alike. Nothing at the ends answers or adds a packet.
"""

import json
import os
import select
import shutil
import socket
import tempfile

from . import namespaces
from .namespaces import Namespace, veth
from .network import Uplink

HOST_MAC, LAN_MAC = "02:00:00:00:00:02", "02:00:00:00:00:01"
ROUTER_MAC, WAN_MAC = "02:00:00:00:00:12", "02:00:00:00:00:11"
ETH_P_ALL = 3
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 15, 23
ROOM = 64 << 20
IP = (b"\x08\x00", b"\x86\xdd")


class Wire:
    """The far end of one of a gateway's devices."""

    def __init__(self, space, device):
        self.device = device
        with space.entered():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self.offloading = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.bind((device, ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, ROOM)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
        self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.offloading.bind((device, 0))
        self.offloading.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)

    def send(self, frames):
        send = self.socket.send
        for frame in frames:
            send(frame)

    def send_offloaded(self, frames):
        """Frames behind a struct virtio_net_hdr."""
        for frame in frames:
            self.offloading.send(frame)

    def receive(self, count, patience=2.0):
        """`count` frames of TCP and UDP, or as many as come; what there is more comes with them."""
        frames = []
        while True:
            self.socket.settimeout(patience if len(frames) < count else 0)
            try:
                frame = self.socket.recv(65536)
            except (TimeoutError, BlockingIOError):
                return frames
            if is_transport(frame):
                frames.append(frame)

    def close(self):
        self.socket.close()
        self.offloading.close()


class TunWire:
    """The far end of a tun device. Its packets get an Ethernet header here, to be frames like others."""

    def __init__(self, space, device):
        self.file = space.tun(device)
        os.set_blocking(self.file, False)

    def send(self, frames):
        for frame in frames:
            os.write(self.file, frame[14:])

    def receive(self, count, patience=2.0):
        frames = []
        while select.select([self.file], [], [], patience if len(frames) < count else 0)[0]:
            packet = os.read(self.file, 65536)
            frame = bytes(12) + IP[packet[0] >> 4 == 6] + packet
            if is_transport(frame):
                frames.append(frame)
        return frames

    def close(self):
        os.close(self.file)


def is_transport(frame):
    """TCP or UDP right behind the IP header."""
    protocol = {IP[0]: 23, IP[1]: 20}.get(frame[12:14])
    return protocol is not None and frame[protocol] in (socket.IPPROTO_TCP, socket.IPPROTO_UDP)


class Wires:
    """The gateway and both wires; looks like a lab to Balancer and Config. A context manager.

    tun: the uplink is a device without Ethernet header.
    """

    ipv6 = True
    lan_device = "eth0"

    def __init__(self, number, tun=False):
        self.instance = f"lb-{os.getpid()}-{1000 + number}"
        self.tun = tun
        self.uplinks = [Uplink(1, "tun1" if tun else None)]
        self.directory = tempfile.mkdtemp(prefix=f"{self.instance}-")
        self.spaces = []
        self.wires = []

    def __enter__(self):
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def _build(self):
        self.gateway, self.ends = self._namespace("gw"), self._namespace("ends")
        ends = self.ends
        ends.sysctl(**{"ipv6/conf/all/disable_ipv6": 1, "ipv6/conf/default/disable_ipv6": 1})
        self.gateway.sysctl(**{"ipv4/conf/all/rp_filter": 0, "ipv4/conf/default/rp_filter": 0,
                               "ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1})
        wan = self.uplinks[0].device
        self._veth("eth0", "lan", LAN_MAC, HOST_MAC)
        self.lan = Wire(ends, "lan")
        self.wires.append(self.lan)
        if self.tun:
            self.wan = TunWire(self.gateway, wan)
        else:
            self._veth(wan, "wan", WAN_MAC, ROUTER_MAC)
            self.wan = Wire(ends, "wan")
        self.wires.append(self.wan)
        self.gateway.batch(f"""
            link set {wan} up
            addr add 192.168.0.1/24 dev eth0
            addr add 2001:db8:a::1/64 dev eth0 nodad
            addr add 192.168.1.2/24 dev {wan}
            addr add 2001:db8:1::2/64 dev {wan} nodad
            """)
        for device, mac, *addresses in (("eth0", HOST_MAC, "192.168.0.10", "2001:db8:a::10"),
                                        (wan, ROUTER_MAC, "192.168.1.1", "2001:db8:1::1")):
            for address in addresses * device.startswith("eth"):
                self.gateway.batch(f"neigh add {address} lladdr {mac} dev {device}\n")

    def _veth(self, device, end, mac, far):
        veth(self.gateway, device, self.ends, end)
        self.gateway.batch(f"link set {device} address {mac} up\n")
        self.ends.batch(f"link set {end} address {far} arp off up\n")
        # A veth takes what XDP redirects to it only if its peer has NAPI.
        self.ends.run("ethtool", "-K", end, "gro", "on")

    def segment(self):
        """What the gateway is handed in large pieces, it sends in segments, and they stay apart."""
        for device in (self.lan_device, self.uplinks[0].device):
            self.gateway.run("ethtool", "-K", device, "tso", "off", "gso", "off", "tx", "off",
                             "tx-udp-segmentation", "off")
        for end in ("lan", "wan"):
            self.ends.run("ethtool", "-K", end, "gro", "off")

    def received(self):
        """Pieces that the gateway was handed so far."""
        shown = json.loads(self.gateway.output("ip", "-j", "-s", "link"))
        return sum(link["stats64"]["rx"]["packets"] for link in shown
                   if link["ifname"] in (self.lan_device, self.uplinks[0].device))

    def _namespace(self, role):
        space = Namespace(f"{self.instance}-{role}")
        self.spaces.append(space)
        return space

    def __exit__(self, *_):
        self.close()

    def close(self):
        for wire in self.wires:
            wire.close()
        for space in self.spaces:
            namespaces.remove(space.name)
        namespaces.remove_instance(self.instance)
        shutil.rmtree(self.directory, ignore_errors=True)
