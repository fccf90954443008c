# SPDX-License-Identifier: GPL-2.0-or-later
"""Bulk TCP: real sockets in the host's and the provider's namespace, both ways at the same time.

Offloads are on, as on real network cards: segments of up to 64 kB go through the gateway, whole or
put together again by GRO. Client, gateway and server share one core.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from .lab import IPV4, CommandError, inside, run
from .measure import LEAST_FAST, Failed, of_all_cpus
from .rounds import set_up

BASES = ("classic", "nftables")
SERVER = "203.0.113.1"


class BulkRound:
    def __init__(self, sample, contender):
        self.sample = sample
        self.rate = sum(sample["bytes"]) / sample["cpu_seconds"]
        self.wall_rate = sum(sample["bytes"]) / sample["wall_seconds"]
        self.problem = self._judge(contender)

    def _judge(self, contender):
        if min(self.sample["bytes"]) * 10 < max(self.sample["bytes"]):
            return f"one way has starved: {self.sample['bytes']} bytes"
        share = self.sample["fast_share"]
        if contender.fast and share < LEAST_FAST:
            return f"only {share:.1%} of the packets took the fast path"
        return None

    def as_json(self):
        return {"bytes_per_second": self.rate, "bytes_per_second_wall": self.wall_rate,
                "problem": self.problem, "sample": self.sample}


def give_addresses(lab):
    """The ends get addresses and routes, which the generator does not need."""
    host = [f"address add {IPV4.host(10)}/24 dev lan0",
            f"route add default via {IPV4.lan_address.split('/')[0]}"]
    far = [f"address add {SERVER}/32 dev lo"]
    far += [f"address add {up.gateway(IPV4)}/24 dev {up.far}" for up in lab.uplinks]
    for netns, lines in ((lab.host, host), (lab.isp, far)):
        run("ip", "-n", netns, "-batch", "-", stdin="\n".join(lines))


def ksoftirqd(cpu):
    """Nanoseconds that it ran, 0 where there is none to be seen, as in a container."""
    for comm in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if comm.read_text().strip() == f"ksoftirqd/{cpu}":
                return int((comm.parent / "schedstat").read_text().split()[0])
    return 0


def wait_for_server(lab):
    for _ in range(200):
        if ":5201" in run(*inside(lab.isp), "ss", "-Hltn"):
            return
        time.sleep(0.01)
    raise CommandError("iperf3 does not listen")


def spent(process):
    """Waits; returns what the process printed and the seconds of processor time it had."""
    text = process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return text, usage.ru_utime + usage.ru_stime


def transfer(lab, options):
    def iperf(netns, *words):
        command = [*inside(netns), "taskset", "-c", str(options.cpu), "iperf3", "-J", *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    before = ksoftirqd(options.cpu)
    server = iperf(lab.isp, "-s", "-1")
    try:
        wait_for_server(lab)
        client = iperf(lab.host, "-c", SERVER, "--bidir", "-Z", "-t", str(max(1, options.seconds)))
        text, client_seconds = spent(client)
        if client.returncode != 0:
            raise CommandError(f"iperf3: {json.loads(text or '{}').get('error', 'failed')}")
        _, server_seconds = spent(server)
    finally:
        if server.returncode is None:
            server.kill()
            server.wait()
    end = json.loads(text)["end"]
    return {"bytes": [end["sum_received"]["bytes"], end["sum_received_bidir_reverse"]["bytes"]],
            "wall_seconds": end["sum_sent"]["seconds"],
            "cpu_seconds": client_seconds + server_seconds + (ksoftirqd(options.cpu) - before) / 1e9}


def forwarded(lab):
    """Packets by the uplinks since the programs were loaded: those of the fast path, and all."""
    fast, sent, received = (sum(of_all_cpus(lab, "uplink_counters", field))
                            for field in ("fast", "tx_packets", "rx_packets"))
    return fast, sent + received


def one_round(lab, contender, options):
    try:
        before = forwarded(lab) if contender.fast else (0, 0)
        sample = transfer(lab, options)
        after = forwarded(lab) if contender.fast else (0, 1)
        sample["fast_share"] = (after[0] - before[0]) / max(1, after[1] - before[1])
        return BulkRound(sample, contender)
    except CommandError as error:
        return Failed(str(error))


def measure(options):
    """Contender name -> its rounds."""
    with contextlib.ExitStack() as stack:
        labs = {c: set_up(c, stack) for c in options.contenders
                if c.connects and not c.only_packets and c.bulk}
        labs = {c: lab for c, lab in labs.items() if lab}
        results = {c.name: [] for c in labs}
        for lab in labs.values():
            give_addresses(lab)
        for index in range(options.rounds):
            for contender, lab in labs.items():
                results[contender.name].append(one_round(lab, contender, options))
            print(f"\rbulk: round {index + 1} of {options.rounds} ", end="", file=sys.stderr,
                  flush=True)
        print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    return results
