# SPDX-License-Identifier: GPL-2.0-or-later
"""Waiting for a condition instead of for a time."""

import time


def waituntil(condition, timeout=10.0, what=None, step=0.02):
    """Returns the first true value of condition(); raises TimeoutError after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            name = what or getattr(condition, "__name__", "condition")
            raise TimeoutError(f"{name}: not true after {timeout} s")
        time.sleep(step)
