# SPDX-License-Identifier: GPL-2.0-or-later
"""The firewall of the program under test: its configuration, and its counters.

    wall = Firewall(lab)
    wall.up(ping=["lan", "uplinks"], allow=[{"service": ["ssh"]}])
    with wall.counted("input"):
        ...
    Drops(lab).counters()  # of any other Balancer
"""

import contextlib
import json

from .balancer import Balancer, Config
from .wait import waituntil


class Drops:
    """The firewall's counters in a lab's gateway, whatever has brought it up."""

    def __init__(self, lab):
        self.lab = lab

    def counters(self):
        """{"input" and so on: packets}"""
        return counters(self.lab)

    @contextlib.contextmanager
    def counted(self, name, least=1):
        """What is done inside makes the counter go up."""
        before = self.counters()[name]
        yield
        waituntil(lambda: self.counters()[name] >= before + least, 5,
                  f"{least} packets more than {before} in fw_{name}")

    @contextlib.contextmanager
    def quiet(self, *names):
        """What is done inside leaves the counters as they are."""
        before = self.counters()
        yield
        after = self.counters()
        moved = {n: after[n] - before[n] for n in names or before if after[n] != before[n]}
        assert not moved, f"dropped: {moved}"


class Firewall(Balancer, Drops):
    """A Balancer with [firewall]."""

    def __init__(self, lab, path=None, **options):
        """options   further ones of every Config"""
        super().__init__(lab, path)
        self._options, self._last = options, None

    def configured(self, allow=(), forward=(), helpers=None, **keys):
        """A Config; keys are those of [firewall]."""
        sections = {"firewall": keys}
        for name, tables in (("firewall.allow", allow), ("forward", forward), ("helpers", helpers)):
            if tables:
                sections[name] = tables
        return Config(self.lab, sections=sections, **self._options)

    def up(self, config=None, **keys):
        """Nothing is done where the same is up already."""
        config = config or self.configured(**keys)
        text = config if isinstance(config, str) else config.text()
        if text != self._last:
            self._last = None
            super().up(text)
            self._last = text


def counters(lab):
    text = lab.gateway.output("nft", "-j", "list", "counters", "table", "inet", lab.instance)
    found = [o["counter"] for o in json.loads(text)["nftables"] if "counter" in o]
    return {c["name"].removeprefix("fw_"): c["packets"] for c in found if c["name"].startswith("fw_")}
