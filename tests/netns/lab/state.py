# SPDX-License-Identifier: GPL-2.0-or-later
"""What must be the same again after a repair or a flap: a snapshot without what a new making changes.

Handles, indices, identifiers and MAC addresses are other ones then, and rules of one priority may
have changed places.
"""

import re

from .snapshot import differences, snapshot
from .wait import waituntil

SECTIONS = ("rules", "rules6", "routes", "routes6", "nexthops", "nft", "qdiscs", "programs", "sysctls",
            "rt_tables.d", "pins")
NEW = re.compile(r" # handle \d+|\[[\d, ]+\]|\bid \d+|\btag \w+|\bjited\b")


def state(lab):
    taken = snapshot(lab)
    for name in ("routes", "routes6"):  # `ip route` shows both families of all tables
        taken[name] = re.sub(r".*fe80.*\n", "", taken[name])
    taken["sysctls"] = re.sub(r".*/neigh/.*\n", "", taken["sysctls"])
    for name in ("nft", "programs"):
        taken[name] = NEW.sub("", taken[name])
    for name in ("rules", "rules6", "routes", "routes6", "qdiscs", "sysctls"):
        taken[name] = "\n".join(sorted(taken[name].splitlines()))
    return {name: taken[name] for name in SECTIONS}


def wait_same(lab, before, timeout=15):
    """Waits until the state is the same as before; the difference is in the error."""
    last = [""]

    def same():
        last[0] = differences(before, state(lab))
        return not last[0]
    try:
        waituntil(same, timeout, "the same state", step=0.1)
    except TimeoutError as error:
        raise TimeoutError(f"{error}:\n{last[0]}") from None
