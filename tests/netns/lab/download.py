# SPDX-License-Identifier: GPL-2.0-or-later
"""Downloads in one or in several connections, and the time they take."""

import socket
import threading
import time

from . import servers as ports

def aria2c(host, server, size, connections, directory):
    """Seconds that aria2c takes for a file of `size` bytes."""
    start = time.monotonic()
    host.run("aria2c", "--quiet", "--file-allocation=none", "--allow-overwrite=true", "--no-conf",
             f"--split={connections}", f"--max-connection-per-server={connections}",
             "--min-split-size=1M", f"--dir={directory}", "--out=file",
             f"http://{_literal(server)}/{size}", timeout=60)
    return time.monotonic() - start

def ranges(host, server, size, connections):
    """Seconds that `connections` simultaneous range requests take, each for its part."""
    part, errors = size // connections, []

    def work(n):
        try:
            with host.entered():
                _range(server, size, n * part, part)
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(connections)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return time.monotonic() - start

def _range(server, size, first, count):
    with socket.create_connection((server, ports.HTTP), timeout=30) as client:
        client.sendall(f"GET /{size} HTTP/1.1\r\nHost: server\r\nConnection: close\r\n"
                       f"Range: bytes={first}-{first + count - 1}\r\n\r\n".encode())
        stream = client.makefile("rb")
        while stream.readline() not in (b"\r\n", b""):
            pass
        got = len(stream.read(count))
        if got != count:
            raise OSError(f"{got} of {count} bytes")

def _literal(server):
    return f"[{server}]" if ":" in server else server
