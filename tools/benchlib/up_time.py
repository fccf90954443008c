# SPDX-License-Identifier: GPL-2.0-or-later
"""How long `linkbal up` takes: from scratch, and when nothing has to be changed."""

import statistics
import time

from .contenders import configuration_file, linkbal_command, linkbal_configuration, linkbal_down
from .lab import IPV4, Lab, run

REPEATS = 5


def timed(command):
    start = time.monotonic()
    run(*command)
    return time.monotonic() - start


def measure_one(uplinks):
    with Lab(f"up{uplinks}", uplinks, (IPV4,)) as lab:
        configuration_file(lab).write_text(linkbal_configuration(lab, "classify"))
        first, again = [], []
        try:
            for _ in range(REPEATS):
                first.append(timed(linkbal_command(lab, "up")))
                again.append(timed(linkbal_command(lab, "up")))
                run(*linkbal_command(lab, "down"))
        finally:
            linkbal_down(lab)
    return {"uplinks": uplinks, "up_seconds": statistics.median(first),
            "unchanged_up_seconds": statistics.median(again)}


def measure():
    return [measure_one(uplinks) for uplinks in (2, 250)]
