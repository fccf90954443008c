# SPDX-License-Identifier: GPL-2.0-or-later
"""What conntrack knows of one connection.

    tracked(lab.gateway, "tcp", client.getsockname(), client.getpeername()).state
"""

import ipaddress
import re
from typing import NamedTuple


class Tracked(NamedTuple):
    state: str  # "" where the protocol has none
    seconds: int  # that are left
    packets: int  # of both directions
    bytes: int


def tracked(space, protocol, client, server):
    """The Tracked of a connection, or None. All four parts count: others may have the same port.

    protocol           "tcp" or "udp"
    client, server     (address, port, ...) as the client's socket says them, before NAT
    """
    ways = zip(("src", "dst", "sport", "dport"), (*_written(client, server), client[1], server[1]))
    pattern = re.compile(rf"\S+ +\d+ {protocol} +\d+ (?P<seconds>\d+) (?:(?P<state>[A-Z_0-9]+) )?"
                         + "".join(f"{name}={value} " for name, value in ways))
    rows = space.output("cat", "/proc/net/nf_conntrack").splitlines()
    found = [(row, match) for row in rows if (match := pattern.match(row))]
    assert len(found) <= 1, found
    return _read(*found[0]) if found else None


def _written(*ends):
    """Addresses as the kernel prints them there, without ::."""
    return (ipaddress.ip_address(address).exploded for address, *_ in ends)


def _read(row, match):
    return Tracked(match["state"] or "", int(match["seconds"]),
                   *(sum(int(n) for n in re.findall(rf" {name}=(\d+)", row)) for name in ("packets", "bytes")))
