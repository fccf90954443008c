# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames of TCP and UDP, made of values, with all checksums right unless they are given."""

import dataclasses
import ipaddress
import struct
import sys
from array import array

SYN, RST, PSH, ACK, URG, ECE, CWR = 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80
TCP, UDP = 6, 17
SHORTEST = 60
# linux/virtio_net.h; UDP since 6.2.
NEEDS_CHECKSUM, GSO_TCP4, GSO_TCP6, GSO_UDP = 1, 1, 4, 5


@dataclasses.dataclass(frozen=True)
class Ends:
    """Addresses as text; a frame's way from hardware to hardware."""

    source: str
    destination: str
    source_port: int
    destination_port: int
    mac: bytes  # destination and source, 12 bytes

    def words(self):
        return ipaddress.ip_address(self.source).packed, ipaddress.ip_address(self.destination).packed


@dataclasses.dataclass
class Packet:
    """What may vary between the packets of a flow."""

    payload: bytes = b""
    flags: int = ACK
    ttl: int = 64
    tos: int = 0
    identifier: int = 0
    sequence: int = 0
    acknowledged: int = 0
    options: bytes = b""
    fragment: int = 0x4000
    label: int = 0
    checksum: str = "right"  # of UDP: "none" leaves it out
    padded: bool = False


def fold(total):
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def ones_sum(data):
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    words = array("H", data)
    if sys.byteorder == "little":
        words.byteswap()
    return fold(sum(words))


class Flow:
    """Makes the frames of one direction of a connection."""

    def __init__(self, protocol, ends):
        self.protocol = protocol
        self.ends = ends
        self.source, self.destination = ends.words()
        self.ports = struct.pack(">HH", ends.source_port, ends.destination_port)
        self.ipv6 = len(self.source) == 16
        self.pseudo = ones_sum(self.source + self.destination) + protocol

    def frame(self, packet):
        transport = self._tcp(packet) if self.protocol == TCP else self._udp(packet)
        header = self._ipv6(packet, transport) if self.ipv6 else self._ipv4(packet, transport)
        frame = self.ends.mac + header + transport
        return frame.ljust(SHORTEST, b"\xee") if packet.padded else frame

    def offloaded(self, packet, size=0):
        """A frame as senders leave it to the device, behind a struct virtio_net_hdr: the checksum is that
        of the pseudo-header alone. With `size`, to be cut into segments of that much payload."""
        frame = bytearray(self.frame(packet))
        start = 14 + (40 if self.ipv6 else 20)
        place = 16 if self.protocol == TCP else 6
        headers = start + (20 + len(packet.options) if self.protocol == TCP else 8)
        struct.pack_into(">H", frame, start + place, fold(self.pseudo + len(frame) - start))
        kind = 0 if not size else GSO_UDP if self.protocol == UDP else GSO_TCP6 if self.ipv6 else GSO_TCP4
        return struct.pack("=BBHHHH", NEEDS_CHECKSUM, kind, headers, size, start, place) + frame

    def _sum(self, transport):
        return fold(self.pseudo + len(transport) + ones_sum(transport)) ^ 0xFFFF

    def _tcp(self, packet):
        words = 5 + len(packet.options) // 4
        head = self.ports + struct.pack(">IIBBH", packet.sequence, packet.acknowledged, words << 4,
                                        packet.flags, 0x2000)
        tail = b"\0\0" + packet.options + packet.payload
        return head + struct.pack(">H", self._sum(head + b"\0\0" + tail)) + tail

    def _udp(self, packet):
        head = self.ports + struct.pack(">H", 8 + len(packet.payload))
        if packet.checksum == "none":
            return head + b"\0\0" + packet.payload
        right = self._sum(head + b"\0\0" + packet.payload) or 0xFFFF
        return head + struct.pack(">H", right) + packet.payload

    def _ipv4(self, packet, transport):
        head = b"\x08\x00" + struct.pack(">BBHHHBB", 0x45, packet.tos, 20 + len(transport),
                                         packet.identifier, packet.fragment, packet.ttl,
                                         self.protocol)
        addresses = self.source + self.destination
        return head + struct.pack(">H", ones_sum(head[2:] + addresses) ^ 0xFFFF) + addresses

    def _ipv6(self, packet, transport):
        return (b"\x86\xdd" + struct.pack(">IHBB", 0x60000000 | packet.tos << 20 | packet.label,
                                          len(transport), self.protocol, packet.ttl)
                + self.source + self.destination)


def with_zero_sum(flow, packet):
    """The packet with a payload (of two bytes at least) that makes its checksum come out as 0: UDP is
    then sent with 0xffff."""
    packet.payload = b"\0\0" + packet.payload[2:]
    frame = flow.frame(packet)
    place = 14 + (40 if flow.ipv6 else 20) + (16 if flow.protocol == TCP else 6)
    packet.payload = frame[place:place + 2] + packet.payload[2:]
    return packet


def flow_of(frame):
    """What a frame's flow is known by."""
    return frame[20:21] + frame[54:58] + frame[22:54] if frame[12:14] == b"\x86\xdd" else \
        frame[23:24] + frame[34:38] + frame[26:34]
