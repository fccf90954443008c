# SPDX-License-Identifier: GPL-2.0-or-later
"""What a person sees: headings, commands, tables. Colour only on a terminal."""

import os
import sys

COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
CODES = {"bold": "1", "dim": "2", "green": "32", "red": "31", "cyan": "36"}


def paint(text, style):
    return f"\x1b[{CODES[style]}m{text}\x1b[0m" if COLOUR else text


def heading(text):
    print(f"\n{paint(text, 'bold')}\n{paint('─' * len(text), 'dim')}")


def say(text=""):
    print(text, flush=True)


def command(words):
    """A command as typed on the gateway."""
    print(f"  {paint('gateway#', 'dim')} {paint(words, 'cyan')}")


def output(text, most=None):
    """A command's output, indented; at most `most` lines."""
    lines = text.rstrip().splitlines()
    for line in lines[:most]:
        print(f"    {line}")
    if most and len(lines) > most:
        print(paint(f"    ... and {len(lines) - most} lines more", "dim"))


def verdict(good, text):
    """One line of result; returns `good`."""
    print(f"  {paint('✓', 'green') if good else paint('✗', 'red')} {text}", flush=True)
    return good


def table(header, rows, right=()):
    """Columns as wide as their widest cell; those numbered in `right` are aligned right."""
    widths = [max(len(str(row[n])) for row in [header, *rows]) for n in range(len(header))]

    def line(row):
        cells = [str(c).rjust(w) if n in right else str(c).ljust(w)
                 for n, (c, w) in enumerate(zip(row, widths))]
        return "  " + "   ".join(cells).rstrip()

    print(paint(line(header), "bold"))
    for row in rows:
        print(line(row))
    sys.stdout.flush()
