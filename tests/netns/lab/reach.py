# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of a connection, a datagram or a ping, and who listens for them.

    listener = Listener(lab.gateway, 22)
    assert tcp(lab.hosts[0], "192.168.0.1", 22) == OPEN
    assert tcp(lab.internet, "192.168.1.2", 22, OUTSIDE[4]) == SILENT
"""

import os
import socket
import struct

from .wait import waituntil

OPEN, REFUSED, SILENT = "open", "refused", "silent"
# An address of the internet with a name of its own: what it sends without, comes from a provider's.
OUTSIDE = {4: "198.51.100.77", 6: "2001:db8:ff::77"}
# Refused connections make tests no slower than this. Whoever expects one looks at a counter, too.
PATIENCE = 0.4


def _socket(space, address, kind, source=None, port=0):
    with space.entered():
        made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    if source or port:
        made.bind((source or "", port))
    return made


def tcp(space, address, port, source=None, patience=5.0):
    """OPEN, REFUSED or, without an answer, SILENT."""
    with _socket(space, address, socket.SOCK_STREAM, source) as client:
        client.settimeout(patience)
        try:
            client.connect((address, port))
        except TimeoutError:
            return SILENT
        except OSError:
            return REFUSED
        return OPEN


def udp(space, address, port, source=None, patience=5.0, payload=b"who"):
    """The same by one datagram, to a server that answers."""
    with _socket(space, address, socket.SOCK_DGRAM, source) as client:
        client.settimeout(patience)
        client.connect((address, port))
        try:
            client.send(payload)
            client.recv(65535)
        except TimeoutError:
            return SILENT
        except OSError:
            return REFUSED
        return OPEN


def pings(space, address, source=None, patience=5.0):
    """Whether one echo request is answered."""
    words = ["ping", "-n", "-q", "-c", "1", "-W", patience] + (["-I", source] if source else [])
    return space.run(*words, address, check=False).returncode == 0


def send(space, address, port, payload, source=None, source_port=0):
    """One datagram; nobody waits for an answer."""
    with _socket(space, address, socket.SOCK_DGRAM, source, source_port) as client:
        client.sendto(payload, (address, port))


class Listener:
    """Takes TCP connections and datagrams at a port of a namespace, at every address; a context manager.

    Nothing is answered but TCP's handshake.
    """

    def __init__(self, space, port):
        with space.entered():
            self._tcp = socket.create_server(("::", port), family=socket.AF_INET6, backlog=4096,
                                             dualstack_ipv6=True)
            self._udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self._udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self._udp.bind(("::", port))
        self._udp.setblocking(False)
        self._got = {}

    def got(self, payload):
        """The address that a datagram with this payload came from, or None."""
        while True:
            try:
                data, source = self._udp.recvfrom(65535)
            except BlockingIOError:
                return self._got.get(payload)
            self._got[data] = source[0].removeprefix("::ffff:")

    def wait(self, payload):
        return waituntil(lambda: self.got(payload), 5, "a datagram")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._tcp.close()
        self._udp.close()


class ProtocolListener:
    """Takes packets of an IP protocol in a namespace, also those to a group; a context manager."""

    def __init__(self, space, family, number, group=None, devices=()):
        with space.entered():
            self._socket = socket.socket({4: socket.AF_INET, 6: socket.AF_INET6}[family],
                                         socket.SOCK_RAW, number)
            for device in devices if group else ():
                self._join(group, socket.if_nametoindex(device))
        self._socket.setblocking(False)
        self._got = b""

    def _join(self, group, index):
        if ":" in group:
            member = struct.pack("16si", socket.inet_pton(socket.AF_INET6, group), index)
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
        else:
            member = struct.pack("4s4si", socket.inet_aton(group), bytes(4), index)
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)

    def got(self, payload):
        """Whether it has come."""
        while True:
            try:
                self._got += self._socket.recv(65535)
            except BlockingIOError:
                return payload in self._got

    def wait(self, payload):
        waituntil(lambda: self.got(payload), 5, "a packet")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()


def payload(size=16):
    """Bytes that nothing else sends."""
    return os.urandom(size)
