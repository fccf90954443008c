# SPDX-License-Identifier: GPL-2.0-or-later
"""A lab whose gateway forwards by itself: the fast path in tc or in XDP, and what it says of itself.

    fast = Fast(lab, "xdp")
    fast.up()
    with Stream(lab) as stream:
        waituntil(lambda: fast.offloaded(stream.source))

On veth XDP needs two things that real cards bring along: frames that are whole (the hosts' ends cut and
sum up nothing later), and a far end that takes redirected frames (GRO on).
"""

import itertools
import json
import socket
import struct
import sys
import threading
import time

from .balancer import Balancer, Config
from .wait import waituntil

WHOLE = ("tx", "off", "tso", "off", "gso", "off", "gro", "off")
_tables = itertools.count(1)


def devices(lab):
    """(namespace, device) of the far ends of the gateway's veth devices."""
    switch = next(s for s in lab.namespaces if s.name.endswith("-switch"))
    return [(switch, "gw"), *((u.router, "customer") for u in lab.uplinks if u.number not in lab.tun)]


def ends(lab):
    """(namespace, device) where packets begin."""
    return [(h, "eth0") for h in lab.hosts] + [(lab.internet, f"isp{u.number}") for u in lab.uplinks]


class Fast(Balancer):
    """A Balancer with the fast path on; `mode` is a value of [balance] datapath."""

    def __init__(self, lab, mode, path=None, whole=False, **balance):
        """whole: no pieces of 64 kB in tc either, so that devices count what is on a wire."""
        super().__init__(lab, path)
        self.mode = mode
        self.balance = {"datapath": f'"{mode}"', "cache": "20000", **balance}
        if mode == "xdp" or whole:
            for space, device in ends(lab):
                space.run("ethtool", "-K", device, *WHOLE)
            for space, device in devices(lab):
                space.run("ethtool", "-K", device, "tx", "off", "tso", "off", "gso", "off",
                          "gro", "on" if mode == "xdp" else "off")

    def configured(self, **options):
        return Config(self.lab, **{**self.balance, **options})

    def up(self, config=None, **options):
        done = super().up(config or self.configured(), **options)
        told = {d["interface"]: d for d in self.json("status")["devices"]}
        if self.mode in ("tc", "xdp") and not config:
            assert {d["forwarding"] for d in told.values()} == {self.mode}, told
        return done

    def counts(self):
        return self.json("status")["fastpath"]

    def uplink(self, name):
        return next(u for u in self.json("status")["uplinks"] if u["name"] == name)

    def _flows(self, source, protocol):
        return (f for f in self.json("flows") if f["source"] == source and protocol in (None, f["protocol"]))

    def flow(self, source, protocol=None):
        """What `flows` says of a connection from ADDRESS:PORT, or None."""
        return next(self._flows(source, protocol), None)

    def offloaded(self, source, protocol=None):
        """The flow from ADDRESS:PORT that the fast path takes, else None. One of another protocol, or one
        that has ended, may have the same port."""
        return next((f for f in self._flows(source, protocol) if f["offloaded"]), None)

    def long_leases(self, seconds=40):
        """Leases last so long that nothing is renewed by chance, until they have shrunk again (half a
        second a second)."""
        control = self.map("lease")[0]["formatted"]["value"]
        settings = bytes(int(b, 0) for b in self.map("settings")[0]["value"])
        ticks = seconds * int.from_bytes(settings[32:36], sys.byteorder)
        value = struct.pack("=IIQQ", ticks, control["window"], 0, control["full"])
        self.lab.gateway.run("bpftool", "map", "update", "pinned", f"{self.pins}/lease",
                             "key", "hex", *["00"] * 4, "value", "hex", *(f"{b:02x}" for b in value))


def device_packets(space, device):
    """{"rx", "tx"}: frames that a device has counted."""
    shown = json.loads(space.output("ip", "-j", "-s", "link", "show", device))[0]["stats64"]
    return {way: shown[way]["packets"] for way in ("rx", "tx")}


def endpoint(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Watch:
    """Counts in a hook of the gateway (or another namespace) what passes the kernel there.

    with Watch(lab.gateway, "udp dport 7000") as watch: ... watch.packets()
    watch.last  # packets in the end
    """

    def __init__(self, space, match="", hook="forward", priority=-5):
        self.space, self.name, self.last = space, f"watch{next(_tables)}", None
        self.text = f"""
            table inet {self.name} {{
                chain counting {{
                    type filter hook {hook} priority {priority}; policy accept;
                    {match} counter
                }}
            }}"""

    def count(self):
        """(packets, bytes)"""
        text = self.space.output("nft", "-j", "list", "table", "inet", self.name)
        for item in json.loads(text)["nftables"]:
            for part in item.get("rule", {}).get("expr", []):
                if "counter" in part:
                    return part["counter"]["packets"], part["counter"]["bytes"]
        raise LookupError(text)

    def packets(self):
        return self.count()[0]

    def __enter__(self):
        self.space.nft(self.text)
        return self

    def __exit__(self, *_):
        self.last = self.packets()
        self.space.run("nft", "delete", "table", "inet", self.name, check=False)


class Seen:
    """One frame that a Capture has seen: when (monotonic), its MAC addresses, and whatever it says."""

    __slots__ = ("at", "outgoing", "to", "by", "protocol", "source", "destination", "sport", "dport",
                 "flags", "ttl", "length")

    def __repr__(self):
        return (f"{self.at:.3f} {self.by.hex(':')} > {self.to.hex(':')} {self.protocol} "
                f"{self.source}.{self.sport} > {self.destination}.{self.dport} {self.flags:#x}")


FIN, SYN, RST, ACK = 1, 2, 4, 16
TCP, UDP = 6, 17
SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35


class Capture:
    """Frames at a device of any namespace, TCP and UDP without fragments; a context manager.

    keep     predicate on a Seen
    """

    def __init__(self, space, device, keep=None):
        self.frames, self._keep, self._ended = [], keep, 0.0
        self.others = {"rx": 0, "tx": 0}  # frames of other kinds
        with space.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        with space.entered():
            self._socket.bind((device, 3))
        self._socket.settimeout(0.05)
        self._thread = threading.Thread(target=self._listen)
        self._offset = time.monotonic() - time.time()

    def _listen(self):
        while True:
            try:
                data, control, _, address = self._socket.recvmsg(200, 100)
            except TimeoutError:
                if self._ended:
                    return
                continue
            seconds, nanoseconds = struct.unpack("=qq", control[0][2][:16])
            at = seconds + nanoseconds / 1e9 + self._offset
            if self._ended and at > self._ended:
                return
            seen = _parse(data)
            if seen is None:
                self.others["tx" if address[2] == 4 else "rx"] += 1
                continue
            seen.at = at
            seen.outgoing = address[2] == 4
            if self._keep is None or self._keep(seen):
                self.frames.append(seen)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended = time.monotonic()
        self._thread.join()
        self._socket.close()


def _parse(data):
    seen = Seen()
    seen.to, seen.by = data[0:6], data[6:12]
    kind = data[12:14]
    if kind == b"\x08\x00":
        seen.protocol, seen.ttl = data[23], data[22]
        seen.length = struct.unpack_from("!H", data, 16)[0]
        seen.source, seen.destination = (socket.inet_ntoa(data[n:n + 4]) for n in (26, 30))
        transport = 14 + (data[14] & 15) * 4
        if struct.unpack_from("!H", data, 20)[0] & 0x1fff:
            return None
    elif kind == b"\x86\xdd":
        seen.protocol, seen.ttl = data[20], data[21]
        seen.length = struct.unpack_from("!H", data, 18)[0] + 40
        seen.source, seen.destination = (socket.inet_ntop(socket.AF_INET6, data[n:n + 16])
                                         for n in (22, 38))
        transport = 54
    else:
        return None
    if seen.protocol not in (TCP, UDP) or len(data) < transport + 8:
        return None
    seen.sport, seen.dport = struct.unpack_from("!HH", data, transport)
    seen.flags = data[transport + 13] if seen.protocol == TCP else 0
    return seen


class Stream:
    """Numbered datagrams of one UDP connection, echoed by the server; a context manager. Until the first
    has come back there are few of them: all are the kernel's, however long the server takes.

    at   moments at which each number was sent;  back   numbers that came back, with their moments
    """

    def __init__(self, lab, family=4, rate=200, size=40, host=None, server=None, port=7000, sport=0,
                 source=""):
        host = host or lab.hosts[0]
        self.server = server or lab.servers(family)[0]
        self.port = port
        kind = socket.AF_INET if family == 4 else socket.AF_INET6
        with host.entered():
            self.socket = socket.socket(kind, socket.SOCK_DGRAM)
        self.socket.bind((source, sport))
        self.socket.connect((self.server, port))
        self.socket.settimeout(0.1)
        self.address, self.sport = self.socket.getsockname()[:2]
        self.source = endpoint(self.address, self.sport)
        self.ends = (self.address, self.sport), (self.server, port)
        self.at, self.back = [], {}
        self.seen = {}  # (address, port) that the server saw: number of the first datagram
        self._pause, self._size = 1 / rate, size
        self._sending, self._ended, self._echoed = True, False, threading.Event()
        self._threads = [threading.Thread(target=t) for t in (self._send, self._receive)]

    def _send(self):
        due = time.monotonic()
        while self._sending:
            number = len(self.at)
            self.at.append(time.monotonic())
            try:
                self.socket.send(number.to_bytes(8, "big").ljust(self._size, b"."))
            except OSError:
                pass
            if not self.back:
                self._echoed.wait(0.2)
                due = time.monotonic()
            due = max(due + self._pause, time.monotonic() - 0.1)
            time.sleep(max(0.0, due - time.monotonic()))

    def _receive(self):
        while not self._ended:
            try:
                answer = self.socket.recv(2000)
            except OSError:
                continue
            line, _, body = answer.partition(b"\n")
            number = int.from_bytes(body[:8], "big")
            self.back[number] = time.monotonic()
            self._echoed.set()
            address, port = line.decode().split()
            self.seen.setdefault((address, int(port)), number)

    def await_echo(self, timeout=15):
        """Waits until something that is sent from now on has come back."""
        number = len(self.at)
        waituntil(lambda: any(n >= number for n in list(self.back)[-50:]), timeout, "an echo")

    def stop(self):
        """Stops sending and waits for echoes that are under way; numbers that are missing."""
        self._sending = False
        self._threads[0].join()
        try:
            waituntil(lambda: len(self.back) == len(self.at), 10)
        except TimeoutError:
            pass
        return sorted(set(range(len(self.at))) - set(self.back))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        try:
            self.await_echo()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._sending, self._ended = False, True
        for thread in self._threads:
            thread.join()
        self.socket.close()
