# SPDX-License-Identifier: GPL-2.0-or-later
"""Long-lived TCP connections that keep both directions busy and notice whatever happens to them."""

import contextlib
import os
import selectors
import socket
import threading
import time

from . import servers as ports

TICK = 0.04


class Connection:
    """One connection; `rounds` counts the messages that came back unchanged; `ends` are its own address
    and port, and the server's."""

    def __init__(self, host, server):
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        with host.entered():
            self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(10)
        self.socket.connect((server, ports.BUSY))
        self.seen = self.socket.makefile("rb", buffering=0).readline().split()[0].decode()
        self.ends = self.socket.getsockname()[:2], self.socket.getpeername()[:2]
        self.socket.setblocking(False)
        self.rounds, self.error, self.waiting = 0, None, b""

    def __repr__(self):
        return f"<seen as {self.seen}: {self.rounds} rounds, {self.error or 'open'}>"

    def send(self):
        if self.error is None and not self.waiting:
            self.waiting = os.urandom(32)
            try:
                self.socket.send(self.waiting)
            except OSError as error:
                self.error = error

    def receive(self):
        if self.error is not None:  # send() was told, and sockets say it only once
            return
        try:
            got = self.socket.recv(32)
        except OSError as error:
            self.error = error
            return
        if not got or not self.waiting.startswith(got):
            self.error = ConnectionError("closed" if not got else "other bytes came back")
            return
        self.waiting = self.waiting[len(got):]
        self.rounds += not self.waiting


class Busy:
    """Keeps `count` connections busy from a thread; a context manager."""

    def __init__(self, lab, count=200, family=4, servers=None):
        servers = servers or lab.servers(family)
        self.connections = [Connection(lab.hosts[n % len(lab.hosts)], servers[n % len(servers)])
                            for n in range(count)]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def _work(self):
        selector = selectors.DefaultSelector()
        for connection in self.connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        while not self._ended.is_set():
            tick = time.monotonic() + TICK
            for connection in self.connections:
                connection.send()
            while (left := tick - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    key.data.receive()
                    if key.data.error:
                        selector.unregister(key.fileobj)

    def stuck(self, rounds=3, timeout=10):
        """The connections that do not make `rounds` more round trips in time, broken ones included."""
        goal = {c: c.rounds + rounds for c in self.connections}
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            behind = [c for c in self.connections if c.rounds < goal[c]]
            if not behind or all(c.error for c in behind):
                return behind
            self._ended.wait(TICK)
        return behind

    def by_address(self):
        """{address that the server saw: number of connections}"""
        counts = {}
        for connection in self.connections:
            counts[connection.seen] = counts.get(connection.seen, 0) + 1
        return counts

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.socket.close()
