# SPDX-License-Identifier: GPL-2.0-or-later
"""Shares of connections against weights."""

import math


def deviation(shares, weights):
    """{name: distance from the expected number, in standard deviations of independent picks}"""
    total, weight = sum(shares.get(n, 0) for n in weights), sum(weights.values())
    result = {}
    for name, own in weights.items():
        p = own / weight
        spread = math.sqrt(total * p * (1 - p)) or 1.0
        result[name] = (shares.get(name, 0) - total * p) / spread
    return result


def describe(shares, weights):
    """One line for a person: what was asked for, what was seen."""
    total, weight = sum(shares.values()) or 1, sum(weights.values())
    return ", ".join(f"{n}: {shares.get(n, 0)} = {shares.get(n, 0) / total:.1%} "
                     f"(weight {w} = {w / weight:.1%})" for n, w in weights.items())
