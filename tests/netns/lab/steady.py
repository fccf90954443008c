# SPDX-License-Identifier: GPL-2.0-or-later
"""Two watchers of an outage: `Steady` counts every packet that a good link loses, `Attempts` says
when new connections succeed again.

    with Steady(lab, lab.uplinks[1]) as steady, Attempts(lab) as attempts:
        since = time.monotonic()
        failure.fail()
        assert attempts.recovered(since) < 10
    assert steady.lost() == 0
"""

import contextlib
import selectors
import socket
import struct
import threading
import time

from . import servers as ports
from .wait import waituntil

NUMBER = struct.Struct("!Q")
TCP_SYN_SENT = 2  # the first byte of a struct tcp_info


class Steady:
    """Numbered datagrams that are echoed, `rate` a second, over one uplink; a context manager.

    Connections are opened until `count` of them have the uplink; conntrack keeps them there.
    """

    def __init__(self, lab, uplink, family=4, rate=200, count=4):
        self.sent = 0
        self._answered = set()
        self._pause = 1 / rate
        self._ended, self._closed = threading.Event(), threading.Event()  # sends, receives no more
        self._sockets = [_pinned(lab, uplink, family, n) for n in range(count)]
        self._threads = [threading.Thread(target=self._send), threading.Thread(target=self._receive)]

    def _send(self):
        due = time.monotonic()
        while not self._ended.is_set():
            client = self._sockets[self.sent % len(self._sockets)]
            # An error is that of an earlier datagram (ICMP), which is missing then.
            with contextlib.suppress(OSError):
                client.send(NUMBER.pack(self.sent))
            self.sent += 1
            due = max(due + self._pause, time.monotonic() - 0.1)  # no burst after a standstill
            self._ended.wait(max(0, due - time.monotonic()))

    def _receive(self):
        selector = selectors.DefaultSelector()
        for client in self._sockets:
            selector.register(client, selectors.EVENT_READ)
        while not self._closed.is_set():
            for key, _ in selector.select(0.1):
                with contextlib.suppress(OSError):
                    answer = key.fileobj.recv(2000)
                    self._answered.add(NUMBER.unpack(answer.partition(b"\n")[2])[0])

    def outstanding(self):
        """Numbers that were sent and not echoed, so far."""
        return sorted(set(range(self.sent)) - self._answered)

    def lost(self, patience=10):
        """Ends it; the number of packets that never came back, however slow the server is."""
        self._ended.set()
        self._threads[0].join()
        with contextlib.suppress(TimeoutError):  # those under way may still come
            waituntil(lambda: not self.outstanding(), patience)
        return len(self.outstanding())

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._closed.set()
        for thread in self._threads:
            thread.join()
        for client in self._sockets:
            client.close()


def _pinned(lab, uplink, family, number):
    """A UDP socket whose connection takes the uplink; others are closed again."""
    host = lab.hosts[number % len(lab.hosts)]
    kind = socket.AF_INET if family == 4 else socket.AF_INET6
    for attempt in range(100):
        with host.entered():
            client = socket.socket(kind, socket.SOCK_DGRAM)
        client.settimeout(2)
        client.connect((lab.servers(family)[(number + attempt) % 20], ports.WHO))
        with contextlib.suppress(TimeoutError):
            client.send(b"who")
            if client.recv(2000).split()[0].decode() == uplink.address(family):
                return client
        client.close()
    raise ConnectionError(f"no connection of a hundred took {uplink.name}")


class Attempts:
    """New TCP connections, one started every `step` seconds until the end; a context manager.

    Each has to be connected within `patience`, which is less than the time after which a SYN is
    repeated: an attempt that began in the outage never counts as a success. A server that is slow to
    say whom it saw is no outage.
    """

    ANSWER = 5  # seconds that a server has

    def __init__(self, lab, family=4, step=0.005, patience=0.9, host=None):
        self.results = []  # of (moment of the start, address that was seen or None), in order
        self._space = host or lab.hosts[0]
        self._servers, self._family = lab.servers(family), family
        self._step, self._patience = step, patience
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def _work(self):
        selector, due = selectors.DefaultSelector(), time.monotonic()
        with self._space.entered():
            while not self._ended.is_set():
                if time.monotonic() >= due:
                    self._start(selector)
                    due = max(due + self._step, time.monotonic() - 0.1)
                for key, _ in selector.select(max(0, due - time.monotonic())):
                    self._finish(selector, key)
                self._give_up(selector)
            for key in list(selector.get_map().values()):
                key.fileobj.close()

    def _start(self, selector):
        client = socket.socket(socket.AF_INET if self._family == 4 else socket.AF_INET6,
                               socket.SOCK_STREAM)
        client.setblocking(False)
        entry = [time.monotonic(), "waiting"]
        self.results.append(entry)
        server = self._servers[len(self.results) % len(self._servers)]
        client.connect_ex((server, ports.WHO))  # what fails at once is readable at once
        selector.register(client, selectors.EVENT_READ, entry)

    @staticmethod
    def _finish(selector, key):
        try:
            answer = key.fileobj.recv(100)
        except OSError:
            answer = b""
        key.data[1] = answer.split()[0].decode() if answer else None
        selector.unregister(key.fileobj)
        key.fileobj.close()

    def _give_up(self, selector):
        """Those registered first are the oldest; a selector keeps them in order."""
        now = time.monotonic()
        for key in list(selector.get_map().values()):
            if key.data[0] > now - self._patience:
                break
            if key.data[0] > now - self.ANSWER and _is_connected(key.fileobj):
                continue
            key.data[1] = None
            selector.unregister(key.fileobj)
            key.fileobj.close()

    def _after(self, since):
        return [entry for entry in list(self.results) if entry[0] >= since]

    def recovered(self, since, row=20, timeout=30):
        """Seconds from `since` to the end of the outage: waits for `row` successes on end, the
        first of them started after the last failed attempt. 0.0 where none failed."""
        waituntil(lambda: _in_a_row(self._after(since)) >= row, timeout,
                  f"{row} new connections in a row succeed")
        # Those from the outage may still be waiting, behind others that have succeeded.
        begun = time.monotonic()
        waituntil(lambda: all(seen != "waiting" for start, seen in self._after(since) if start <= begun),
                  timeout, "older attempts have ended")
        failed = [start for start, seen in self._after(since) if seen is None]
        return failed[-1] + self._step - since if failed else 0.0

    def failed(self, since=0.0):
        return sum(seen is None for _, seen in self._after(since))

    def seen(self, since=0.0):
        """The addresses that servers saw."""
        return {seen for _, seen in self._after(since) if seen not in (None, "waiting")}

    def __enter__(self):
        self._thread.start()
        waituntil(lambda: _in_a_row(self._after(0)) >= 5, what="connections succeed at all")
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()


def _is_connected(client):
    return client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != TCP_SYN_SENT


def _in_a_row(entries):
    """Successes since the last failure; those at the end that are still under way may become some."""
    count = 0
    for _, seen in reversed(entries):
        if seen == "waiting" and count == 0:
            continue
        if seen in (None, "waiting"):
            break
        count += 1
    return count


class Reader:
    """A TCP connection of a LAN host that sends nothing and waits for what comes; `ends` are its own
    address and port, and the server's."""

    def __init__(self, host, server):
        with host.entered():
            self.socket = socket.create_connection((server, ports.BUSY), timeout=10)
        self.seen = self.socket.recv(100).split()[0].decode()
        self.ends = self.socket.getsockname()[:2], self.socket.getpeername()[:2]
        self.socket.setblocking(False)
        self._reset = False

    def reset(self):
        """Whether it was told that its connection is dead."""
        if self._reset:  # the socket says it only once
            return True
        try:
            self.socket.recv(1)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            self._reset = True
            return True
        raise ConnectionError("something came")

    def close(self):
        self.socket.close()


def readers(lab, uplink, family=4, count=4):
    """`count` readers whose connections take the uplink."""
    found = []
    for n in range(20 * count):
        reader = Reader(lab.hosts[n % len(lab.hosts)], lab.servers(family)[n % 20])
        if reader.seen == uplink.address(family):
            found.append(reader)
        else:
            reader.close()
        if len(found) == count:
            return found
    raise ConnectionError(f"no {count} connections of {20 * count} took {uplink.name}")
