# SPDX-License-Identifier: GPL-2.0-or-later
"""The how-to's network made of namespaces, and everything to drive and to watch it.

    with Lab(hosts=4, uplinks=2) as lab:
        gateway = Balancer(lab)
        gateway.up(Config(lab))
        shares = tcp_who(lab, 1000)

See `python3 -m pydoc lab.network` for the addresses.
"""

from .balancer import Balancer, Config
from .clients import ping, tcp_who, udp_who
from .network import Lab
from .shares import describe, deviation
from .snapshot import differences, snapshot
from .wait import waituntil

__all__ = [
    "Balancer", "Config", "Lab", "describe", "deviation", "differences", "ping", "snapshot",
    "tcp_who", "udp_who", "waituntil",
]
