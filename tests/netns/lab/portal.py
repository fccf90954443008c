# SPDX-License-Identifier: GPL-2.0-or-later
"""A provider's log-in page: portal.py ADDRESS JOURNAL; prints "ready" when it answers.

As a program it runs at the provider: GET /login takes the provider's block away and writes the
client's address into the journal. As a module:

    portal = Portal(lab, uplink)
    portal.logged_in()         # the addresses that did

Each provider has its page at the same address, so that nothing but the way out decides who is
logged in where.
"""

import http.server
import socketserver
import subprocess
import sys

ADDRESS = "192.0.2.1"


class Login(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        good = self.path == "/login"
        if good:
            with open(sys.argv[2], "a", encoding="utf-8") as journal:
                journal.write(self.client_address[0] + "\n")
            subprocess.run(["nft", "delete", "table", "inet", "portal"], check=False,
                           stderr=subprocess.DEVNULL)
        self.send_response(200 if good else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Portal:
    """The page of one provider, which blocks its customer until it was fetched."""

    def __init__(self, lab, uplink):
        self._journal = f"{lab.directory}/portal-{uplink.number}"
        self._router = uplink.router
        uplink.router.run("ip", "addr", "add", f"{ADDRESS}/32", "dev", "lo")
        self.block()
        process = uplink.router.popen(sys.executable, __file__, ADDRESS, self._journal,
                                      stdout=subprocess.PIPE, text=True)
        lab.processes.append(process)
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"{uplink.name}: the portal did not start")

    def block(self):
        self._router.nft("""
            table inet portal {
                chain forward {
                    type filter hook forward priority -15; policy drop;
                }
            }""")

    def logged_in(self):
        try:
            with open(self._journal, encoding="utf-8") as file:
                return file.read().split()
        except FileNotFoundError:
            return []


def main():
    # HTTPServer would ask DNS for its own name first.
    server = socketserver.ThreadingTCPServer((sys.argv[1], 80), Login)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
