# SPDX-License-Identifier: GPL-2.0-or-later
"""Carries packets between two tun devices: shovel.py DESCRIPTOR DESCRIPTOR."""

import os
import select
import sys


def main():
    first, second = map(int, sys.argv[1:3])
    other = {first: second, second: first}
    poll = select.poll()
    for end in other:
        os.set_blocking(end, False)
        poll.register(end, select.POLLIN)
    while True:
        for end, _ in poll.poll():
            try:
                os.write(other[end], os.read(end, 65536))
            except BlockingIOError:
                pass
            except OSError:  # the other device is down: the packet is lost, as on a wire
                pass


if __name__ == "__main__":
    main()
