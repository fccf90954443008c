# SPDX-License-Identifier: GPL-2.0-or-later
"""The program under test, inside the gateway of a lab, and its configuration."""

import contextlib
import ctypes
import json
import os
import pathlib
import struct
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
TCX_INGRESS, TCX_EGRESS = 46, 47
BPF_PROG_QUERY, SYS_BPF = 16, {"x86_64": 321, "aarch64": 280}


def program():
    """The path of the program: $LINKBAL, or the build folder's."""
    return os.environ.get("LINKBAL", str(ROOT / "build" / "linkbal"))


class Config:
    """The how-to's configuration for a lab; change attributes, then write() or text().

    weights   {uplink name: weight}; uplinks that are not in it are left out
    balance   further keys of [balance], as TOML values: {"attach": '"clsact"'}
    sections  further sections: {"health": {"probe": "tcp"}, "forward": [{"port": 80, ...}, ...]}; a list
              is an array of tables
    links     further keys of uplinks, and [uplink.health]: {"velox1": {"tier": 2, "health": {...}}};
              None leaves a key out: {"velox1": {"gateway": None}}
    """

    def __init__(self, lab, weights=None, networks=True, gateway6=True, sections=None, links=None,
                 **balance):
        self.lab = lab
        self.weights = weights or {u.name: 1 for u in lab.uplinks}
        self.networks = networks
        self.gateway6 = gateway6 and lab.ipv6
        self.sections = sections or {}
        self.links = links or {}
        self.balance = {"table": "30", "table_name": '"velox"', "datapath": '"auto"', **balance}
        self.balance.setdefault("default_uplink", f'"{next(iter(self.weights))}"')

    def text(self):
        lines = ["[lan]", f'interfaces = ["{self.lab.lan_device}"]']
        if self.networks:
            six = ', "2001:db8:a::/64"' if self.lab.ipv6 else ""
            lines.append(f'networks = ["192.168.0.0/24"{six}]')
        for uplink in self.lab.uplinks:
            if uplink.name in self.weights:
                lines += self._uplink(uplink)
        lines += ["", "[balance]", *(f"{k} = {v}" for k, v in self.balance.items())]
        for name, tables in self.sections.items():
            if isinstance(tables, dict):
                lines += ["", f"[{name}]", *_pairs(tables)]
            else:
                for keys in tables:
                    lines += ["", f"[[{name}]]", *_pairs(keys)]
        return "\n".join(lines) + "\n"

    def _uplink(self, uplink):
        # The how-to's tables 10 and 11; those of many uplinks keep clear of 30 and 253 to 255.
        table = 9 + uplink.number if uplink.number <= 10 else 1000 + uplink.number
        keys = {"name": uplink.name, "interface": uplink.device, "gateway": uplink.router4}
        if self.gateway6:
            keys["gateway6"] = uplink.router6
        keys |= {"table": table, "weight": self.weights[uplink.name], **self.links.get(uplink.name, {})}
        health = keys.pop("health", None)
        lines = ["", "[[uplink]]", *_pairs(keys)]
        return lines + (["", "[uplink.health]", *_pairs(health)] if health else [])


def _pairs(keys):
    """JSON's strings, numbers, truth values and arrays are TOML's."""
    return [f"{key} = {json.dumps(value)}" for key, value in keys.items() if value is not None]


class Balancer:
    """Runs linkbal in the gateway's namespace with the lab's instance name."""

    def __init__(self, lab, path=None):
        self.lab = lab
        self.path = path or program()
        self.config = f"{lab.directory}/linkbal.toml"
        self.pins = f"/sys/fs/bpf/{lab.instance}"

    def write(self, config):
        """Makes a Config, or text, the configuration file; returns its path."""
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(config if isinstance(config, str) else config.text())
        return self.config

    def words(self, *words):
        return [self.path, "--config", self.config, "--instance", self.lab.instance, *words]

    def run(self, *words, prefix=(), check=False, timeout=60):
        return self.lab.gateway.run(*prefix, *self.words(*words), check=check, timeout=timeout)

    def popen(self, *words):
        return self.lab.gateway.popen(*self.words(*words), stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True)

    def up(self, config=None, **options):
        """`up` that has to work; writes the configuration first."""
        if config is not None:
            self.write(config)
        return self._must("up", **options)

    def down(self, **options):
        return self._must("down", **options)

    def plan(self):
        return self._must("plan").stdout

    def json(self, command):
        return json.loads(self._must(command, "--json").stdout)

    def _must(self, *words, **options):
        done = self.run(*words, **options)
        if done.returncode != 0:
            raise AssertionError(f"linkbal {' '.join(words)}: exit {done.returncode}\n"
                                 f"{done.stdout}{done.stderr}")
        return done

    def map(self, name):
        """A pinned map as bpftool shows it: a list of {"key", "value", "formatted"}."""
        text = self.lab.gateway.output("bpftool", "-j", "map", "dump", "pinned", f"{self.pins}/{name}")
        return json.loads(text)

    def bucket_maps(self):
        """Kernel ids of the maps inside `buckets`: [IPv4, IPv6]."""
        values = [bytes(int(b, 0) for b in entry["value"]) for entry in self.map("buckets")]
        return [int.from_bytes(value, sys.byteorder) for value in values]

    def object_ids(self):
        """{path below the pins: kernel id} of every pinned map and program."""
        ids = {}
        for path in sorted(pathlib.Path(self.pins).rglob("*")):
            for kind in ("map", "prog", "link"):
                shown = self.lab.gateway.run("bpftool", "-j", kind, "show", "pinned", path, check=False)
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    ids[str(path.relative_to(self.pins))] = json.loads(shown.stdout)["id"]
                    break
        return ids

    def attached(self):
        """{(device, "tcx/ingress" and so on): identifiers} of tc and TCX programs of the gateway."""
        return attached(self.lab.gateway)

    def detach_by_hand(self):
        """Takes every tc program off the gateway's devices, whatever way it is attached."""
        for path in sorted(pathlib.Path(self.pins).rglob("*")):
            if path.is_file() and self._is_link(path):
                path.unlink()
        for device in devices(self.lab.gateway):
            self.lab.gateway.run("tc", "qdisc", "del", "dev", device, "clsact", check=False)

    def _is_link(self, path):
        return all(self.lab.gateway.run("bpftool", kind, "show", "pinned", path, check=False).returncode
                   for kind in ("map", "prog"))


def devices(space):
    """{device name: index} of a namespace."""
    shown = json.loads(space.output("ip", "-j", "link", "show"))
    return {link["ifname"]: link["ifindex"] for link in shown}


def attached(space):
    """bpftool of Debian 12 does not know TCX yet, so the kernel is asked directly."""
    found = {}
    names = devices(space)
    for device, index in names.items():
        for way in ("ingress", "egress"):
            text = space.run("tc", "filter", "show", "dev", device, way, check=False).stdout
            if text.strip():
                found[device, f"clsact/{way}"] = text.strip()
    with space.entered():
        for device, index in names.items():
            for way, kind in (("ingress", TCX_INGRESS), ("egress", TCX_EGRESS)):
                programs = _tcx_programs(index, kind)
                if programs:
                    found[device, f"tcx/{way}"] = programs
    return found


def has_tcx():
    return _tcx_programs(1, TCX_INGRESS) is not None


def _tcx_programs(ifindex, kind):
    """Program ids of one TCX hook, in order; BPF_PROG_QUERY of bpf(2)."""
    room = (ctypes.c_uint32 * 64)()
    query = struct.pack("=IIIIQII", ifindex, kind, 0, 0, ctypes.addressof(room), 64, 0)
    attributes = ctypes.create_string_buffer(query + bytes(64), len(query) + 64)
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.syscall(SYS_BPF[os.uname().machine], BPF_PROG_QUERY, attributes, len(attributes))
    if done != 0:  # before kernel 6.6 there is no TCX
        return None
    count = struct.unpack_from("=I", attributes.raw, 24)[0]
    return list(room[:count])
