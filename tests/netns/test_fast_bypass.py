# SPDX-License-Identifier: GPL-2.0-or-later
"""The fast path takes the packets, the kernel sees renewals only, and nothing is counted wrongly."""

import contextlib
import socket
import time

import pytest
from lab import waituntil
from lab.clients import tcp_seen
from lab.fast import Capture, Stream, Watch, device_packets, endpoint
from lab.servers import BUSY, HTTP, WHO
from lab.tracked import tracked

LAB = {"hosts": 1, "uplinks": 2}
FAST = {"whole": True}  # devices count frames then, not pieces of 64 kB
FAMILIES = pytest.mark.parametrize("family", [4, 6])
HEADERS = {4: 14 + 20, 6: 14 + 40}
SIZE = 3_000_000


@pytest.fixture(scope="module", autouse=True)
def far_ends(shared_fast):
    """Frames of other kinds at the providers; they are in their devices' counts too."""
    with contextlib.ExitStack() as stack:
        yield {u.name: stack.enter_context(Capture(u.router, "customer", keep=lambda seen: False))
               for u in shared_fast.lab.uplinks}


def counted(fast, far_ends):
    """What the far ends have counted of TCP and UDP, what linkbal has, and the hits."""
    def far():
        devices = {u.name: device_packets(u.router, "customer") for u in fast.lab.uplinks}
        others = {name: dict(end.others) for name, end in far_ends.items()}
        return {name: {"tx": d["rx"] - others[name]["rx"], "rx": d["tx"] - others[name]["tx"]}
                for name, d in devices.items()}

    def at_rest():
        """Nothing may move meanwhile, such as the last words of a connection whose server is slow; the
        captures have read all then, too."""
        seen = far()
        status = fast.json("status")
        time.sleep(0.05)
        return seen == far() and {
            "far": seen,
            "own": {u["name"]: {"tx": u["tx"], "rx": u["rx"]} for u in status["uplinks"]},
            "hits": status["fastpath"]["hits"]}
    return waituntil(at_rest, 30)


def moved(before, after, name):
    """{"tx", "rx"}: (packets by the far end, packets, bytes)"""
    return {way: (after["far"][name][way] - before["far"][name][way],
                  after["own"][name][way]["packets"] - before["own"][name][way]["packets"],
                  after["own"][name][way]["bytes"] - before["own"][name][way]["bytes"])
            for way in ("tx", "rx")}


def same_at_far_end(fast, far_ends, before):
    """Waits for frames of other kinds that the captures have not read yet."""
    def same():
        after = counted(fast, far_ends)
        return after if all(m[0] == m[1] for u in fast.lab.uplinks
                            for m in moved(before, after, u.name).values()) else None
    with contextlib.suppress(TimeoutError):
        return waituntil(same, 15)
    return counted(fast, far_ends)


@FAMILIES
def test_udp_both_ways(shared_fast, far_ends, family):
    fast = shared_fast
    before = counted(fast, far_ends)
    with Watch(fast.lab.gateway) as watch, Stream(fast.lab, family, rate=500, size=200) as stream:
        waituntil(lambda: len(stream.at) >= 1200, 10)
        assert stream.stop() == []
        flow = fast.flow(stream.source, "udp")  # its lease may have ended with it
        seen_by_conntrack = tracked(fast.lab.gateway, "udp", *stream.ends).packets
        seen_by_kernel = watch.packets()
    after = same_at_far_end(fast, far_ends, before)
    sent = len(stream.at)
    way = moved(before, after, flow["uplink"])
    assert way["tx"] == (sent, sent, sent * (HEADERS[family] + 8 + 200))
    answers = sum(len(f"{a} {p}\n") for a, p in stream.seen) + 200
    assert len(stream.seen) == 1
    assert way["rx"] == (sent, sent, sent * (HEADERS[family] + 8 + answers))
    # 2.4 s at a second's lease: a handful of renewals, each way, and the beginning.
    assert seen_by_kernel <= 40 and seen_by_conntrack <= 40
    assert after["hits"] - before["hits"] >= 2 * sent - 40
    assert 2 * sent * 0.95 <= flow["packets"] <= 2 * sent
    assert flow["bytes"] <= way["tx"][2] + way["rx"][2]
    assert flow["bytes"] >= 0.9 * (way["tx"][2] + way["rx"][2] - 2 * 14 * sent)


@FAMILIES
@pytest.mark.parametrize("way", ["download", "upload"])
def test_tcp(shared_fast, far_ends, family, way):
    """Bytes are exact: each segment has the same headers, but for the SYN and its answer."""
    fast, lab = shared_fast, shared_fast.lab
    before = counted(fast, far_ends)
    with lab.hosts[0].entered():
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        client = socket.socket(kind)
    with Watch(lab.gateway) as watch, client:
        client.settimeout(20)
        # SO_MAX_PACING_RATE: slow enough for the flow to be asked about, and for the machine.
        client.setsockopt(socket.SOL_SOCKET, 47, 3_000_000)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 50_000)  # the server must wait
        server = lab.servers(family)[1]
        got = sent = 0
        if way == "download":
            client.connect((server, HTTP))
            request = f"GET /{SIZE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
            client.sendall(request)
            sent, head = len(request), b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096)
            got = len(head)
            wanted = SIZE - len(head.partition(b"\r\n\r\n")[2])
        else:
            client.connect((server, BUSY))
            got = len(client.recv(100))
            wanted = SIZE
        data = b"u" * 10000
        flow = None
        while wanted > 0:
            if way == "upload" and sent < SIZE:
                client.sendall(data)
                sent += len(data)
            piece = client.recv(65536)
            assert piece
            got, wanted = got + len(piece), wanted - len(piece)
            if flow is None and got > SIZE / 2:
                flow = fast.offloaded(endpoint(*client.getsockname()[:2]))
        ends = client.getsockname(), client.getpeername()
        seen_by_conntrack = tracked(fast.lab.gateway, "tcp", *ends)
        seen_by_kernel = watch.packets()
        client.close()
    waituntil(lambda: not is_established(fast, ends), 15)
    after = same_at_far_end(fast, far_ends, before)
    assert flow, "offloaded half way"
    told = moved(before, after, flow["uplink"])
    packets = told["tx"][1] + told["rx"][1]
    assert told["tx"][0] == told["tx"][1] and told["rx"][0] == told["rx"][1], told
    assert packets > 2000
    with_options = HEADERS[family] + 32
    assert told["rx"][2] >= got + told["rx"][1] * with_options + 8
    assert told["tx"][2] >= sent + told["tx"][1] * with_options + 8
    # Nothing beyond, but three selective acknowledgements in each and what was sent again.
    longest = with_options + 28
    assert told["rx"][2] <= (got + told["rx"][1] * longest) * 1.1 + 100
    assert told["tx"][2] <= (sent + told["tx"][1] * longest) * 1.1 + 100
    assert seen_by_kernel < packets * 0.04
    assert seen_by_conntrack.packets < packets * 0.04 and seen_by_conntrack.bytes < SIZE * 0.04
    assert after["hits"] - before["hits"] > packets * 0.95
    assert flow["packets"] > 500 and SIZE / 2 * 0.9 < flow["bytes"] <= told["tx"][2] + told["rx"][2]


def is_established(fast, ends):
    known = tracked(fast.lab.gateway, "tcp", *ends)
    return known and known.state == "ESTABLISHED"


def test_short_connections_are_counted_exactly(shared_fast, far_ends):
    """Fast and slow path together, where most packets are the kernel's."""
    fast = shared_fast
    before = counted(fast, far_ends)
    with fast.lab.hosts[0].entered():
        for n in range(60):
            tcp_seen(fast.lab.servers(4)[n % 20], port=WHO)
    after = same_at_far_end(fast, far_ends, before)
    for uplink in fast.lab.uplinks:
        told = moved(before, after, uplink.name)
        assert told["tx"][0] == told["tx"][1] > 60 and told["rx"][0] == told["rx"][1] > 60, told


def test_settings_while_up_and_after(shared_fast):
    """Conntrack sees too little to judge windows, and counts what it sees; both go back to what was."""
    fast = shared_fast

    def settings():
        return [int(fast.lab.gateway.read(f"/proc/sys/net/netfilter/{name}"))
                for name in ("nf_conntrack_tcp_be_liberal", "nf_conntrack_acct")]
    assert settings() == [1, 1]
    for former in ([0, 0], [0, 1], [1, 0]):
        fast.down()
        fast.lab.gateway.sysctl(**{"netfilter/nf_conntrack_tcp_be_liberal": former[0],
                                   "netfilter/nf_conntrack_acct": former[1]})
        fast.up()
        assert settings() == [1, 1]
        fast.down()
        assert settings() == former
    fast.up()
