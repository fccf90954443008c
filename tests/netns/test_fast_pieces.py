# SPDX-License-Identifier: GPL-2.0-or-later
"""Bulk TCP passes tc in pieces of up to 64 kB; they are counted as what they become on a wire."""

import socket

import pytest
from lab import Lab
from lab.fast import Fast, endpoint
from lab.servers import HTTP

SIZE = 20_000_000
HEADERS = {4: 14 + 20 + 32, 6: 14 + 40 + 32}


@pytest.mark.parametrize("family", [4, 6])
def test_pieces_are_counted_by_segment(linkbal, family):
    with Lab(hosts=1, uplinks=1) as lab:
        fast = Fast(lab, "tc", linkbal)
        fast.up()
        server = lab.servers(family)[0]
        with lab.hosts[0].entered():
            client = socket.create_connection((server, HTTP), timeout=20)
        request = f"GET /{SIZE} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        got, source = 0, endpoint(*client.getsockname()[:2])
        with client:
            client.sendall(request)
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(10)
            length = head.index(b"\r\n\r\n") + 4
            got = len(head)
            while got < length + SIZE:
                got += len(client.recv(1 << 20))
            flow = fast.flow(source)  # the server keeps the connection; its lease may have ended
            rx = fast.uplink("velox1")["rx"]
        assert flow and flow["bytes"] > 0.9 * SIZE
        pieces = fast.counts()["hits"]
        assert rx["packets"] >= SIZE / 1460
        assert rx["bytes"] == pytest.approx(got + rx["packets"] * HEADERS[family] + 8, rel=0.02)
        assert pieces >= 0.9 * rx["packets"], "hits are packets, not pieces"
