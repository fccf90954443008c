# SPDX-License-Identifier: GPL-2.0-or-later
"""A path that is narrower than the LAN: what is too big goes to the kernel, and its answer to the client."""

import hashlib
import http.client

import pytest
from lab import waituntil
from lab.fast import TCP, Capture, endpoint
from lab.servers import HTTP

LAB = {"hosts": 1, "uplinks": 2}
FAMILIES = pytest.mark.parametrize("family", [4, 6])
PIECE, PIECES = bytes(range(256)) * 256, 60
MTU = 1400


class Upload:
    """A PUT in pieces, so that something can happen in between."""

    def __init__(self, fast, server):
        self.fast, self.sent, self.digest = fast, 0, hashlib.sha256()
        with fast.lab.hosts[0].entered():
            self.http = http.client.HTTPConnection(server, HTTP, timeout=20)
            self.http.connect()
        self.source = endpoint(*self.http.sock.getsockname()[:2])
        self.http.putrequest("PUT", "/file")
        self.http.putheader("Content-Length", str(len(PIECE) * PIECES))
        self.http.endheaders()

    def send(self, count):
        for _ in range(count):
            self.http.send(PIECE)
            self.digest.update(PIECE)
            self.sent += 1

    def taken(self):
        """The flow as soon as the fast path takes it, by pieces that are sent meanwhile: a lease ends
        without."""
        def offloaded():
            self.send(1)
            return self.fast.offloaded(self.source)
        return waituntil(offloaded, 15, step=0.5)

    def finish(self):
        """Whether the server has got the same bytes."""
        self.send(PIECES - self.sent)
        same = self.http.getresponse().read().decode() == self.digest.hexdigest()
        self.http.close()
        return same


def narrow(space, device, mtu):
    space.run("ip", "link", "set", device, "mtu", str(mtu))


@FAMILIES
def test_behind_the_provider(shared_fast, family):
    """Fragmentation needed, or packet too big, from the provider reaches the client of an offloaded
    connection through the gateway."""
    lab = shared_fast.lab
    upload = Upload(shared_fast, lab.servers(family)[4])
    try:
        upload.send(4)
        flow = upload.taken()
        uplink = next(u for u in lab.uplinks if u.name == flow["uplink"])
        narrow(uplink.router, "internet", MTU)
        assert upload.finish()
        text = lab.hosts[0].output("ip", f"-{family}", "route", "get", lab.servers(family)[4])
        assert f"mtu {MTU}" in text
    finally:
        for uplink in lab.uplinks:
            narrow(uplink.router, "internet", 1500)


@FAMILIES
@pytest.mark.parametrize("again", [False, True], ids=["untold", "up again"])
def test_on_the_uplink_itself(shared_fast, family, again):
    """Whether linkbal is told of it or not: within a lease nothing larger leaves, and all of it arrives."""
    fast, lab = shared_fast, shared_fast.lab
    server = lab.servers(family)[6 + again]
    upload = Upload(fast, server)
    try:
        upload.send(4)
        flow = upload.taken()
        uplink = next(u for u in lab.uplinks if u.name == flow["uplink"])
        narrow(lab.gateway, uplink.device, MTU)
        if again:
            fast.up()
        # Every quarter of a second a bit, until the client has been told.

        def told():
            upload.send(1)
            return f"mtu {MTU}" in lab.hosts[0].output("ip", f"-{family}", "route", "get", server)
        waituntil(told, 4, step=0.1)

        with Capture(uplink.router, "customer", lambda seen: seen.protocol == TCP) as capture:
            assert upload.finish()
        if fast.mode == "xdp":  # without pieces of 64 kB: each frame as on a wire
            large = [f for f in capture.frames if not f.outgoing and f.dport == HTTP and f.length > MTU
                     and f.length < 1501]
            assert not large
    finally:
        for uplink in lab.uplinks:
            narrow(lab.gateway, uplink.device, 1500)
        fast.up()
