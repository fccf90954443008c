# SPDX-License-Identifier: GPL-2.0-or-later
"""What `linkbal run` does to an outage, and what it costs while there is none.

The network and the watchers are those of the tests (tests/netns/lab): a LAN host begins a TCP
connection every 5 ms; the outage is the time from the failure to the last attempt that failed.
"""

import sys
import time
from pathlib import Path

from .contenders import LINKBAL
from .measure import spread

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "netns"))

from lab import Balancer, Config, Lab, waituntil  # noqa: E402
from lab.daemon import Daemon  # noqa: E402
from lab.failures import Carrier, SilentGateway  # noqa: E402
from lab.steady import Attempts, Steady  # noqa: E402

# Title, way to fail, [health]; the goals are those of docs/benchmark.md.
OUTAGES = [
    ("carrier lost", Carrier, {}),
    ("silent gateway, default probes", SilentGateway, {}),
    ("silent gateway, 100 ms probes", SilentGateway, {"interval": "100ms", "timeout": "100ms"}),
]
TARGETS = ["198.51.100.1", "198.51.100.2", "198.51.100.3"]
COUNTER = """
table inet bench {
    counter probes { }
    chain input {
        type filter hook input priority 0; policy accept;
        ip daddr 198.51.100.0/24 icmp type echo-request counter name probes
    }
}"""


def good(daemon):
    """Whether every link is up and every family that has a verdict a good one."""
    return all(uplink["state"] == "up" and "good" in verdicts(uplink) and "bad" not in verdicts(uplink)
               for uplink in daemon.uplinks().values())


def verdicts(uplink):
    return [health["verdict"] for health in uplink["health"].values() if health]


def outage(title, way, health, runs):
    """Milliseconds until new connections succeed by the other link, and what that one lost."""
    taken, lost = [], 0
    with Lab(hosts=2, uplinks=2) as lab:
        config = Config(lab, sections={"health": health} if health else None)
        failure = way(lab, lab.uplinks[0])
        with Daemon(Balancer(lab, str(LINKBAL)), config) as daemon:
            for _ in range(runs):
                waituntil(lambda: good(daemon), 30, "all links are good")
                with Attempts(lab) as attempts, Steady(lab, lab.uplinks[1]) as steady:
                    since = time.monotonic()
                    failure.fail()
                    taken.append(attempts.recovered(since) * 1e3)
                    daemon.wait(lab.uplinks[0].name, "down")
                    lost += steady.lost()
                failure.recover()
    return {"failure": title, "runs": runs, "milliseconds": spread(taken),
            "all_milliseconds": taken, "packets_lost_on_the_other_link": lost}


def cost(daemon, seconds):
    """Percent of one core, over `seconds` in which nothing happens, and resident bytes."""
    start, before = time.monotonic(), daemon.cpu_seconds()
    time.sleep(seconds)
    used, taken = daemon.cpu_seconds() - before, time.monotonic() - start
    return {"seconds": taken, "cpu_percent": 100 * used / taken, "resident_bytes": daemon.resident()}


def idle(seconds, runs):
    with Lab(hosts=1, uplinks=2) as lab, \
            Daemon(Balancer(lab, str(LINKBAL)), Config(lab)) as daemon:
        waituntil(lambda: good(daemon), 30, "all links are good")
        return {"uplinks": 2, "targets": 1, **median_of(cost(daemon, seconds) for _ in range(runs))}


def many(seconds, runs, uplinks=64):
    """Three targets for each of many links; the far end counts how many probes came."""
    with Lab(hosts=1, uplinks=uplinks, cheap=True, ipv6=False) as lab:
        far = next(space for space in lab.namespaces if space.name.endswith("-isp"))
        far.batch("route add local 198.51.100.0/24 dev lo\n")
        far.nft(COUNTER)
        far.sysctl(**{"ipv4/icmp_ratelimit": 0, "ipv4/icmp_msgs_per_sec": 100000})
        health = {"targets": TARGETS, "interval": "500ms"}
        with Daemon(Balancer(lab, str(LINKBAL)), Config(lab, sections={"health": health})) as daemon:
            waituntil(lambda: good(daemon), 60, "all links are good")
            costs, sent = [], []
            for _ in range(runs):
                before = probes(far)
                costs.append(cost(daemon, seconds))
                due = uplinks * len(TARGETS) * costs[-1]["seconds"] / 0.5
                sent.append((probes(far) - before) / due)
            return {"uplinks": uplinks, "targets": len(TARGETS), **median_of(costs),
                    "probes_sent_of_due": spread(sent),
                    "links_up": sum(state == "up" for state in daemon.states().values())}


def probes(space):
    text = space.output("nft", "list", "counter", "inet", "bench", "probes")
    return int(text.split("packets ")[1].split()[0])


def median_of(costs):
    costs = list(costs)
    return {"seconds": costs[0]["seconds"], "cpu_percent": spread(c["cpu_percent"] for c in costs),
            "resident_bytes": spread(c["resident_bytes"] for c in costs)}


def measure(quick):
    runs, seconds, repeats = (3, 5, 1) if quick else (9, 20, 3)
    return {"outages": [outage(*each, runs) for each in OUTAGES],
            "costs": [idle(seconds, repeats), many(seconds, repeats)]}
