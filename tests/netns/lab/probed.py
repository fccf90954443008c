# SPDX-License-Identifier: GPL-2.0-or-later
"""Real servers on the internet for probes: DNS (dnsmasq), HTTP (nginx), and echo with a delay."""

import contextlib
import socket
import struct
import subprocess
import threading

from .wait import waituntil

DNS4, DNS6, NAME = "198.51.100.53", "2001:db8:ff::53", "probe.example"
WEB4, WEB6, WEB_PORT = "198.51.100.80", "2001:db8:ff::80", 8080

NGINX = """
daemon off;
worker_processes 1;
user root;
pid {directory}/nginx.pid;
error_log /dev/null crit;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {directory}; proxy_temp_path {directory}; fastcgi_temp_path {directory};
    uwsgi_temp_path {directory}; scgi_temp_path {directory};
    server {{
        listen [::]:8080 ipv6only=off;
        location = /204 {{ return 204; }}
        location = /503 {{ return 503; }}
        location = /302 {{ return 302 /204; }}
    }}
}}
"""


def serve_dns(lab):
    """Answers for NAME, at DNS4 and DNS6."""
    net = lab.internet
    net.batch(f"addr add {DNS4}/32 dev lo\naddr add {DNS6}/128 dev lo\n")
    _started(lab, ":53 ", "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root",
             f"--pid-file={lab.directory}/dnsmasq.pid", "--log-facility=/dev/null", "--no-resolv",
             "--no-hosts", "--bind-interfaces", f"--listen-address={DNS4},{DNS6}",
             f"--address=/{NAME}/192.0.2.7", f"--local=/{NAME}/")


def serve_web(lab):
    """/204, /503 and /302, at any address, port WEB_PORT."""
    path = f"{lab.directory}/nginx.conf"
    with open(path, "w", encoding="utf-8") as file:
        file.write(NGINX.format(directory=lab.directory))
    _started(lab, f":{WEB_PORT} ", "nginx", "-e", "/dev/null", "-c", path)


def _started(lab, port, *words):
    process = lab.internet.popen(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lab.processes.append(process)
    waituntil(lambda: port in lab.internet.output("ss", "-tulnH"), what=f"{words[0]} listens")


class SlowEcho:
    """Answers pings to one address of the internet in place of the kernel; a context manager.

    delays  seconds, taken in turn
    """

    def __init__(self, lab, address, delays=(0.0,)):
        self._internet, self._address, self.delays = lab.internet, address, delays
        self._number = 0
        self._ended = threading.Event()

    def __enter__(self):
        self._internet.sysctl(**{"ipv4/icmp_echo_ignore_all": 1})
        with self._internet.entered():
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self._socket.bind((self._address, 0))
        threading.Thread(target=self._work, daemon=True).start()
        return self

    def _work(self):
        with contextlib.suppress(OSError):
            while not self._ended.is_set():
                packet, source = self._socket.recvfrom(65535)
                if not packet:  # the socket was shut down
                    continue
                body = packet[(packet[0] & 15) * 4:]
                if body[0] == 8:
                    threading.Timer(self.delays[self._number % len(self.delays)], self._answer,
                                    (body, source)).start()
                    self._number += 1

    def _answer(self, body, source):
        # The sum changes by what the type does (RFC 1624).
        total = (~struct.unpack_from("!H", body, 2)[0] & 0xffff) + (~0x0800 & 0xffff)
        total = (total & 0xffff) + (total >> 16)
        with contextlib.suppress(OSError):
            self._socket.sendto(struct.pack("!BBH", 0, body[1], ~total & 0xffff) + body[4:], source)

    def __exit__(self, *_):
        self._ended.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._internet.sysctl(**{"ipv4/icmp_echo_ignore_all": 0})
