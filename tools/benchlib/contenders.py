# SPDX-License-Identifier: GPL-2.0-or-later
"""Who takes part: one entry each in CONTENDERS. A new contender needs nothing else."""

from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from .lab import IPV4, inside, run

BUILD = Path(__file__).resolve().parents[2] / "build"
LINKBAL = BUILD / "linkbal"
PKTGEN = BUILD / "tools" / "pktgen" / "pktgen"


def nothing(_lab):
    pass


@dataclass(frozen=True)
class Contender:
    name: str
    title: str
    set_up: Callable
    tear_down: Callable = nothing
    uplinks: int = 2  # that traffic must arrive at
    needs_linkbal: bool = False
    fast: str = ""  # the counter of linkbal's fast path that must have seen (nearly) all of it
    only_packets: bool = False  # explains a part of the others' cost; not asked for more than that
    bulk: bool = True  # bulk TCP is its ground
    connects: bool = True  # follows connections, so that new ones cost something


def default_route(lab, family):
    first = lab.uplinks[0]
    return f"{family.ip} route add default via {first.gateway(family)} dev {first.device}\n"


def link_tables(lab, family):
    ip = family.ip
    return "".join(
        f"{ip} route add {up.network(family)} dev {up.device} src {up.address(family)} "
        f"table {up.table}\n"
        f"{ip} route add default via {up.gateway(family)} dev {up.device} table {up.table}\n"
        f"{ip} rule add from {up.address(family)} lookup {up.table}\n" for up in lab.uplinks)


def multipath(lab, family):
    hops = "".join(f" nexthop via {up.gateway(family)} dev {up.device} weight 1"
                   for up in lab.uplinks)
    return f"{family.ip} route add default table 30{hops}\n"


def reverse_path_filter(value):
    return f"for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo {value} > $f; done\n"


def for_families(script):
    """A contender that runs script(lab, family) for each family."""
    def set_up(lab):
        lab.script("".join(script(lab, family) for family in lab.families))
    return set_up


def plain(lab, family):
    return default_route(lab, family)


def masquerade(lab, family):
    return (default_route(lab, family) +
            f"{family.iptables} -t nat -A POSTROUTING -o eth1 -j MASQUERADE\n")


def classic(lab, family):
    """The how-to: everything from the LAN is marked, the mark means the multipath table."""
    masquerades = "".join(
        f"{family.iptables} -t nat -A POSTROUTING -o {up.device} -j MASQUERADE\n"
        for up in lab.uplinks)
    return (masquerades +
            f"{family.iptables} -t mangle -A PREROUTING -s {family.lan} -j MARK --set-mark 3\n" +
            reverse_path_filter(0) + default_route(lab, family) + link_tables(lab, family) +
            f"{family.ip} rule add fwmark 3 lookup 30 prio 3\n" + multipath(lab, family))


def nftables(lab, family):
    """What a careful administrator writes today: the pick is kept in conntrack, rules by mark first.

    Connected networks are copied into the links' tables by link_tables(), so that no rule has to
    look the main table up before the marks.
    """
    count = len(lab.uplinks)
    devices = ", ".join(f'"{up.device}"' for up in lab.uplinks)
    marks = "".join(
        f"{family.ip} rule add fwmark {up.number} lookup {up.table} prio {100 + up.number}\n"
        for up in lab.uplinks)
    ip = family.nft
    return (
        reverse_path_filter(2) + default_route(lab, family) + link_tables(lab, family) + marks +
        f"""nft -f - <<'END'
table {ip} balance {{
    chain prerouting {{
        type filter hook prerouting priority mangle; policy accept;
        iif != "eth0" return
        ct mark != 0 meta mark set ct mark return
        ct state new meta l4proto {{ tcp, udp }} ct mark set jhash {ip} saddr . {ip} daddr . th sport . th dport mod {count} offset 1
        meta mark set ct mark
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        oif {{ {devices} }} masquerade
    }}
}}
END
""")


def redirect(lab):
    """The limit of XDP on this machine: no table, no rewriting but MAC addresses."""
    far_ends = [word for up in lab.uplinks for word in ("--to", f"{up.device},{up.far_mac}")]
    run(str(PKTGEN), "redirect", f"{lab.gateway}:eth0", *far_ends)


def linkbal_configuration(lab, datapath, cache=None):
    text = '[lan]\ninterfaces = ["eth0"]\n'
    for up in lab.uplinks:
        text += f'\n[[uplink]]\nname = "{up.name}"\ninterface = "{up.device}"\n'
        text += "".join(f'gateway{"" if family is IPV4 else 6} = "{up.gateway(family)}"\n'
                        for family in lab.families)
        text += f"table = {up.table}\nweight = 1\n"
    text += f'\n[balance]\ntable = 30\ndatapath = "{datapath}"\n'
    return text + (f"cache = {cache}\n" if cache else "")


def linkbal_command(lab, *command):
    return [*inside(lab.gateway), str(LINKBAL), "--config", str(configuration_file(lab)),
            "--instance", lab.instance, *command]


def configuration_file(lab):
    return Path("/run") / f"{lab.instance}.toml"


def linkbal(datapath, cache=None):
    def set_up(lab):
        configuration_file(lab).write_text(linkbal_configuration(lab, datapath, cache))
        run(*linkbal_command(lab, "up"))
    return set_up


def linkbal_down(lab):
    if not configuration_file(lab).exists():
        return
    try:
        run(*linkbal_command(lab, "down"))
    finally:
        configuration_file(lab).unlink()


# Connections that the fast path must find room for: the most that are measured.
CACHE = 1_000_000

CONTENDERS = [
    Contender("classic", "classic: iptables MARK + multipath + MASQUERADE", for_families(classic)),
    Contender("nftables", "nftables: jhash + ct mark + masquerade", for_families(nftables)),
    Contender("masquerade", "masquerade alone, one link", for_families(masquerade), uplinks=1,
              only_packets=True),
    Contender("plain", "plain forwarding, no conntrack, one link", for_families(plain), uplinks=1,
              only_packets=True, connects=False),
    Contender("classify", 'linkbal, datapath = "classify"', linkbal("classify"), linkbal_down,
              needs_linkbal=True),
    Contender("tc", 'linkbal, datapath = "tc"', linkbal("tc", CACHE), linkbal_down,
              needs_linkbal=True, fast="FORWARDED"),
    # XDP on veth takes no segments of 64 kB: bulk TCP says nothing about it here.
    Contender("xdp", 'linkbal, datapath = "xdp"', linkbal("xdp", CACHE), linkbal_down,
              needs_linkbal=True, fast="XDP", bulk=False),
    Contender("redirect", "bare XDP redirect of every packet: the limit", redirect, connects=False),
]
