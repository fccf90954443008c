# SPDX-License-Identifier: GPL-2.0-or-later
"""The picture for the README, made of the figures that --json keeps: bars for the ways at 1,000
connections, curves over the number of connections. SVG, with a background of its own, so that it can
be read on dark pages too."""

import math
from xml.etree import ElementTree

WIDTH, HEIGHT = 860, 392
BACKGROUND, INK, FAINT, GRID = "#ffffff", "#1f2328", "#59636e", "#d8dee4"
FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"

# Contender -> label and colour, in this order; who is not named here is not drawn.
WAYS = {
    "classic": ("classic iptables", "#8c959f"),
    "nftables": ("nftables", "#57606a"),
    "classify": ("linkbal, classify", "#54aeff"),
    "tc": ("linkbal, tc", "#1a7f37"),
    "xdp": ("linkbal, XDP", "#bc4c00"),
    "redirect": ("XDP redirect, the limit", "#afb8c1"),
}


class Canvas:
    def __init__(self, title):
        self.root = ElementTree.Element(
            "svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH} {HEIGHT}",
            width=str(WIDTH), height=str(HEIGHT), role="img")
        ElementTree.SubElement(self.root, "title").text = title
        self.add("rect", x=0.5, y=0.5, width=WIDTH - 1, height=HEIGHT - 1, rx=8, fill=BACKGROUND,
                 stroke=GRID)

    def add(self, shape, **attributes):
        return ElementTree.SubElement(self.root, shape, {
            name.replace("_", "-"): f"{value:.1f}" if isinstance(value, float) else str(value)
            for name, value in attributes.items()})

    def text(self, x, y, words, *, size=13, fill=INK, anchor="start", weight="normal"):
        self.add("text", x=x, y=y, fill=fill, font_family=FONT, font_size=size, font_weight=weight,
                 text_anchor=anchor).text = words

    def line(self, x1, y1, x2, y2):
        self.add("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=GRID, stroke_width=1)

    def write(self, path):
        ElementTree.indent(self.root, " ")
        path.write_text(ElementTree.tostring(self.root, encoding="unicode") + "\n")


def rate(line):
    """Millions of packets a second, None without a valid round."""
    found = line["packets_per_second"]
    return found and found["median"] / 1e6


def bars(figures):
    """Contender name -> rate, in the order of WAYS."""
    lines = figures["packets"].get("packets", {})
    found = {name: rate(lines[name][0]) for name in WAYS if lines.get(name)}
    return {name: value for name, value in found.items() if value}


def curves(figures):
    """Contender name -> [(flows, rate)], by flows."""
    found = {name: sorted((line["flows"], rate(line)) for line in lines if rate(line))
             for name, lines in figures["packets"].get("flows", {}).items()}
    return {name: found[name] for name in WAYS if found.get(name)}


def ceiling(values):
    """A round number above all of them."""
    highest = max(values, default=1)
    step = 10 ** math.floor(math.log10(highest))
    return next(step * factor for factor in (1, 1.5, 2, 3, 4, 5, 7.5, 10) if step * factor >= highest)


def draw_bars(canvas, values, left, top, width, height):
    canvas.text(left, top, "1,000 connections, Mpackets/s on one core", weight="600")
    label, figure = 158, 44
    scale = (width - label - figure) / max(values.values(), default=1)
    step = height / max(len(values), 1)
    for place, (name, value) in enumerate(values.items()):
        words, colour = WAYS[name]
        y = top + 18 + place * step
        canvas.text(left + label - 8, y + step / 2 + 1.0, words, anchor="end")
        canvas.add("rect", x=left + label, y=y + step * 0.12, width=value * scale,
                   height=step * 0.6, rx=2, fill=colour)
        canvas.text(left + label + value * scale + 6, y + step / 2 + 1.0, f"{value:.2f}")


def flows_label(flows):
    return f"{flows // 1_000_000} M" if flows >= 1_000_000 else f"{flows:,}"


def draw_curves(canvas, values, left, top, width, height):
    canvas.text(left, top, "Mpackets/s by number of connections", weight="600")
    flows = sorted({n for points in values.values() for n, _ in points})
    highest = ceiling([y for points in values.values() for _, y in points])
    bottom, axis = top + 18 + height, left + 34

    def x_of(n):
        # Sizes lie far apart, and what happens happens at the large ones: a place each.
        return axis + 14 + flows.index(n) * (width - 62) / max(len(flows) - 1, 1)

    def y_of(value):
        return bottom - value / highest * height

    for part in range(5):
        value = highest * part / 4
        canvas.line(axis, y_of(value), left + width, y_of(value))
        canvas.text(axis - 6, y_of(value) + 4, f"{value:.2g}", size=12, fill=FAINT, anchor="end")
    for n in flows:
        canvas.text(x_of(n), bottom + 18, flows_label(n), size=12, fill=FAINT, anchor="middle")
    for name, points in values.items():
        colour = WAYS[name][1]
        canvas.add("polyline", points=" ".join(f"{x_of(n):.1f},{y_of(y):.1f}" for n, y in points),
                   fill="none", stroke=colour, stroke_width=2.5)
        for n, y in points:
            canvas.add("circle", cx=x_of(n), cy=y_of(y), r=3.5, fill=colour)


def draw_legend(canvas, names, left, top, width):
    step = width / 3
    for place, name in enumerate(names):
        words, colour = WAYS[name]
        x, y = left + place % 3 * step, top + place // 3 * 20
        canvas.add("rect", x=x, y=y - 9, width=10, height=10, rx=2, fill=colour)
        canvas.text(x + 15, y, words, size=12, fill=FAINT)


def draw(figures, path):
    machine = figures["machine"]
    canvas = Canvas("Packets per second through the gateway, by way and by number of connections")
    height = 230
    by_flows = curves(figures)
    draw_bars(canvas, bars(figures), 24, 34, 390 if by_flows else WIDTH - 48, height)
    if by_flows:  # a run of the part `flows` has them
        draw_curves(canvas, by_flows, 446, 34, 390, height)
    draw_legend(canvas, by_flows or bars(figures), 24, 328, WIDTH - 48)
    canvas.text(24, 376, "60-byte UDP, IPv4; generator, gateway and receiver share one core of "
                f"{machine['cpu_model']}, Linux {machine['kernel']}, veth", size=12, fill=FAINT)
    canvas.write(path)
