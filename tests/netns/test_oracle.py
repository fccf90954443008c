# SPDX-License-Identifier: GPL-2.0-or-later
"""What the fast path forwards is byte for byte what the kernel would have sent.

The same frames go through three gateways: one that only classifies, one with XDP, one with tc. What
comes out at the other side must be the same frames, in the same order within each flow. Connections
have been opened with real handshakes, so that conntrack knows them, from the LAN (masqueraded) and from
the internet (forwarded by somebody's dnat rules), in both families and with TCP and UDP.
"""

import collections
import contextlib
import random
import time

import pytest
from lab import Balancer, Config
from lab.frames import ACK, CWR, ECE, PSH, SYN, TCP, UDP, URG, Ends, Flow, Packet, flow_of, with_zero_sum
from lab.wires import HOST_MAC, LAN_MAC, ROUTER_MAC, WAN_MAC, Wires

PACKETS = 120_000
PIECES = 1_500  # large ones
BATCH = 100  # a veth takes 256 frames, or loses the rest
CONNECTIONS = 8  # of each kind
SEED = 20240607

HOST = {4: "192.168.0.10", 6: "2001:db8:a::10"}
GATEWAY = {4: "192.168.1.2", 6: "2001:db8:1::2"}
SERVER = {4: "198.51.100.20", 6: "2001:db8:ff::20"}
DNAT = """
table inet forwards {
    chain prerouting {
        type nat hook prerouting priority dstnat;
        iifname != "eth0" meta nfproto ipv4 meta l4proto { tcp, udp } th dport 8000-8999 dnat ip to 192.168.0.10
        iifname != "eth0" meta nfproto ipv6 meta l4proto { tcp, udp } th dport 8000-8999 dnat ip6 to 2001:db8:a::10
    }
}"""


def macs(destination, source):
    return bytes.fromhex((destination + source).replace(":", ""))


FROM_LAN, FROM_WAN = macs(LAN_MAC, HOST_MAC), macs(WAN_MAC, ROUTER_MAC)


class Connection:
    """Its packets as they come to the gateway, from the LAN and from the internet."""

    def __init__(self, kind, family, protocol, number):
        port = 40000 + 100 * kind + number
        if kind == 0:  # from the LAN
            self.lan = Ends(HOST[family], SERVER[family], port, 443, FROM_LAN)
            self.wan = Ends(SERVER[family], GATEWAY[family], 443, port, FROM_WAN)
        else:
            self.lan = Ends(HOST[family], SERVER[family], 8000 + number, port, FROM_LAN)
            self.wan = Ends(SERVER[family], GATEWAY[family], port, 8000 + number, FROM_WAN)
        self.protocol = protocol
        self.inbound = kind == 1
        self.flows = {"lan": Flow(protocol, self.lan), "wan": Flow(protocol, self.wan)}
        # Usual TTL and TOS of each direction. What leaves with a TTL of 1 is not learned.
        self.usual = {side: (random.choice((3, 64, 128, 255)), random.choice((0, 2, 0xB8, 0x28)))
                      for side in self.flows}

    def opening(self):
        """Side and frame of each packet that opens it, and of two more."""
        first, second = ("wan", "lan") if self.inbound else ("lan", "wan")
        steps = ((first, SYN), (second, SYN | ACK), (first, ACK), (second, ACK), (first, ACK))
        for side, flags in steps:
            ttl, tos = self.usual[side]
            yield side, self.flows[side].frame(Packet(b"hello", flags, ttl=ttl, tos=tos))


def connections():
    return [Connection(kind, family, protocol, number) for kind in (0, 1) for family in (4, 6)
            for protocol in (TCP, UDP) for number in range(CONNECTIONS)]


def random_size():
    return random.choice((0, 0, 1, 2, 3, 5, 6, 17, 18, 19, 20, random.randrange(1400)))


def random_packet(connection, side):
    """A packet in the midst of a connection; one in 50 has another TTL or TOS than the others."""
    ttl, tos = connection.usual[side]
    packet = Packet(
        payload=random.randbytes(random_size()), ttl=ttl, tos=tos & 0xFC | random.getrandbits(2),
        identifier=random.getrandbits(16), sequence=random.getrandbits(32),
        acknowledged=random.getrandbits(32), label=random.getrandbits(20),
        fragment=random.choice((0, 0x4000)), padded=random.random() < 0.5)
    if random.random() < 0.01:
        packet.ttl = random.randrange(2, 256)
    if random.random() < 0.01:
        packet.tos = random.getrandbits(8)
    if connection.protocol == TCP:
        packet.flags = ACK | random.choice((0, PSH, URG, ECE, CWR, PSH | URG | ECE | CWR))
        packet.options = random.choice((b"", b"\x01\x01\x08\x0a" + random.randbytes(8), b"\x01" * 40))
    elif random.random() < 0.1:
        packet.checksum = "none"
    if len(packet.payload) >= 2 and random.random() < 0.05:
        return with_zero_sum(connection.flows[side], packet)
    return packet


class Gateway:
    """Wires, and a balancer in between."""

    def __init__(self, wires, mode, linkbal):
        self.mode = mode
        self.received, self.segment = wires.received, wires.segment
        self.wires = {"lan": wires.lan, "wan": wires.wan}
        wires.gateway.nft(DNAT)
        self.balancer = Balancer(wires, linkbal)
        self.balancer.up(Config(wires, datapath=f'"{mode}"'))
        # As the fast path has it, which does not see most segments.
        wires.gateway.sysctl(**{"netfilter/nf_conntrack_tcp_be_liberal": 1})

    def forward(self, side, frames):
        """What comes out at the other side."""
        self.wires[side].send(frames)
        return self.wires["wan" if side == "lan" else "lan"].receive(len(frames))

    def forward_offloaded(self, side, frames, expected):
        self.wires[side].send_offloaded(frames)
        return self.wires["wan" if side == "lan" else "lan"].receive(expected)

    def open(self, connection):
        for side, frame in connection.opening():
            assert len(self.forward(side, [frame])) == 1, (self.mode, connection.lan, side)

    def hits(self):
        return self.balancer.json("status")["fastpath"]["hits"]


@contextlib.contextmanager
def gateways_of(linkbal, modes, tun=False):
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wires(number, tun)) for number in range(len(modes))]
        yield [Gateway(one, mode, linkbal) for one, mode in zip(wires, modes, strict=True)]


def by_flow(frames):
    flows = collections.defaultdict(list)
    for frame in frames:
        flows[flow_of(frame)].append(frame)
    return flows


def first_difference(expected, actual):
    for flow, frames in expected.items():
        for number, (a, b) in enumerate(zip(frames, actual.get(flow, []), strict=False)):
            if a != b:
                return f"frame {number} of a flow:\n{a.hex()}\n{b.hex()}"
        if len(frames) != len(actual.get(flow, [])):
            return f"{len(actual.get(flow, []))} frames of a flow instead of {len(frames)}"
    return "frames of flows that should not be there"


def check_batch(gateways, side, frames):
    outcome = [by_flow(gateway.forward(side, frames)) for gateway in gateways]
    assert sum(map(len, outcome[0].values())) == len(frames)
    for gateway, flows in zip(gateways[1:], outcome[1:], strict=True):
        assert flows == outcome[0], f"{gateway.mode}: {first_difference(outcome[0], flows)}"


def compare(gateways, packets):
    """The share of the packets that each gateway forwards by the fast path, and what it has to be.

    Not fast are another TTL or TOS, the flow's next packet after those, and renewals: at most two a second
    of each flow, of which a slow machine makes more.
    """
    random.seed(SEED)
    known = connections()
    for gateway in gateways:
        for connection in known:
            gateway.open(connection)
    before, begun = [gateway.hits() for gateway in gateways], time.monotonic()
    for number in range(packets // BATCH):
        side = ("lan", "wan")[number % 2]
        batch = [(connection, random_packet(connection, side))
                 for connection in random.choices(known, k=BATCH)]
        check_batch(gateways, side, [connection.flows[side].frame(packet)
                                     for connection, packet in batch])
    renewals = 2 * len(known) * 2 * (time.monotonic() - begun)
    least = max(0.5, 0.95 - renewals / packets)
    return {gateway.mode: (gateway.hits() - hits) / packets
            for gateway, hits in zip(gateways, before, strict=True)}, least


def check_shares(shares, least):
    assert shares.pop("classify") == 0
    for mode, share in shares.items():
        assert share > least, mode


def test_frames_are_the_kernels(linkbal):
    with gateways_of(linkbal, ("classify", "xdp", "tc")) as gateways:
        check_shares(*compare(gateways, PACKETS))


def test_frames_are_the_kernels_on_devices_without_ethernet(linkbal):
    """With "xdp", both programs meet on the LAN device."""
    with gateways_of(linkbal, ("classify", "xdp", "tc"), tun=True) as gateways:
        forwarding = {device["interface"]: device["forwarding"]
                      for device in gateways[1].balancer.json("status")["devices"]}
        assert forwarding == {"eth0": "xdp", "tun1": "tc"}
        check_shares(*compare(gateways, PACKETS // 4))


@pytest.fixture
def segmenting(linkbal):
    """Gateways that get pieces of 64 kB, as behind GRO. XDP is not for those."""
    with gateways_of(linkbal, ("classify", "tc")) as gateways:
        for gateway in gateways:
            gateway.segment()
        yield gateways


def random_piece(connection, side):
    """A frame for Wire.send_offloaded(), and how many frames that makes on the wire."""
    packet = random_packet(connection, side)
    packet.padded, packet.checksum = False, "right"
    flow = connection.flows[side]
    if random.random() < 0.3:
        return flow.offloaded(packet), 1
    size = random.choice((100, 536, 1000, 1400))
    packet.payload = random.randbytes(random.randrange(size + 1, min(40 * size, 60_000)))
    return flow.offloaded(packet, size), -(-len(packet.payload) // size)


def test_pieces_come_out_in_the_kernels_segments(segmenting):
    random.seed(SEED)
    known = connections()[::CONNECTIONS]
    for gateway in segmenting:
        for connection in known:
            gateway.open(connection)
    hits, received = segmenting[1].hits(), segmenting[1].received()
    segments = 0
    for number in range(PIECES):
        side = ("lan", "wan")[number % 2]
        piece, count = random_piece(random.choice(known), side)
        kernels, fast = (gateway.forward_offloaded(side, [piece], count) for gateway in segmenting)
        assert len(kernels) == count
        assert fast == kernels, first_difference(by_flow(kernels), by_flow(fast))
        segments += count
    assert segmenting[1].received() - received == PIECES
    assert segments > 5 * PIECES
    # Leases end between packets that are far apart: a flow's come about every 20 ms.
    assert segmenting[1].hits() - hits > 0.8 * segments
