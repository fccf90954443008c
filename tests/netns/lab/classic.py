# SPDX-License-Identifier: GPL-2.0-or-later
"""The classic setup, by hand: what linkbal replaces, step by step as in the how-to.

It proves that the lab works without linkbal, and shows what it is compared with.
"""


def up(lab, weights=None):
    """Mark 3 on what comes from the LAN, a multipath table for the mark, masquerade."""
    weights = weights or {u.name: 1 for u in lab.uplinks}
    gateway, uplinks = lab.gateway, lab.uplinks
    # A routing table per link with its subnet and default route; a source rule per link address.
    for family, router, address, network in _families(lab):
        lines = []
        for uplink in uplinks:
            table = 9 + uplink.number
            lines.append(f"route add {network(uplink)} dev {uplink.device} table {table}")
            lines.append(f"route add default via {router(uplink)} table {table}")
            lines.append(f"rule add from {address(uplink)} lookup {table} pref {table}")
        # The balancing table, the rule that sends the mark to it, and the preferred default.
        hops = " ".join(f"nexthop via {router(u)} dev {u.device} weight {weights[u.name]}"
                        for u in uplinks)
        lines.append(f"route add default table 30 {hops}")
        lines.append("rule add lookup main suppress_prefixlength 0 pref 2")
        lines.append("rule add fwmark 3 lookup 30 pref 3")
        lines.append(f"route add default via {router(uplinks[0])}")
        gateway.run("ip", f"-{family}", "-batch", "-", input="\n".join(lines) + "\n")
    gateway.sysctl(**{
        "ipv4/ip_forward": 1, "ipv4/icmp_echo_ignore_broadcasts": 1,
        "ipv6/conf/all/forwarding": 1, "ipv4/conf/all/rp_filter": 0})
    devices = ", ".join(f'"{u.device}"' for u in uplinks)
    for u in uplinks:
        gateway.sysctl(**{f"ipv4/conf/{u.device}/rp_filter": 0})
    # One address pair takes one link, so a marked connection stays where it began.
    gateway.nft(f"""
        table inet classic {{
            chain mangle {{
                type filter hook prerouting priority mangle;
                iifname "{lab.lan_device}" meta mark set 3
            }}
            chain nat {{
                type nat hook postrouting priority srcnat;
                oifname {{ {devices} }} masquerade
            }}
        }}""")


def _families(lab):
    yield 4, lambda u: u.router4, lambda u: u.address4, lambda u: u.network4
    if lab.ipv6:
        yield 6, lambda u: u.router6, lambda u: u.address6, lambda u: u.network6
