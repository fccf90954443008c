# SPDX-License-Identifier: GPL-2.0-or-later
"""Others on the gateway: rules, tables, marks, firewalls and tc programs that are not linkbal's."""

import json
import subprocess

# Sets a bit of the mark that is not linkbal's, and lets the next program go on.
PROGRAM = """
#include <linux/bpf.h>
__attribute__((section("classifier"), used)) int other(struct __sk_buff *skb)
{
    skb->mark |= 0x1;
    return -1;
}
char terms[] __attribute__((section("license"), used)) = "GPL";
"""

# Bits 0x100 of the mark and 0x1000 of the ct mark are set on the way in; who loses them is counted.
FIREWALL = """
table inet others {
    counter carried { }
    counter lost_mark { }
    counter lost_tc_mark { }
    counter lost_ct_mark { }
    chain early {
        type filter hook prerouting priority -190; policy accept;
        iifname "eth0" meta mark set meta mark or 0x100
        iifname "eth0" ct mark set ct mark or 0x1000
    }
    chain late {
        type filter hook postrouting priority 200; policy accept;
        iifname != "eth0" return
        oifname "eth0" return comment "neighbour discovery is sent with its own device as the input"
        counter name carried
        meta mark and 0x100 == 0 counter name lost_mark
        meta mark and 0x1 == 0 counter name lost_tc_mark
        ct mark and 0x1000 == 0 counter name lost_ct_mark
    }
    chain forward {
        type filter hook forward priority 0; policy accept;
        tcp dport 23 drop
    }
}
table ip somebody {
    set blocked { type ipv4_addr; elements = { 10.1.1.1, 10.2.2.2 } }
    chain input {
        type filter hook input priority 0; policy accept;
        ip saddr @blocked drop
    }
}"""

ROUTES = """
route add 10.9.0.0/16 via 192.168.0.11 table 77
route add default via 192.168.2.1 table 77
route add 10.40.0.0/16 via 192.168.0.11
route add default via 192.168.2.1 metric 900
rule add from 10.9.0.0/16 lookup 77 pref 5000
rule add to 203.0.113.19 lookup 77 pref 9000
rule add fwmark 0x1/0x3 lookup 78 pref 20000
"""

ROUTES6 = """
route add default via 2001:db8:2::1 table 77
rule add to 2001:db8:ff::29 lookup 77 pref 9000
"""

# Always by the second link, because of the rules above.
ROUTED = {4: "203.0.113.19", 6: "2001:db8:ff::29"}


def settle_in(lab):
    """Puts all of them on the gateway."""
    lab.gateway.batch(ROUTES)
    if lab.ipv6:
        lab.gateway.run("ip", "-6", "-batch", "-", input=ROUTES6)
    lab.gateway.nft(FIREWALL)
    attach_program(lab)


def attach_program(lab, device="eth0"):
    """A clsact program on a device's ingress."""
    path = f"{lab.directory}/other.o"
    include = f"/usr/include/{subprocess.check_output(['gcc', '-print-multiarch'], text=True).strip()}"
    subprocess.run(["clang", "-O2", "-target", "bpf", f"-I{include}", "-xc", "-c", "-o", path, "-"],
                   input=PROGRAM, text=True, check=True)
    lab.gateway.run("tc", "qdisc", "add", "dev", device, "clsact")
    lab.gateway.run("tc", "filter", "add", "dev", device, "ingress", "pref", "10", "bpf", "da",
                    "obj", path, "sec", "classifier")


def counters(lab):
    """{counter name: packets} of the foreign firewall."""
    text = lab.gateway.output("nft", "-j", "list", "counters", "table", "inet", "others")
    found = [o["counter"] for o in json.loads(text)["nftables"] if "counter" in o]
    return {c["name"]: c["packets"] for c in found}
