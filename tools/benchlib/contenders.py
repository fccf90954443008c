# SPDX-License-Identifier: GPL-2.0-or-later
"""Who takes part: one entry each in CONTENDERS. A new contender needs nothing else."""

from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from .lab import LAN, inside, run

LINKBAL = Path(__file__).resolve().parents[2] / "build" / "linkbal"


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


def default_route(lab):
    first = lab.uplinks[0]
    return f"ip route add default via {first.gateway}\n"


def link_tables(lab):
    return "".join(
        f"ip route add {up.network}.0/24 dev {up.device} src {up.address} table {up.table}\n"
        f"ip route add default via {up.gateway} dev {up.device} table {up.table}\n"
        f"ip rule add from {up.address} lookup {up.table}\n" for up in lab.uplinks)


def multipath(lab):
    hops = "".join(f" nexthop via {up.gateway} dev {up.device} weight 1" for up in lab.uplinks)
    return f"ip route add default table 30{hops}\n"


def plain(lab):
    lab.script(default_route(lab))


def masquerade(lab):
    lab.script(default_route(lab) + """
iptables-legacy -t nat -A POSTROUTING -o eth1 -j MASQUERADE
""")


def classic(lab):
    """The how-to: everything from the LAN is marked, the mark means the multipath table."""
    masquerades = "".join(f"iptables-legacy -t nat -A POSTROUTING -o {up.device} -j MASQUERADE\n"
                          for up in lab.uplinks)
    lab.script(
        masquerades +
        f"iptables-legacy -t mangle -A PREROUTING -s {LAN} -j MARK --set-mark 3\n"
        "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done\n" +
        default_route(lab) + link_tables(lab) + "ip rule add fwmark 3 lookup 30 prio 3\n" +
        multipath(lab))


def nftables(lab):
    """What a careful administrator writes today: the pick is kept in conntrack, rules by mark first.

    Connected networks are copied into the links' tables by link_tables(), so that no rule has to
    look the main table up before the marks.
    """
    count = len(lab.uplinks)
    devices = ", ".join(f'"{up.device}"' for up in lab.uplinks)
    marks = "".join(f"ip rule add fwmark {up.number} lookup {up.table} prio {100 + up.number}\n"
                    for up in lab.uplinks)
    lab.script(
        "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 2 > $f; done\n" +
        default_route(lab) + link_tables(lab) + marks + f"""nft -f - <<'END'
table ip balance {{
    chain prerouting {{
        type filter hook prerouting priority mangle; policy accept;
        iif != "eth0" return
        ct mark != 0 meta mark set ct mark return
        ct state new meta l4proto {{ tcp, udp }} ct mark set jhash ip saddr . ip daddr . th sport . th dport mod {count} offset 1
        meta mark set ct mark
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        oif {{ {devices} }} masquerade
    }}
}}
END
""")


def linkbal_configuration(lab, datapath):
    text = '[lan]\ninterfaces = ["eth0"]\n'
    for up in lab.uplinks:
        text += (f'\n[[uplink]]\nname = "{up.name}"\ninterface = "{up.device}"\n'
                 f'gateway = "{up.gateway}"\ntable = {up.table}\nweight = 1\n')
    return text + f'\n[balance]\ntable = 30\ndatapath = "{datapath}"\n'


def linkbal_command(lab, *command):
    return [*inside(lab.gateway), str(LINKBAL), "--config", str(configuration_file(lab)),
            "--instance", lab.instance, *command]


def configuration_file(lab):
    return Path("/run") / f"{lab.instance}.toml"


def linkbal(datapath):
    def set_up(lab):
        configuration_file(lab).write_text(linkbal_configuration(lab, datapath))
        run(*linkbal_command(lab, "up"))
    return set_up


def linkbal_down(lab):
    if not configuration_file(lab).exists():
        return
    try:
        run(*linkbal_command(lab, "down"))
    finally:
        configuration_file(lab).unlink()


CONTENDERS = [
    Contender("classic", "classic: iptables MARK + multipath + MASQUERADE", classic),
    Contender("nftables", "nftables: jhash + ct mark + masquerade", nftables),
    Contender("masquerade", "masquerade alone, one link", masquerade, uplinks=1),
    Contender("plain", "plain forwarding, no conntrack, one link", plain, uplinks=1),
    Contender("classify", 'linkbal, datapath = "classify"', linkbal("classify"), linkbal_down,
              needs_linkbal=True),
]
