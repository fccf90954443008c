# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients on LAN hosts: many short connections, and who the server saw.

One thread a host; a thread enters its host's namespace, and the sockets that it makes are there.
"""

import contextlib
import os
import selectors
import socket
import struct
import threading
import time
from collections import Counter

from . import servers as ports

CONCURRENCY = 64
# So many connections ask each server twice. Two links of the same weight take turns, so both are used; by
# the hashes of 20 pairs of client and server alone, one of them is not once in half a million labs.
TWICE = 40


def tcp_who(lab, count, family=4, hosts=None, servers=None, timeout=60):
    """Makes `count` TCP connections; returns a Counter of the addresses that servers saw."""
    return _many(_tcp_client, lab, count, family, hosts, servers, timeout)


def udp_who(lab, count, family=4, hosts=None, servers=None, timeout=60):
    """The same with UDP, each connection from a port of its own."""
    return _many(_udp_client, lab, count, family, hosts, servers, timeout)


def tcp_seen(server, source=None, device=None, port=ports.WHO, timeout=5):
    """One TCP connection from the namespace that the thread is in; the address that was seen."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(timeout)
        if device:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        if source:
            client.bind((source, 0))
        client.connect((server, port))
        return client.recv(100).split()[0].decode()


def _many(client, lab, count, family, hosts, servers, timeout):
    hosts = hosts or lab.hosts
    servers = servers or lab.servers(family)
    total, errors, threads = Counter(), [], []

    def work(host, first):
        try:
            with host.entered():
                jobs = [servers[n % len(servers)] for n in range(first, count, len(hosts))]
                seen = client(jobs, family, time.monotonic() + timeout)
            total.update(seen)
        except Exception as error:  # carried to the caller's thread
            errors.append(error)

    for n, host in enumerate(hosts):
        threads.append(threading.Thread(target=work, args=(host, n)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return total


def _socket(family, kind):
    made = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, kind)
    made.setblocking(False)
    return made


def _tcp_client(jobs, family, end):
    """Connects to each server of `jobs`, at most CONCURRENCY at a time."""
    jobs, seen, selector = list(reversed(jobs)), Counter(), selectors.DefaultSelector()
    try:
        while jobs or selector.get_map():
            while jobs and len(selector.get_map()) < CONCURRENCY:
                client, server = _socket(family, socket.SOCK_STREAM), jobs.pop()
                client.connect_ex((server, ports.WHO))
                selector.register(client, selectors.EVENT_READ, server)
            for key, _ in selector.select(1):
                try:
                    answer = key.fileobj.recv(100)
                except OSError as error:
                    raise ConnectionError(f"{key.data}: {error}") from error
                if not answer:
                    raise ConnectionError(f"{key.data}: closed without an answer")
                seen[answer.split()[0].decode()] += 1
                selector.unregister(key.fileobj)
                key.fileobj.close()
            _check_time(end, selector, jobs)
    finally:
        _close(selector)
    return seen


def _udp_client(jobs, family, end):
    """Asks each server of `jobs` by a datagram; asks again after a second."""
    jobs, seen, selector = list(reversed(jobs)), Counter(), selectors.DefaultSelector()
    try:
        while jobs or selector.get_map():
            while jobs and len(selector.get_map()) < CONCURRENCY:
                client, server = _socket(family, socket.SOCK_DGRAM), jobs.pop()
                client.connect((server, ports.WHO))
                client.send(b"who")
                selector.register(client, selectors.EVENT_READ, server)
            events = selector.select(1)
            for key, _ in events:
                seen[key.fileobj.recv(2000).split()[0].decode()] += 1
                selector.unregister(key.fileobj)
                key.fileobj.close()
            if not events:
                for key in selector.get_map().values():
                    key.fileobj.send(b"who")
            _check_time(end, selector, jobs)
    finally:
        _close(selector)
    return seen


def _check_time(end, selector, jobs):
    if time.monotonic() > end:
        waiting = [key.data for key in selector.get_map().values()][:5]
        raise TimeoutError(f"no answer from {waiting}; {len(jobs)} not asked")


def _close(selector):
    for key in list(selector.get_map().values()):
        key.fileobj.close()
    selector.close()


class Udp:
    """One UDP connection of a host, to be asked again and again."""

    def __init__(self, host, server, port=ports.WHO):
        family = 6 if ":" in server else 4
        with host.entered():
            self.socket = _socket(family, socket.SOCK_DGRAM)
        self.socket.settimeout(5)
        self.socket.connect((server, port))

    def ask(self, size=3):
        """Sends `size` bytes; returns (address, port) as seen, after checking the echo."""
        sent = os.urandom(size)
        self.socket.send(sent)
        line, _, echo = self.socket.recv(65535).partition(b"\n")
        if echo != sent:
            raise ConnectionError(f"{size} bytes sent, {len(echo)} other bytes came back")
        address, port = line.split()
        return address.decode(), int(port)

    def close(self):
        self.socket.close()


def both_links(lab, family=4):
    """Whether new connections take each link of two, and are the links' own addresses outside."""
    return set(tcp_who(lab, TWICE, family)) == {u.address(family) for u in lab.uplinks}


def ping(hosts, servers, timeout=10):
    """Each host pings each server once; returns the set of (host name, server) that answered."""
    answered, threads, errors = set(), [], []

    def work(host):
        try:
            answered.update((host.name, s) for s in _ping(host, servers, timeout))
        except Exception as error:
            errors.append(error)

    for host in hosts:
        threads.append(threading.Thread(target=work, args=(host,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return answered


def _ping(host, servers, timeout):
    """One raw socket; the identifier is the server's index, so each is a connection of its own."""
    six = ":" in servers[0]
    kinds = (socket.AF_INET6, socket.IPPROTO_ICMPV6) if six else (socket.AF_INET, socket.IPPROTO_ICMP)
    request, reply, header = (128, 129, 0) if six else (8, 0, 20)
    with host.entered():
        raw = socket.socket(kinds[0], socket.SOCK_RAW, kinds[1])
    with contextlib.closing(raw):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        answered, end = set(), time.monotonic() + timeout
        base = int.from_bytes(os.urandom(2), "big")
        for n, server in enumerate(servers):
            body = struct.pack("!BBHHH", request, 0, 0, (base + n) & 0xffff, 1) + b"linkbal!"
            raw.sendto(body[:2] + _checksum(body) + body[4:], (server, 0))
        while len(answered) < len(servers):
            raw.settimeout(max(0.0, end - time.monotonic()))  # in the end, what has come already
            try:
                data, source = raw.recvfrom(2000)
            except (TimeoutError, BlockingIOError):
                break
            if data[header] == reply:
                answered.add(source[0])
        return answered & set(servers)


def _checksum(data):
    """RFC 1071; the kernel does it again for ICMPv6."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xffff)
    return struct.pack("!H", ~(total + (total >> 16)) & 0xffff)
