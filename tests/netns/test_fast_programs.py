# SPDX-License-Identifier: GPL-2.0-or-later
"""What people run through it: files by HTTP, name service, UDP streams, FTP, traceroute."""

import contextlib
import ftplib
import hashlib
import json
import re
import socket
import threading

import pytest
from lab import waituntil
from lab.fast import endpoint
from lab.servers import File

LAB = {"hosts": 1, "uplinks": 2}
FAMILIES = pytest.mark.parametrize("family", [4, 6])
SIZE = 100_000_000
OUTSIDE = {4: "198.51.100.50", 6: "2001:db8:ff::50"}


def url(server, path):
    return f"http://[{server}]/{path}" if ":" in server else f"http://{server}/{path}"


@pytest.fixture(scope="module")
def content():
    """The bytes of the server's file of SIZE bytes, and their SHA-256."""
    data = (File.block * (SIZE // len(File.block) + 1))[:SIZE]
    return data, hashlib.sha256(data).hexdigest()


def hits(fast):
    return fast.counts()["hits"]


@FAMILIES
def test_a_download(shared_fast, content, family):
    before = hits(shared_fast)
    host, server = shared_fast.lab.hosts[0], shared_fast.lab.servers(family)[0]
    done = host.output("sh", "-c", f"curl -sgf '{url(server, SIZE)}' | sha256sum")
    assert done.split()[0] == content[1]
    assert hits(shared_fast) - before > SIZE / 65536


@FAMILIES
def test_an_upload(shared_fast, content, family, tmp_path):
    (tmp_path / "file").write_bytes(content[0])
    before = hits(shared_fast)
    host, server = shared_fast.lab.hosts[0], shared_fast.lab.servers(family)[1]
    assert host.output("curl", "-sgfT", tmp_path / "file", url(server, "file")) == content[1]
    assert hits(shared_fast) - before > SIZE / 65536


@FAMILIES
def test_many_short_connections(shared_fast, family):
    """500 files of 1001 to 1500 bytes, a connection each, 20 at a time."""
    host, server = shared_fast.lab.hosts[0], shared_fast.lab.servers(family)[2]
    urls = " ".join(f"'{url(server, n)}'" for n in range(1001, 1501))
    got = host.output("sh", "-c", f"curl -sfgZ --parallel-max 20 -H 'Connection: close' {urls} | wc -c")
    assert int(got) == sum(range(1001, 1501))


@FAMILIES
def test_names(shared_fast, family):
    """dnsmasq and dig, by UDP and by TCP; an answer of many records too."""
    lab = shared_fast.lab
    records = [f"--host-record=n{n}.test,203.0.113.{n}" for n in range(1, 40)]
    server = lab.internet.popen("dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--pid-file=",
                                "--user=root", "--bind-interfaces", f"--listen-address={OUTSIDE[family]}",
                                "--interface=lo", *records)
    try:
        names = [f"n{n}.test" for n in range(1, 40)]
        for more in ([], ["+tcp"], ["+tcp", "+keepopen"]):
            def answers(more=more):
                done = lab.hosts[0].run("dig", "+short", "+tries=1", "+time=2", *more,
                                        f"@{OUTSIDE[family]}", *names, check=False)
                return done.stdout.split()
            waituntil(lambda a=answers: a() == [f"203.0.113.{n}" for n in range(1, 40)], 15, f"dig {more}")
    finally:
        server.kill()
        server.wait()


@FAMILIES
def test_a_udp_stream_both_ways(shared_fast, family):
    lab = shared_fast.lab
    server = lab.internet.popen("iperf3", "-s", "-1", "-B", OUTSIDE[family], "-p", "5301")
    try:
        waituntil(lambda: ":5301 " in lab.internet.output("ss", "-Hltn"), 5, "iperf3 listens")
        before = hits(shared_fast)
        text = lab.hosts[0].output("iperf3", "-c", OUTSIDE[family], "-p", "5301", "-u", "--bidir",
                                   "-b", "8M", "-t", "1", "-l", "1000", "-J")
    finally:
        server.kill()
        server.wait()
    told = json.loads(text)["end"]
    for key in ("sum", "sum_bidir_reverse"):
        assert told[key]["packets"] >= 900 and told[key]["lost_packets"] == 0, told[key]
    assert hits(shared_fast) - before > 1800


class Ftp(threading.Thread):
    """As much of RFC 959 and 2428 as a test needs: RETR of as many bytes as the name says."""

    def __init__(self, lab, family):
        super().__init__(daemon=True)
        self.lab, self.family, self.address = lab, family, OUTSIDE[family]
        self.kind = socket.AF_INET if family == 4 else socket.AF_INET6
        with lab.internet.entered():
            self.listener = socket.create_server((self.address, 21), family=self.kind)
        self.peers = []  # addresses that data connections had

    def run(self):
        with self.lab.internet.entered(), contextlib.suppress(OSError):
            while True:
                control, peer = self.listener.accept()
                with control:
                    self.peer = peer[0]
                    self.talk(control, control.makefile("r"))

    def talk(self, control, lines):
        data = None

        def say(text):
            control.sendall(text.encode() + b"\r\n")
        say("220 ready")
        for line in lines:
            word, _, rest = line.strip().partition(" ")
            if word in ("PASV", "EPSV"):
                waiting = socket.create_server((self.address, 0), family=self.kind)
                port = waiting.getsockname()[1]
                four = f"{self.address.replace('.', ',')},{port >> 8},{port & 255}"
                say(f"227 here ({four})" if word == "PASV" else f"229 here (|||{port}|)")
                data = lambda w=waiting: w.accept()[0]
            elif word == "PORT":
                parts = rest.split(",")
                there = ".".join(parts[:4]), int(parts[4]) * 256 + int(parts[5])
                data = lambda t=there: socket.create_connection(t, 5, (self.address, 0))
                say("200 yes")
            elif word == "EPRT":
                _, _, host, port, _ = rest.split("|")
                data = lambda t=(host, int(port)): socket.create_connection(t, 5, (self.address, 0))
                say("200 yes")
            elif word == "RETR":
                say("150 now")
                with data() as connection:
                    self.peers.append(connection.getpeername()[0])
                    connection.sendall((File.block * (int(rest) // len(File.block) + 1))[:int(rest)])
                say("226 done")
            elif word == "QUIT":
                say("221 bye")
                return
            else:
                say("230 fine" if word == "USER" else "200 fine")


HELPER = """
table inet helpers {
    ct helper ftp4 { type "ftp" protocol tcp; l3proto ip; }
    ct helper ftp6 { type "ftp" protocol tcp; l3proto ip6; }
    chain prerouting {
        type filter hook prerouting priority -150; policy accept;
        meta nfproto ipv4 tcp dport 21 ct helper set "ftp4"
        meta nfproto ipv6 tcp dport 21 ct helper set "ftp6"
    }
}
"""


@FAMILIES
def test_ftp(shared_fast, family):
    """The kernel's helper reads and writes the control connection, which is therefore never offloaded; its
    data connections take the same uplink, and are."""
    lab = shared_fast.lab
    done = lab.gateway.run("nft", "-f", "-", input=HELPER, check=False)
    if done.returncode:
        pytest.skip(f"this kernel has no FTP helper: {done.stderr.splitlines()[0]}")
    server = Ftp(lab, family)
    server.start()
    try:
        with lab.hosts[0].entered():
            for passive in (True, False):
                client = ftplib.FTP(timeout=10)
                client.connect(OUTSIDE[family])
                client.login()
                client.set_pasv(passive)
                own = endpoint(*client.sock.getsockname()[:2])
                for _ in range(2):
                    got = bytearray()
                    before = hits(shared_fast)
                    client.retrbinary("RETR 3000000", got.extend)
                    assert got == (File.block * 200)[:3000000]
                    assert hits(shared_fast) - before > 40
                    assert shared_fast.flow(own) and not shared_fast.offloaded(own)
                client.quit()
                assert set(server.peers) == {server.peer}, "data and control by one uplink"
                server.peers.clear()
    finally:
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        lab.gateway.nft("delete table inet helpers\n")


@FAMILIES
def test_traceroute(shared_fast, family):
    """The gateway is the first hop, and the provider the second, also of an offloaded connection's host."""
    lab = shared_fast.lab
    host, server = lab.hosts[0], lab.servers(family)[7]
    gateway = "192.168.0.1" if family == 4 else "2001:db8:a::1"
    routers = [u.router4 if family == 4 else u.router6 for u in lab.uplinks]
    for more in ([], ["-T", "-p", "80"], ["-U", "-p", "7000"]):
        text = host.output("traceroute", f"-{family}", "-n", "-q", "1", "-N", "1", "-w", "2", *more, server)
        hops = re.findall(r"^ *\d+ +([0-9a-f:.]+|\*)", text, re.MULTILINE)
        assert hops[0] == gateway and hops[1] in routers and len(hops) == 3, text
