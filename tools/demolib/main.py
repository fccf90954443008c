# SPDX-License-Identifier: GPL-2.0-or-later
"""The demonstration: the how-to's gateway with linkbal on it, and real connections through it."""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "netns"))

from lab import Balancer, Config, Lab, deviation, differences, ping, snapshot, tcp_who, udp_who  # noqa: E402
from lab import network  # noqa: E402
from lab.busy import Busy  # noqa: E402
from lab.clients import tcp_seen  # noqa: E402
from lab.daemon import Daemon  # noqa: E402
from lab.download import ranges  # noqa: E402
from lab.failures import WAYS  # noqa: E402
from lab.steady import Attempts, Steady  # noqa: E402

from screen import command, heading, output, paint, say, table, verdict  # noqa: E402

HOSTS = 4
COUNT = 1000
PINGS = 100
RATE = "8mbit"
FILE = 1_000_000

PICTURE = """\
  192.168.0.10 ─┐             ┌─ eth1 192.168.1.2 ── provider 1 ─┐
  192.168.0.11 ─┤    eth0     │                                  ├─ internet: 198.51.100.0/24,
  192.168.0.12 ─┼─ 192.168.0.1                                   │  203.0.113.0/24, 2001:db8:ff::/64
  192.168.0.13 ─┘             └─ eth2 192.168.2.2 ── provider 2 ─┘
  and 2001:db8:a::/64 inside, 2001:db8:1::/64 and 2001:db8:2::/64 on the links"""


class Demo:
    """The steps, in order; `good` is false once anything was not as it should be."""

    def __init__(self, lab):
        self.lab = lab
        self.balancer = Balancer(lab)
        self.config = Config(lab)
        self.good = True
        self.unanswered = 0

    def check(self, good, text):
        self.good &= verdict(good, text)

    def linkbal(self, *words, most=None):
        """Runs a command as an administrator would, and shows it."""
        command(f"linkbal {' '.join(words)}")
        start = time.monotonic()
        done = self.balancer.run(*words)
        taken = time.monotonic() - start
        output(done.stdout + done.stderr, most)
        if done.returncode != 0:
            raise SystemExit(f"linkbal {' '.join(words)} failed: exit {done.returncode}")
        return taken

    def network(self):
        heading("The network, made of network namespaces")
        say(PICTURE)
        self.before = snapshot(self.lab)

    def bring_up(self):
        heading("The how-to's two links, as a configuration")
        self.balancer.write(self.config)
        output(self.config.text())
        heading("What linkbal would do, and doing it")
        self.linkbal("plan", most=16)
        taken = self.linkbal("up")
        self.check(True, f"up in {taken * 1000:.0f} ms")

    def sample(self):
        """The first connections one by one."""
        heading("One client, one server, one connection after the other")
        host, rows = self.lab.hosts[0], []
        for server in (self.lab.servers(4)[0], self.lab.servers(6)[0]):
            with host.entered():
                for _ in range(4):
                    seen = tcp_seen(server)
                    own = host.address6 if ":" in server else host.address4
                    rows.append((own, server, seen, self.lab.nameof(seen)))
        table(("client", "server", "server saw", "link"), rows)

    def shares(self, weights):
        """Real connections of every kind from every host; counts against weights."""
        hosts = f"{HOSTS} hosts"
        say(f"  {COUNT} connections of each kind from {hosts}, and {PINGS} servers pinged by each host;\n"
            "  counted by the servers (TCP, UDP) and by the providers (ping):\n")
        kinds = [(f"{name} over IPv{family}", self._count(who, family))
                 for name, who in (("TCP", tcp_who), ("UDP", udp_who), ("ping", None))
                 for family in (4, 6)]
        total = sum(weights.values())
        rows = []
        fair = True
        for kind, seen in kinds:
            number = sum(seen.values())
            cells = [f"{seen.get(n, 0):>5}  {seen.get(n, 0) / number:6.1%}" for n in weights]
            rows.append((kind, number, *cells))
            fair &= set(seen) <= set(weights) and all(abs(d) <= 4 for d in deviation(seen, weights).values())
        asked = [f"{'':5}  {w / total:6.1%}" for w in weights.values()]
        rows.append(("asked for", "", *asked))
        table(("", "made", *(f"{n}, {self._address(n)}" for n in weights)), rows, right={1})
        say()
        self.check(not self.unanswered, "everything was answered")
        self.check(fair, "every link has the share that its weight asks for")
        self.check(self.lab.spoofed() == 0, "no packet took a link that its address does not belong to")

    def _address(self, name):
        return next(u.address4 for u in self.lab.uplinks if u.name == name)

    def _count(self, who, family):
        """{link: connections}; pings are counted by the providers."""
        if who:
            seen = {}
            for address, number in who(self.lab, COUNT, family).items():
                name = self.lab.nameof(address) or address
                seen[name] = seen.get(name, 0) + number
            return seen
        before = self.lab.echoes(family)
        prefix = "198.51.100." if family == 4 else "2001:db8:ff::"
        answered = ping(self.lab.hosts, [f"{prefix}{n}" for n in range(1, PINGS + 1)])
        after = self.lab.echoes(family)
        seen = {n: after[n] - before[n] for n in after if after[n] > before[n]}
        self.unanswered += PINGS * HOSTS - len(answered)
        return seen

    def download(self):
        heading("A download in two connections, both links shaped to 8 Mbit/s")
        for uplink in self.lab.uplinks:
            self.lab.shape(uplink, RATE)
        host, server = self.lab.hosts[0], self.lab.servers(4)[0]
        one = ranges(host, server, FILE, 1)
        two = ranges(host, server, FILE, 2)
        for uplink in self.lab.uplinks:
            self.lab.unshape(uplink)
        rows = [(n, f"{t:.2f} s", f"{FILE * 8 / t / 1e6:.1f} Mbit/s")
                for n, t in (("one connection", one), ("two connections", two))]
        table(("", "time", "speed"), rows, right={1, 2})
        say()
        self.check(one / two >= 1.9, f"{one / two:.2f} times one link")

    def change_weight(self):
        heading("A weight changes while 100 connections are open and busy")
        self.config.weights = {"velox1": 3, "velox2": 1}
        self.balancer.write(self.config)
        with Busy(self.lab, 100) as busy:
            self.check(not busy.stuck(), f"open: {self._by_link(busy)}")
            say("  velox1 gets weight 3:")
            self.linkbal("plan")
            self.linkbal("up")
            self.check(not busy.stuck(), "every one of them goes on, by the link it was on")
            self.shares(self.config.weights)

    def fail_links(self):
        heading("Links fail, and come back: the daemon watches")
        self.config.weights = {"velox1": 1, "velox2": 1}
        command("linkbal run &")
        with Daemon(self.balancer, self.config) as daemon:
            daemon.probed()
            for way, words in (("carrier", "The cable of velox1 is pulled out:"),
                               ("silent gateway", "The router of velox1 dies, the cable stays:")):
                say(f"\n  {words}")
                self._fail(daemon, WAYS[way](self.lab, self.lab.uplinks[0]))
            say("\n  What it has written:")
            output(daemon.log, 12)
            daemon.stop()

    def _fail(self, daemon, failure):
        """The first link fails while the other one is busy and new connections are tried all the time."""
        good = self.lab.uplinks[1]
        with Attempts(self.lab) as attempts, Steady(self.lab, good) as steady:
            since = time.monotonic()
            failure.fail()
            outage = attempts.recovered(since)
            daemon.wait("velox1", "down")
            self.linkbal("status")
            failure.recover()
            daemon.wait("velox1", "up")
            self.check(outage < 5, f"new connections succeed again after {outage * 1000:.0f} ms")
            self.check(steady.lost() == 0, f"{good.name} has not lost a packet")

    def take_link_away(self):
        heading("A link is taken out of the configuration")
        self.config.weights = {"velox1": 3}
        with Busy(self.lab, 100) as busy:
            self.check(not busy.stuck(), f"open: {self._by_link(busy)}")
            self.balancer.write(self.config)
            self.linkbal("plan", most=10)
            self.linkbal("up")
            lost = {self.lab.nameof(c.seen) for c in busy.stuck(timeout=2)}
            self.check(lost <= {"velox2"}, "no connection of velox1 has noticed")
        seen = {self.lab.nameof(a) for a in tcp_who(self.lab, 200)}
        self.check(seen == {"velox1"}, f"200 new connections, all by {', '.join(sorted(map(str, seen)))}")

    def _by_link(self, busy):
        return ", ".join(f"{n} by {self.lab.nameof(a)}" for a, n in sorted(busy.by_address().items()))

    def bring_down(self):
        heading("And away again")
        self.linkbal("down")
        difference = differences(self.before, snapshot(self.lab))
        output(difference)
        self.check(not difference, "rules, routes, nftables, tc, settings and pins are as they were before")

    def run(self):
        self.network()
        self.bring_up()
        self.sample()
        heading("Many connections of every kind")
        self.shares(self.config.weights)
        self.download()
        heading("What linkbal says")
        self.linkbal("status")
        self.change_weight()
        self.fail_links()
        self.take_link_away()
        self.bring_down()
        say()
        return self.good


def main():
    argparse.ArgumentParser(description=__doc__).parse_args()
    network.remove_on_signals()
    with Lab(hosts=HOSTS, uplinks=2) as lab:
        good = Demo(lab).run()
    if not good:
        say(paint("Something was not as it should be: see ✗ above.", "red"))
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
