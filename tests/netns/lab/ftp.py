# SPDX-License-Identifier: GPL-2.0-or-later
"""A real FTP server (vsftpd) in a namespace, and a real client (curl).

    with FtpServer(lab, lab.internet) as server:
        assert fetch(lab.hosts[0], "198.51.100.10", ACTIVE) == server.content
"""

import os
import subprocess
import tempfile

from .wait import waituntil

# Options of curl; each is another command of FTP.
ACTIVE, ACTIVE_PORT = ("--ftp-port", "-"), ("--ftp-port", "-", "--disable-eprt")
PASSIVE, PASSIVE_PASV = (), ("--disable-epsv",)

# Data connections from another address than the control connection's are refused (promiscuous).
SETTINGS = """
listen=NO
listen_ipv6=YES
background=NO
listen_port={port}
anonymous_enable=YES
anon_root={root}
no_anon_password=YES
secure_chroot_dir={empty}
seccomp_sandbox=NO
connect_from_port_20=YES
pasv_enable=YES
port_enable=YES
pasv_promiscuous=NO
port_promiscuous=NO
connect_timeout=3
accept_timeout=3
xferlog_enable=NO
"""


class FtpServer:
    """vsftpd with one file, `content`, for everybody; a context manager."""

    def __init__(self, lab, space, port=21):
        self._space, self._port = space, port
        folder = tempfile.mkdtemp(prefix="ftp-", dir=lab.directory)
        os.chmod(folder, 0o755)
        root, empty = f"{folder}/root", f"{folder}/empty"
        for made in (root, empty):
            os.mkdir(made, 0o755)
        self.content = os.urandom(100_000).hex()
        with open(f"{root}/file", "w", encoding="ascii") as file:
            file.write(self.content)
        self._settings = f"{folder}/vsftpd.conf"
        with open(self._settings, "w", encoding="ascii") as file:
            file.write(SETTINGS.format(port=port, root=root, empty=empty))

    def __enter__(self):
        self._process = self._space.popen("vsftpd", self._settings, stdout=subprocess.DEVNULL)
        waituntil(lambda: f":{self._port} " in self._space.output("ss", "-tlnH"), what="vsftpd listens")
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()


def fetch(space, server, options=PASSIVE, port=21, source=None, patience=10):
    """The file, or what curl says of its failure."""
    literal = f"[{server}]" if ":" in server else server
    words = ["curl", "--silent", "--show-error", "--max-time", patience, *options]
    if source:
        words += ["--interface", source]
    done = space.run(*words, f"ftp://{literal}:{port}/file", check=False)
    return done.stdout if done.returncode == 0 else f"failed: {done.stderr.strip()}"
