# SPDX-License-Identifier: GPL-2.0-or-later
"""The MSS that TCP connections open with, as seen on a wire.

    with Handshakes(lab.uplinks[0].router, "customer") as seen:
        ...
    seen.sizes("SYN", 4)    # {1460}
"""

import socket

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6

SYN, ACK = 2, 16
PROTOCOLS = {0x0800: IP, 0x86dd: IPv6}


class Handshakes:
    """SYN and SYN-ACK segments at a device, of both directions; a context manager."""

    def __init__(self, space, device):
        self._seen = []
        with space.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        with space.entered():
            self._socket.bind((device, 3))
        self._socket.setblocking(False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._read()
        self._socket.close()

    def _read(self):
        while True:
            try:
                data, address = self._socket.recvfrom(400)
            except BlockingIOError:
                return
            if address[1] not in PROTOCOLS:
                continue
            packet = PROTOCOLS[address[1]](data)
            if TCP in packet and packet[TCP].flags & SYN:
                kind = "SYN-ACK" if packet[TCP].flags & ACK else "SYN"
                self._seen.append((kind, packet.version, dict(packet[TCP].options).get("MSS")))

    def sizes(self, kind, family):
        """The sizes of all segments of a kind, None for one without; after the end."""
        return {size for what, version, size in self._seen if (what, version) == (kind, family)}
