# SPDX-License-Identifier: GPL-2.0-or-later
"""How connections end that the fast path has taken: cleanly, with losses too, and known to conntrack."""

import contextlib
import fcntl
import hashlib
import os
import socket
import struct
import termios
import threading

import pytest
from lab import waituntil
from lab.fast import RST, Capture, endpoint
from lab.tracked import tracked

LAB = {"hosts": 1, "uplinks": 2}
FAMILIES = pytest.mark.parametrize("family", [4, 6])
PORT = 7100
TCP_REPAIR = 19  # linux/tcp.h: nothing is sent when such a socket is closed
# Each twentieth: at random a handshake could be lost as often as nobody waits for.
LOSS = """
table inet loss {
    chain forward {
        type filter hook forward priority -20; policy accept;
        meta l4proto tcp numgen inc mod 20 == 0 drop
    }
}"""


class Server:
    """One listening socket in the internet; accept() gives plain sockets to play with."""

    def __init__(self, lab):
        with lab.internet.entered():
            self.socket = socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True)
        self.socket.settimeout(10)


class Pair:
    """Both ends of a connection through the gateway; `source` is the client's, as flows tell it."""

    def __init__(self, fast, server, family, port=0):
        host = fast.lab.hosts[0]
        self.fast = fast
        with host.entered():
            self.client = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6)
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.client.settimeout(15)
        self.client.bind(("", port))
        self.client.connect((fast.lab.servers(family)[2], PORT))
        self.far, _ = server.socket.accept()
        self.far.settimeout(15)
        self.ends = self.client.getsockname(), self.client.getpeername()
        self.source = endpoint(*self.ends[0][:2])
        self.port = self.ends[0][1]

    def exchange(self, size=20000):
        """The same bytes there and back; then the fast path has both directions."""
        for sender, receiver in ((self.client, self.far), (self.far, self.client)):
            send_all(sender, receiver, size)

    def offload(self):
        """The flow as soon as the fast path takes it."""
        def taken():
            self.exchange(100)
            return self.fast.offloaded(self.source, "tcp")
        return waituntil(taken, 15, "the fast path has it")

    def await_acknowledged(self):
        """No acknowledgement is under way that could meet a closed socket."""
        def unacknowledged(end):
            return struct.unpack("i", fcntl.ioctl(end, termios.TIOCOUTQ, bytes(4)))[0]
        waituntil(lambda: not any(map(unacknowledged, (self.client, self.far))), 15, "acknowledged")

    def await_closed(self):
        """The client's port is free: the last acknowledgement has come."""
        host = self.fast.lab.hosts[0]
        waituntil(lambda: f":{self.port} " not in host.output("ss", "-Htan"), 15, "a free port")

    def known(self):
        """The Tracked of it, or None."""
        return tracked(self.fast.lab.gateway, "tcp", *self.ends)

    def state(self):
        known = self.known()
        return known and known.state

    def seconds(self):
        """That it has left."""
        known = self.known()
        return known.seconds if known else 0

    def close(self):
        self.client.close()
        self.far.close()


def send_all(sender, receiver, size, close=False):
    data = os.urandom(size)
    digest = hashlib.sha256()

    def send():
        sender.sendall(data)
        if close:
            sender.shutdown(socket.SHUT_WR)
    thread = threading.Thread(target=send)
    thread.start()
    got = 0
    while got < size:
        piece = receiver.recv(65536)
        if not piece:
            break
        got += len(piece)
        digest.update(piece)
    if close:
        assert receiver.recv(10) == b""
    thread.join()
    assert digest.digest() == hashlib.sha256(data).digest()


@pytest.fixture(scope="module")
def server(shared_fast):
    made = Server(shared_fast.lab)
    yield made
    made.socket.close()


@pytest.fixture(params=[False, True], ids=["no loss", "5 % loss"])
def loss(request, shared_fast):
    if request.param:
        for uplink in shared_fast.lab.uplinks:
            uplink.router.nft(LOSS)
    yield request.param
    if request.param:
        for uplink in shared_fast.lab.uplinks:
            uplink.router.run("nft", "delete", "table", "inet", "loss")


@contextlib.contextmanager
def resets(lab, port):
    """The RSTs of a client's port that either end gets, in a list that is complete afterwards."""
    found = []
    ends = [(lab.hosts[0], "eth0")] + [(u.router, "customer") for u in lab.uplinks]

    def keep(seen):
        return seen.flags & RST and port in (seen.sport, seen.dport)
    with contextlib.ExitStack() as stack:
        captures = [stack.enter_context(Capture(*end, keep=keep)) for end in ends]
        yield found
    for capture in captures:
        found += capture.frames


def test_fin(shared_fast, server, loss):
    """Closed by the client, then by the server, after data both ways."""
    for family in (4, 6):
        pair = Pair(shared_fast, server, family)
        with resets(shared_fast.lab, pair.port) as seen:
            pair.offload()
            pair.exchange()
            pair.client.shutdown(socket.SHUT_WR)
            assert pair.far.recv(10) == b""
            pair.far.shutdown(socket.SHUT_WR)
            assert pair.client.recv(10) == b""
            waituntil(lambda p=pair: p.state() == "TIME_WAIT", 10, "TIME_WAIT")
            assert not shared_fast.offloaded(pair.source)
            pair.close()
        assert seen == []


@pytest.mark.parametrize("family, way", [(4, "client closes first"), (6, "server closes first")])
def test_half_closed_with_data_flowing_on(shared_fast, server, loss, family, way):
    pair = Pair(shared_fast, server, family)
    first, other = ((pair.client, pair.far) if way.startswith("client") else (pair.far, pair.client))
    with resets(shared_fast.lab, pair.port) as seen:
        pair.offload()
        send_all(first, other, 50000, close=True)
        for _ in range(3):
            send_all(other, first, 200000)
        other.shutdown(socket.SHUT_WR)
        assert first.recv(10) == b""
        waituntil(lambda: pair.state() == "TIME_WAIT", 10, "TIME_WAIT")
        pair.close()
    assert seen == []


@FAMILIES
def test_rst(shared_fast, server, family):
    """An abort is heard at once, and by conntrack, whoever aborts."""
    for who in ("client", "far"):
        pair = Pair(shared_fast, server, family)
        pair.offload()
        pair.exchange()
        pair.await_acknowledged()
        aborts, hears = ((pair.client, pair.far) if who == "client" else (pair.far, pair.client))
        with resets(shared_fast.lab, pair.port) as seen:
            aborts.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            aborts.close()
            with pytest.raises(ConnectionResetError):
                hears.recv(10)
            # Conntrack believes an RST at once if it follows the last segment that it has seen, which is
            # seldom so here. Any other leaves the connection the ten seconds of CLOSE.
            waituntil(lambda p=pair: p.seconds() <= 10, 15, "CLOSE")
            assert not shared_fast.offloaded(pair.source)
        hears.close()
        assert len(seen) == 2, "one, at both ends"


@pytest.mark.parametrize("end", ["fin", "rst", "conntrack"])
@FAMILIES
def test_a_port_is_used_again(shared_fast, server, family, end):
    """A new connection on the same ports has nothing of the old one: it works, and is mapped as
    conntrack says now."""
    lab, port = shared_fast.lab, 41000 + 10 * family + len(end)
    for _ in range(2):
        pair = Pair(shared_fast, server, family, port)
        old = pair.far.getpeername()[:2]
        pair.offload()
        pair.exchange()
        if end == "fin":
            pair.far.shutdown(socket.SHUT_WR)  # the server keeps TIME_WAIT, and the client its port
            assert pair.client.recv(10) == b""
        if end == "rst":
            pair.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if end == "conntrack":  # both ends vanish without a word
            for each in (pair.client, pair.far):
                each.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        pair.client.close()
        pair.far.close()
        pair.await_closed()
        if end == "conntrack":
            lab.gateway.run("conntrack", "-D", "-p", "tcp", "--orig-port-src", str(port))
        again = []
        keep = again.append
        with contextlib.ExitStack() as stack:
            captures = [stack.enter_context(Capture(
                u.router, "customer", keep=lambda s: s.protocol == 6 and PORT in (s.sport, s.dport)))
                for u in lab.uplinks]
            new = Pair(shared_fast, server, family, port)
            new.exchange()
            told = new.offload()
            seen = new.far.getpeername()[:2]
            # Whatever came in clear after the new SYN left by the new connection's address only.
            for capture in captures:
                for frame in list(capture.frames):
                    keep(frame)
        begins = min(f.at for f in again if f.flags & 2 and not f.flags & 16)
        later = [f for f in again if not f.outgoing and f.at >= begins]
        address = seen[0].removeprefix("::ffff:")
        assert told["nat_source"] == endpoint(address, seen[1])
        assert {(f.source, f.sport) for f in later} == {(address, seen[1])}, (old, seen)
        assert later
        new.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        new.close()
