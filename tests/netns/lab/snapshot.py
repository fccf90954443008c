# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that a balancer could have changed, as text, to be compared."""

import difflib
import os
import re

from . import balancer

# Values that change by themselves, or that are the same for all namespaces.
VOLATILE = re.compile(r"nf_conntrack_count$|/random/|stable_secret$|/route/flush$|fs/|/netdev_rss_key$"
                      r"|base_reachable|/rpc/|/nf_log/|tcp_available|tcp_fastopen_key$")

COMMANDS = {
    "rules": "ip -N rule show",
    "rules6": "ip -N -6 rule show",
    "routes": "ip -N route show table all",
    "routes6": "ip -N -6 route show table all",
    "nexthops": "ip -N nexthop show",
    "addresses": "ip -N -o addr show",
    "links": "ip -d -o link show",
    "nft": "nft -a -s list ruleset",
    "qdiscs": "tc qdisc show",
    "xdp": "bpftool net",
}


def snapshot(lab):
    """{section: text}; equal snapshots mean that nothing has changed in the gateway."""
    gateway = lab.gateway
    taken = {name: gateway.output(*words.split()) for name, words in COMMANDS.items()}
    taken["routes6"] = re.sub(r" expires \d+sec", "", taken["routes6"])
    taken["iptables"] = gateway.read("/proc/net/ip_tables_names") + gateway.read(
        "/proc/net/ip6_tables_names")
    taken["programs"] = "".join(f"{d} {hook}: {what}\n"
                                for (d, hook), what in balancer.attached(gateway).items())
    with gateway.entered():
        taken["sysctls"] = "".join(_files("/proc/sys/net", skip=VOLATILE))
    taken["rt_tables.d"] = "".join(_files("/etc/iproute2", skip=_others(lab)))
    taken["pins"] = "".join(_names("/sys/fs/bpf", skip=_others(lab)))
    taken["run"] = "".join(_names("/run", skip=_others(lab), depth=2))
    return taken


def differences(before, after, *ignore):
    """A unified diff of two snapshots; empty when they are equal."""
    text = []
    for name in before:
        if name not in ignore and before[name] != after[name]:
            text += difflib.unified_diff(before[name].splitlines(), after[name].splitlines(),
                                         f"{name} before", f"{name} after", lineterm="", n=0)
    return "\n".join(text)


def _others(lab):
    """Paths of others: these folders are the whole machine's, and other instances come and go.

    Left are the lab's own, and what no instance has a business with. A lock is no state.
    """
    own = re.escape(lab.instance)
    shared = "/run/|/etc/iproute2/rt_tables.d/|/sys/fs/bpf/(?!ip/|tc/|xdp/)"
    return re.compile(rf"^({shared})(?!{own}(?!\d))|^/run/netns/|/lock$")


def _walk(top):
    for folder, folders, files in os.walk(top):
        folders.sort()
        yield from (os.path.join(folder, name) for name in sorted(files))


def _files(top, skip):
    for path in _walk(top):
        if not skip.search(path):
            try:
                with open(path, encoding="latin1") as file:
                    yield f"{path} = {file.read().rstrip()}\n"
            except OSError:
                pass


def _names(top, skip, depth=9):
    """Files, not folders: an empty one says nothing."""
    for folder, folders, files in os.walk(top):
        level = folder[len(top):].count("/")
        for name in sorted(files):
            if not skip.search(f"{folder}/{name}"):
                yield f"{folder}/{name}\n"
        folders[:] = sorted(folders) if level + 1 < depth else []
