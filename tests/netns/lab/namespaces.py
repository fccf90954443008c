# SPDX-License-Identifier: GPL-2.0-or-later
"""Network namespaces: commands, sockets and devices inside them, and their removal.

Commands run through `nsenter --net`, never through `ip netns exec`: the latter mounts a new /sys,
and what is pinned below /sys/fs/bpf would be lost with the command.
"""

import contextlib
import ctypes
import fcntl
import os
import re
import shutil
import signal
import struct
import subprocess
import sys

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000

RUN_NETNS = "/run/netns"
# Names of namespaces and instances: lb, the process that made them, a counter.
LAB_NAME = re.compile(r"^lb-(\d+)-(\d+)(?:[-.].*)?$")

_libc = ctypes.CDLL(None, use_errno=True)


class CommandError(RuntimeError):
    """A command that should have worked did not."""


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _setns(descriptor):
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Namespace:
    """A network namespace with a name below /run/netns."""

    def __init__(self, name):
        self.name = name
        self.path = f"{RUN_NETNS}/{name}"
        _command(["ip", "netns", "add", name])
        self.batch("link set lo up")
        # Without this an IPv6 address takes a second or two before it may be used.
        self.sysctl(**{"ipv6/conf/all/accept_dad": 0, "ipv6/conf/default/accept_dad": 0})

    def command(self, *words):
        """The words of a command, as run in this namespace."""
        return ["nsenter", f"--net={self.path}", *map(str, words)]

    def run(self, *words, check=True, timeout=60, **options):
        """Runs a command here; returns a CompletedProcess with text output."""
        return _command(self.command(*words), check=check, timeout=timeout, **options)

    def output(self, *words, **options):
        return self.run(*words, **options).stdout

    def popen(self, *words, **options):
        """Starts a process here that dies with this one."""
        return subprocess.Popen(self.command(*words), preexec_fn=_die_with_parent, **options)

    def batch(self, text, tool="ip"):
        """Runs lines of `ip`, `tc` or `bridge` commands in one process."""
        _command([tool, "-n", self.name, "-batch", "-"], input=text)

    def nft(self, text):
        self.run("nft", "-f", "-", input=text)

    @contextlib.contextmanager
    def entered(self):
        """The calling thread is in the namespace; sockets made there stay there."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        inside = os.open(self.path, os.O_RDONLY)
        try:
            _setns(inside)
            try:
                yield self
            finally:
                _setns(before)
        finally:
            os.close(inside)
            os.close(before)

    def read(self, path):
        """The text of a file of /proc/net or /proc/sys/net as seen from here."""
        with self.entered(), open(path, encoding="ascii") as file:
            return file.read()

    def sysctl(self, **values):
        """Sets values of /proc/sys/net: sysctl(**{"ipv4/ip_forward": 1})."""
        with self.entered():
            for key, value in values.items():
                with open(f"/proc/sys/net/{key}", "w", encoding="ascii") as file:
                    file.write(str(value))

    def tun(self, name):
        """Makes a tun device here (no Ethernet header); returns its file descriptor."""
        with self.entered():
            descriptor = os.open("/dev/net/tun", os.O_RDWR)
            request = struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI)
            fcntl.ioctl(descriptor, TUNSETIFF, request)
        return descriptor


def veth(first, first_name, second, second_name):
    """Connects two namespaces by a veth pair."""
    first.batch(f"link add {first_name} type veth peer name {second_name} netns {second.name}")


def tun_pair(first, first_name, second, second_name):
    """Connects two namespaces by a pair of tun devices; returns the process in between."""
    ends = [first.tun(first_name), second.tun(second_name)]
    shovel = os.path.join(os.path.dirname(__file__), "shovel.py")
    process = subprocess.Popen([sys.executable, shovel, *map(str, ends)], pass_fds=ends,
                               preexec_fn=_die_with_parent)
    for end in ends:
        os.close(end)
    return process


def _command(words, check=True, timeout=60, **options):
    done = subprocess.run(words, text=True, timeout=timeout, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, preexec_fn=_die_with_parent, **options)
    if check and done.returncode != 0:
        raise CommandError(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def remove(name):
    """Removes a namespace and whatever still runs in it."""
    if not os.path.exists(f"{RUN_NETNS}/{name}"):
        return
    pids = _command(["ip", "netns", "pids", name], check=False).stdout.split()
    for pid in map(int, pids):
        if pid != os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    _command(["ip", "netns", "delete", name], check=False)


def remove_instance(instance):
    """Removes what a balancer may have left outside of its namespace."""
    for path in (f"/sys/fs/bpf/{instance}", f"/run/{instance}"):
        shutil.rmtree(path, ignore_errors=True)
    for folder in ("/etc/iproute2/rt_tables.d", "/run", "/run/lock"):
        for name in _names(folder):
            if name.startswith((f"{instance}.", f"{instance}-")) or name == instance:
                with contextlib.suppress(OSError):
                    os.unlink(f"{folder}/{name}")


def reap():
    """Removes what labs of processes that no longer exist have left behind."""
    for folder in (RUN_NETNS, "/run", "/sys/fs/bpf", "/etc/iproute2/rt_tables.d", "/tmp"):
        for name in _names(folder):
            match = LAB_NAME.match(name)
            if match and not os.path.exists(f"/proc/{match[1]}"):
                if folder == RUN_NETNS:
                    remove(name)
                if folder == "/tmp":
                    shutil.rmtree(f"/tmp/{name}", ignore_errors=True)
                remove_instance(f"lb-{match[1]}-{match[2]}")


def _names(folder):
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
