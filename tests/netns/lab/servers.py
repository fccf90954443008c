# SPDX-License-Identifier: GPL-2.0-or-later
"""The servers of the internet: servers.py UDP-ADDRESS...; prints "ready" when they answer.

    TCP 80     HTTP: /SIZE is a file of that many bytes; knows ranges. What
               is PUT is answered by its SHA-256
    TCP 7000   says which address it sees, and closes
    UDP 7000   says which address it sees, then repeats what it got
    TCP 7002   says which address it sees, then repeats everything
Nothing listens on port 7999.
"""

import asyncio
import hashlib
import http.server
import re
import socket
import socketserver
import sys
import threading

HTTP, WHO, BUSY, CLOSED = 80, 7000, 7002, 7999


def seen(peer):
    """What a client is told about itself: "ADDRESS PORT" and a line feed."""
    return f"{peer[0].removeprefix('::ffff:')} {peer[1]}\n".encode()


class Who(asyncio.Protocol):
    def connection_made(self, transport):
        transport.write(seen(transport.get_extra_info("peername")))
        transport.close()


class Busy(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        transport.write(seen(transport.get_extra_info("peername")))

    def data_received(self, data):
        self.transport.write(data)


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        self.transport.sendto(seen(address) + data, address)


class File(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    block = bytes(range(256)) * 64

    def do_GET(self):
        size = int(self.path.strip("/"))
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first = int(wanted[1]) if wanted else 0
        last = min(int(wanted[2]), size - 1) if wanted and wanted[2] else size - 1
        self.send_response(206 if wanted else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last - first + 1))
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        try:
            while first <= last:
                piece = self.block[first % 256:][:last - first + 1]
                self.wfile.write(piece)
                first += len(piece)
        except ConnectionError:
            self.close_connection = True

    def do_PUT(self):
        """Tells the SHA-256 of what was sent."""
        left, digest = int(self.headers["Content-Length"]), hashlib.sha256()
        while left and (piece := self.rfile.read(min(left, 65536))):
            digest.update(piece)
            left -= len(piece)
        answer = digest.hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class FileServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 128


async def main(addresses):
    loop = asyncio.get_running_loop()
    files = FileServer(("::", HTTP), File)
    threading.Thread(target=files.serve_forever, daemon=True).start()
    for port, protocol in ((WHO, Who), (BUSY, Busy)):
        listener = socket.create_server(("::", port), family=socket.AF_INET6, backlog=4096,
                                        dualstack_ipv6=True)
        await loop.create_server(protocol, sock=listener, backlog=4096)
    for address in addresses:  # a socket each, so that the answer comes from the address asked
        await loop.create_datagram_endpoint(Echo, (address, WHO))
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
