"""Service-level objectives of a load test: a run that misses one ends with 1 and says which. Knows no Locust."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

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
        ValueError: the file says something else; names the task.
    """
    expected = {field.name for field in fields(Objective)}
    tasks = tomllib.loads(file.read_text())
    for task, given in tasks.items():
        if set(given) != expected:
            raise ValueError(f"{file}: {task}: expected {', '.join(sorted(expected))}, got {', '.join(sorted(given))}")
    return {task: Objective(**given) for task, given in tasks.items()}


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
