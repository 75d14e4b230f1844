"""Service-level objectives of a load test: a run that misses one ends with 1 and says which. Knows no Locust."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("objectives.toml")


@dataclass(frozen=True)
class Objective:
    """What must hold for one task."""

    failure_share: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Measured:
    """What a run saw of one task."""

    task: str
    requests: int
    failures: int
    p95_ms: float
    p99_ms: float


Objectives = Mapping[str, Objective]


def read(file: Path = FILE) -> Objectives:
    """The objectives by task.

    Raises:
        ValueError: there is no such file, or it says something else; names the task.
    """
    try:
        tasks = tomllib.loads(file.read_text())
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    for task, given in tasks.items():
        if fault := _fault(given):
            raise ValueError(f"{file}: {task}: {fault}")
    return {task: Objective(**given) for task, given in tasks.items()}


def _fault(given: Any) -> str | None:
    """What is wrong with what a file says of a task, or None."""
    expected = sorted(field.name for field in fields(Objective))
    got = sorted(given) if isinstance(given, dict) else [repr(given)]
    if got != expected:
        return f"expected {', '.join(expected)}, got {', '.join(got)}"
    numbers = {name for name, value in given.items() if type(value) in (int, float) and value >= 0}
    return next(
        (f"{name}: expected a number, not negative, got {given[name]!r}" for name in expected if name not in numbers),
        None,
    )


def misses(objectives: Objectives, measured: Iterable[Measured]) -> list[str]:
    """A line for each objective missed; a task with an objective that nobody ran is one."""
    by_task = {one.task: one for one in measured}
    return [line for task, objective in objectives.items() for line in _misses(task, objective, by_task.get(task))]


def _misses(task: str, objective: Objective, seen: Measured | None) -> Iterator[str]:
    if seen is None or not seen.requests:
        yield f"{task}: no request was made"
        return
    checks = [
        ("share of failures", seen.failures / seen.requests, objective.failure_share),
        ("p95, ms", seen.p95_ms, objective.p95_ms),
        ("p99, ms", seen.p99_ms, objective.p99_ms),
    ]
    yield from (f"{task}: {what} {was:g}, at most {most:g}" for what, was, most in checks if was > most)


def table(objectives: Objectives, measured: Iterable[Measured]) -> str:
    """What was seen beside what must hold, and whether it does."""
    by_task = {one.task: one for one in measured}
    lines = [f"{'task':<16}{'requests':>9}{'failed':>18}{'p95 ms':>16}{'p99 ms':>16}  objectives"]
    for task in dict.fromkeys((*objectives, *by_task)):
        seen, must = by_task.get(task, Measured(task, 0, 0, 0, 0)), objectives.get(task)
        share = f"{seen.failures / max(1, seen.requests):.2%}"
        cells = (
            f"{share} / {must.failure_share:.2%}" if must else share,
            f"{seen.p95_ms:g} / {must.p95_ms:g}" if must else f"{seen.p95_ms:g}",
            f"{seen.p99_ms:g} / {must.p99_ms:g}" if must else f"{seen.p99_ms:g}",
        )
        verdict = "none" if not must else "MISSED" if any(_misses(task, must, seen)) else "met"
        lines.append(f"{task:<16}{seen.requests:>9}{cells[0]:>18}{cells[1]:>16}{cells[2]:>16}  {verdict}")
    return "\n".join(lines)
