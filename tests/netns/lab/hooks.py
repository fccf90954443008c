# SPDX-License-Identifier: GPL-2.0-or-later
"""A hook for [hooks] on_change that writes down how it was called."""

import os

from .wait import waituntil

SCRIPT = """#!/bin/sh
# One write, so that hooks beside each other do not mix their lines.
facts=$(env | sed -n 's/^LINKBAL_//p' | tr '\\n' '\\t')
printf '%s\\n' "$facts" >> "$1"
"""


def script(lab, name, text):
    """An executable file in the lab's directory; returns its path."""
    path = f"{lab.directory}/{name}"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, 0o755)
    return path


class Hook:
    """`words` is the value of on_change."""

    def __init__(self, lab):
        self.path = f"{lab.directory}/hooks"
        self.words = [script(lab, "hook", SCRIPT), self.path]

    def calls(self):
        """A list of {"UPLINK": "velox1", "STATE": "down" ...}, in order, LINKBAL_ left away."""
        try:
            with open(self.path, encoding="utf-8") as file:
                return [dict(fact.split("=", 1) for fact in line.rstrip("\n").split("\t") if fact)
                        for line in file]
        except FileNotFoundError:
            return []

    def wait(self, timeout=10, **facts):
        """Waits for a call with such facts: wait(UPLINK="velox1", STATE="down"); returns it."""
        def called():
            return next((c for c in self.calls() if facts.items() <= c.items()), None)
        try:
            return waituntil(called, timeout, f"a hook with {facts}")
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {self.calls()}") from None
