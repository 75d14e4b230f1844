"""A load test is judged by its objectives, all of them."""

import dataclasses

from tests.load.objectives import OBJECTIVES, Measured, misses, table

WELL = [Measured(task, 100, 0, one.p95_ms, one.p99_ms) for task, one in OBJECTIVES.items()]


def changed(**changes):
    return [dataclasses.replace(WELL[0], **changes), *WELL[1:]]


def test_a_run_within_its_objectives_misses_none():
    assert misses(WELL) == []


def test_each_objective_can_be_missed_and_is_named():
    task, objective = WELL[0].task, OBJECTIVES[WELL[0].task]
    assert misses(changed(failures=1)) == [f"{task}: share of failures 0.01, at most 0"]
    assert misses(changed(p95_ms=objective.p95_ms + 1)) == [
        f"{task}: p95, ms {objective.p95_ms + 1:g}, at most {objective.p95_ms:g}"
    ]
    assert misses(changed(p99_ms=9999)) == [f"{task}: p99, ms 9999, at most {objective.p99_ms:g}"]


def test_a_task_that_nobody_ran_is_a_miss():
    assert misses(WELL[1:]) == [f"{WELL[0].task}: no request was made"]
    assert misses(changed(requests=0)) == [f"{WELL[0].task}: no request was made"]


def test_the_table_shows_what_was_seen_beside_what_must_hold():
    [_, first, *_] = table(WELL).splitlines()
    objective = OBJECTIVES[WELL[0].task]
    assert f"{objective.p95_ms:g} / {objective.p95_ms:g}" in first
