# SPDX-License-Identifier: GPL-2.0-or-later
"""What nftables writes to the kernel's log, also from namespaces, which takes a switch of the machine.

    with KernelLog() as log:
        ...
        log.wait("linkbal fragment: ")
"""

import contextlib
import errno
import fcntl
import os

from .wait import waituntil

SWITCH = "/proc/sys/net/netfilter/nf_log_all_netns"
LOCK = "/run/lock/linkbal-tests-nf-log"


class Unreadable(Exception):
    """The reason why there is no log here."""


class KernelLog:
    """Lines from now on; a context manager that turns the switch back. One at a time on a machine."""

    def __init__(self):
        self.lines = []

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            try:
                lock = stack.enter_context(open(LOCK, "w", encoding="ascii"))
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._device = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
                stack.callback(os.close, self._device)
                os.lseek(self._device, 0, os.SEEK_END)
                with open(SWITCH, "r+", encoding="ascii") as switch:
                    before = switch.read().strip()
                    switch.seek(0)
                    switch.write("1")
            except OSError as error:
                raise Unreadable(f"the kernel's log can't be read here: {error}") from error
            stack.callback(_switch, before)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _read(self):
        while True:
            try:
                record = os.read(self._device, 8192).decode(errors="replace")
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.EPIPE:  # overtaken by newer ones
                    continue
                raise
            self.lines.append(record.partition(";")[2].splitlines()[0])

    def starting(self, prefix):
        """Lines that begin with `prefix`."""
        self._read()
        return [line for line in self.lines if line.startswith(prefix)]

    def wait(self, prefix):
        return waituntil(lambda: self.starting(prefix), 5, f"a line of the log that begins with {prefix!r}")


def _switch(value):
    with open(SWITCH, "w", encoding="ascii") as switch:
        switch.write(value)
