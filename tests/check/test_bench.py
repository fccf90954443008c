# SPDX-License-Identifier: GPL-2.0-or-later
"""What tools/bench makes of its samples: which rounds count, ratios, goals, the picture. No root."""
import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from benchlib import contenders, goals, lab, picture, report  # noqa: E402
from benchlib.measure import Case, Failed, Round  # noqa: E402

CONTENDERS = {c.name: c for c in contenders.CONTENDERS}
SECOND = 1_000_000_000


def sample(rate, cores=1, received=None, flows=(500, 500), missing=0, repeated=0):
    core = {"sent": rate, "wall_ns": 2 * SECOND, "cpu_ns": SECOND, "instructions": None, "cycles": None}
    total = rate * cores if received is None else received
    return {"cores": [core] * cores, "received": [total // 2, total - total // 2], "answers": 0,
            "census": {"flows": list(flows), "missing": missing, "repeated": repeated}}


def made(name, rate, case=Case(), fast=None, **changes):
    counters = {"FORWARDED": rate * case.cores, "XDP": rate * case.cores} | (fast or {})
    return Round(sample(rate, case.cores, **changes), CONTENDERS[name], case,
                 counters if CONTENDERS[name].fast else None)


def test_rates_are_of_processor_time_and_of_elapsed_time():
    each = made("classic", 1000)
    assert (each.problem, each.rate, each.wall_rate) == (None, 1000, 500)


@pytest.mark.parametrize("name, changes, problem", [
    ("classic", {"received": 990}, "packets lost"),
    ("classic", {"missing": 1}, "did not arrive"),
    ("classic", {"repeated": 1}, "more than one uplink"),
    ("classic", {"flows": (1000, 0)}, "1 uplinks carried traffic"),
    ("classic", {"flows": (900, 100)}, "flows per uplink"),
    ("plain", {}, "2 uplinks carried traffic"),
    ("tc", {"fast": {"FORWARDED": 700}}, "only 70.0% of the packets"),
    ("xdp", {"fast": {"XDP": 0}}, "only 0.0% of the packets"),
])
def test_a_round_that_says_nothing_is_not_used(name, changes, problem):
    assert problem in made(name, 1000, **changes).problem


def table(rates):
    """Contender name -> case -> one round of that rate."""
    return report.summary({name: {case: [made(name, rate, case)] for case, rate in cases.items()}
                           for name, cases in rates.items()})


ONE, TWO, IPV6 = Case(), Case(cores=2), Case(family=lab.IPV6)


def figures():
    packets = table({"classic": {ONE: 100}, "redirect": {ONE: 1000}, "tc": {ONE: 200},
                     "xdp": {ONE: 800, TWO: 760, IPV6: 720}})
    flows = {"xdp": [line | {"flows": size} for line, size in
                     zip(table({"xdp": {ONE: 800, TWO: 600}})["xdp"], (1000, 1_000_000))]}
    return {"machine": {"cpu_model": "a <processor>", "kernel": "6.1"},
            "packets": {"packets": packets, "flows": flows}}


def test_two_cores_are_compared_by_elapsed_time_and_in_all():
    two = figures()["packets"]["packets"]["xdp"][1]
    assert two["against_first"]["median"] == pytest.approx(1.9)


def test_goals_are_those_that_were_measured():
    found = {each["measure"]: each["ratio"]["median"] for each in goals.measured(figures())}
    assert found["xdp, 1,000 flows, against classic"] == pytest.approx(8)
    assert found["xdp, 1,000 flows, against bare XDP redirect"] == pytest.approx(0.8)
    assert found["IPv6 against IPv4, xdp"] == pytest.approx(0.9)
    assert not any("bulk" in title for title in found)


def test_a_failed_round_leaves_its_partner_out():
    rounds = {"classic": {ONE: [made("classic", 100), made("classic", 100)]},
              "tc": {ONE: [Failed("no"), made("tc", 300)]}}
    line = report.summary(rounds)["tc"][0]
    assert (line["valid_rounds"], line["against"]["classic"]["median"]) == (1, 3)


@pytest.mark.parametrize("without", [(), ("flows",), ("packets",), ("packets", "flows")])
def test_the_picture_is_made_of_what_there_is(tmp_path, without):
    known = json.loads(json.dumps(figures()))
    known["packets"] = {name: each for name, each in known["packets"].items() if name not in without}
    picture.draw(known, tmp_path / "a.svg")
    words = "".join(ElementTree.parse(tmp_path / "a.svg").getroot().itertext())
    assert "a <processor>" in words
    assert ("linkbal, XDP" in words) == (len(without) < 2)


def test_the_last_run_gives_the_room_for_connections_back(tmp_path, monkeypatch):
    monkeypatch.setattr(lab.ConntrackRoom, "DIRECTORY", tmp_path)
    monkeypatch.setattr(lab.ConntrackRoom, "setting", staticmethod(lambda name: tmp_path / name))
    settings = [tmp_path / name for name in lab.ConntrackRoom.SETTINGS]
    for each in settings:
        each.write_text("100\n")

    def values():
        return {each.read_text().strip() for each in settings}

    first, second = lab.ConntrackRoom(500), lab.ConntrackRoom(900)
    first.file, second.file = (tmp_path / f"lbbench-{n}-conntrack" for n in (1, 2))
    with second:
        with first:
            pass
        assert values() == {"900"}
    assert values() == {"100"}
    first.__enter__()
    second.__enter__()
    first.__exit__()
    assert values() == {"900"}
    second.__exit__()
    assert values() == {"100"}
