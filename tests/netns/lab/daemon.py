# SPDX-License-Identifier: GPL-2.0-or-later
"""`linkbal run` inside the gateway of a lab.

    with Daemon(balancer, Config(lab)) as daemon:
        daemon.wait("velox1", "down")
        print(daemon.log)
"""

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import threading
import time

from .wait import waituntil

_counter = itertools.count(1)


class Daemon:
    """The running program; it is ready when the context manager is entered.

    config       a Config or text to be written first; None leaves the file alone
    words        further words of the command
    prefix       a command in front: ("setpriv", ...)
    notify       whether there is a NOTIFY_SOCKET
    environment  further variables, such as WATCHDOG_USEC
    """

    def __init__(self, balancer, config=None, *words, prefix=(), notify=True, environment=None):
        self.balancer, self.lab = balancer, balancer.lab
        if config is not None:
            balancer.write(config)
        name = f"{self.lab.directory}/daemon-{next(_counter)}"
        self.log_path, self.notify_path = f"{name}.log", f"{name}.notify"
        self.notified = []  # of (moment, text), as they came
        self._command = [*prefix, *balancer.words("run", *words)]
        self._environment = {k: v for k, v in os.environ.items()
                             if k not in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")}
        self._environment.update(environment or {})
        self._socket = None
        self.process = None
        if notify:
            self._environment["NOTIFY_SOCKET"] = self.notify_path

    def __enter__(self):
        try:
            self.start()
            self.ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def start(self):
        """Starts it, without waiting for anything. Only from the main thread: it dies with its parent."""
        if "NOTIFY_SOCKET" in self._environment:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.bind(self.notify_path)
            threading.Thread(target=self._listen, args=(self._socket,), daemon=True).start()
        with open(self.log_path, "wb") as log:
            self.process = self.lab.gateway.popen(*self._command, env=self._environment,
                                                  stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.lab.processes.append(self.process)

    def _listen(self, end):
        """All the time, for a daemon must not wait for a full socket."""
        with contextlib.suppress(OSError):
            while data := end.recv(4096):
                self.notified.append((time.monotonic(), data.decode()))

    def ready(self, timeout=20):
        if self._socket:
            self._await(lambda: self.said("READY=1"), "READY=1", timeout)
        else:
            self._await(lambda: "health" in self.uplinks().get("velox1", {}), "status knows of health", timeout)

    def said(self, word):
        """How many notifications had this line."""
        return sum(word in text.splitlines() for _, text in list(self.notified))

    def _await(self, condition, what, timeout):
        def over():
            if self.process.poll() is not None:
                raise RuntimeError(f"run: exit {self.process.returncode}\n{self.log}")
            return condition()
        try:
            return waituntil(over, timeout, what)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.log}") from None

    @property
    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def uplinks(self):
        """{name: what `status --json` says of it}"""
        try:
            return {u["name"]: u for u in self.balancer.json("status")["uplinks"]}
        except AssertionError:  # before the first `up`
            return {u.name: {} for u in self.lab.uplinks}

    def states(self):
        return {name: uplink.get("state") for name, uplink in self.uplinks().items()}

    def wait(self, name, state, timeout=15):
        """Waits for the state of an uplink; returns what `status` says of it then."""
        def reached():
            uplink = self.uplinks().get(name, {})
            return uplink if uplink.get("state") == state else None
        return self._await(reached, f"{name} is {state}", timeout)

    def probed(self, timeout=15):
        """Waits until every link has answered probes: a gateway that never has says nothing about its
        link when it falls silent."""
        def answered():
            known = [h for u in self.uplinks().values() for h in u.get("health", {}).values() if h]
            return known and all(h["latency_ms"] is not None for h in known)
        self._await(answered, "every link has answered probes", timeout)

    def wait_log(self, text, count=1, timeout=15):
        """Waits until the log has a text `count` times."""
        self._await(lambda: self.log.count(text) >= count, f"{count} times '{text}' in the log", timeout)

    def hup(self):
        self.process.send_signal(signal.SIGHUP)

    def stop(self, timeout=20):
        """SIGTERM; returns the exit status."""
        self.process.terminate()
        return self.ended(timeout)

    def ended(self, timeout=20):
        """Waits for its end; returns the exit status."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"{error}\n{self.log}") from None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()
        if self._socket:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None

    def cpu_seconds(self):
        """Processor time that all of its threads have had so far, to the nanosecond."""
        total = 0
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{thread}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
        return total / 1e9

    def resident(self):
        """Bytes of memory that it has at this moment."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS"))

    def descriptors(self):
        """{descriptor: what it is}"""
        folder = f"/proc/{self.process.pid}/fd"
        found = {}
        for name in os.listdir(folder):
            with contextlib.suppress(OSError):
                found[name] = os.readlink(f"{folder}/{name}")
        return found
