"""The benchmarks' arithmetic and plan. What they measure is no test's business."""

from dataclasses import asdict
from pathlib import Path

import pytest

from tests.bench import sides
from tests.bench.goals import OURS, goals
from tests.bench.plan import CORES, FAMILIES, candidates, cells
from tests.bench.report import markdown
from tests.bench.rounds import Cell, Round, difference, ratio, spread
from tests.http_load import Exchange
from tests.soak.gateway_long import slope, summary

MEGABYTE = 1e6
STORE, VERSION = Path("store"), Path("store/fashion/1")


def seen(rate: float, p50_s: float = 0.001, p99_s: float = 0.01, rows: int = 1) -> Round:
    return Round(rate, rate * rows, 0, p50_s, p99_s, {"server": 0.001})


def rate(one: Round) -> float:
    return one.rate


def test_a_spread_is_the_median_and_the_extremes() -> None:
    found = spread([seen(30), seen(10), seen(20)], rate)
    assert (found.median, found.low, found.high) == (20, 10, 30)
    assert found.show() == "20 (10–30)"


def test_ratios_are_taken_round_by_round() -> None:
    """A slow moment that both sides shared does not show."""
    found = ratio([seen(100), seen(10)], [seen(200), seen(20)], rate)
    assert (found.low, found.high) == (0.5, 0.5)


def test_differences_are_taken_round_by_round() -> None:
    found = difference([seen(3), seen(13)], [seen(1), seen(11)], rate)
    assert (found.low, found.high) == (2, 2)


def test_a_goal_is_judged_by_the_quickest_floor() -> None:
    slow, quick = "floor: Flask, sync, request.get_json, 2", "floor: Flask, gevent, request.get_json, 1"
    rounds = {Cell(OURS, "json 1", 16): [seen(400)], Cell(slow, "json 1", 16): [seen(500)]}
    rounds[Cell(quick, "json 1", 16)] = [seen(1000)]
    [[what, asked, was, verdict]] = goals({"tried": []}, rounds)
    assert quick in what
    assert (asked, was, verdict) == ("≥ 0.5", "0.40 (0.40–0.40)", "**missed**")


def test_a_floor_with_another_parser_is_no_goal() -> None:
    rounds = {Cell(OURS, "json 1", 16): [seen(400)], Cell("floor: Flask, gevent, orjson, 1", "json 1", 16): [seen(9e9)]}
    assert goals({"tried": []}, rounds) == []


def test_latency_beyond_a_direct_call_is_a_goal_in_milliseconds() -> None:
    rounds = {Cell(OURS, "json 1", 1): [seen(1, p50_s=0.003)], Cell(OURS, "predict 1", 1): [seen(1, p50_s=0.001)]}
    [[_, asked, was, verdict]] = goals({"tried": []}, rounds)
    assert (asked, was, verdict) == ("≤ 1.5", "2.00 (2.00–2.00)", "**missed**")


def test_memory_is_compared_by_what_one_more_worker_takes() -> None:
    tried = [
        {"name": name, "workers": workers, "memory_bytes": {group: first + more * (workers - 1)}}
        for name, group, first, more in (
            ("Atelier", "HTTP door", 90e6, 40e6),
            ("FastAPI + TensorFlow", "server", 300e6, 280e6),
        )
        for workers in (1, 2)
    ]
    [[what, _, was, verdict]] = goals({"tried": tried}, {})
    assert "(40 and 280 MB)" in what
    assert (was, verdict) == ("0.14 (0.14–0.14)", "met")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_sides_to_choose_from(family: str) -> None:
    assert all(some for some in candidates(family, STORE, VERSION))


def test_ours_is_measured_in_every_case_at_every_number_of_callers() -> None:
    names = ["json 1", "octets 32", "grpc 1"]
    planned = cells(sides.atelier(STORE, CORES), [1, 16], names)
    assert {(cell.case, cell.callers) for cell in planned} == {(name, n) for name in names for n in (1, 16)}


def test_no_side_but_ours_is_asked_over_grpc() -> None:
    others = [some[0] for family in FAMILIES[1:] for some in candidates(family, STORE, VERSION)]
    assert not [cell for side in others for cell in cells(side, [1, 16, 64], ["grpc 1", "grpc 32"])]


def test_memory_that_grows_a_megabyte_a_minute_grows_sixty_an_hour() -> None:
    samples = [(second, 100 * MEGABYTE + second / 60 * MEGABYTE) for second in range(0, 600, 5)]
    assert slope(samples) == "+60.00 ± 0.00"


def test_a_few_samples_say_nothing_of_memory() -> None:
    assert slope([(5.0, 1e6), (10.0, 2e6)]) == "too short to say"


def test_a_minute_counts_every_status_but_200_as_failed_and_says_which() -> None:
    seen = summary(3, [Exchange(0.0, 0.002, 200), Exchange(0.1, 0.004, 503, late_s=0.001), Exchange(0.2, 0.002, 0)])
    assert (seen.number, seen.requests, seen.failures, round(seen.p50_ms, 6)) == (3, 3, {503: 1, 0: 1}, 2.0)


def test_the_report_shows_each_side_beside_ours_and_what_failed() -> None:
    floor = "floor: Flask, gevent, request.get_json, 2"
    rounds = {OURS: [seen(500), seen(700)], floor: [seen(1000), seen(1000)]}
    result = {
        "machine": {"processors": "2"},
        "tried": [],
        "start_s": {OURS: 5.0},
        "memory_bytes": {OURS: {"HTTP door": 90e6, "model server": 400e6}},
        "images": {"atelier/gateway": "373MB"},
        "cells": [
            {"side": side, "case": "json 1", "callers": 16, "rounds": [asdict(one) for one in some]}
            for side, some in rounds.items()
        ],
    }
    text = markdown(result)
    assert f"| {floor} | 1,000 (1,000–1,000) | 1,000 (1,000–1,000) | 0.60 (0.50–0.70) |" in text
    assert f"| json 1, 16 callers: requests/s ÷ {floor} | ≥ 0.5 | 0.60 (0.50–0.70) | met |" in text
    assert f"| {OURS} | 5.0 | 490: HTTP door 90, model server 400 |" in text
