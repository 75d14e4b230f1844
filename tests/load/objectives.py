"""Service-level objectives of a load test: a run that misses one ends with 1 and says which. Knows no Locust."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Objective:
    """What must hold for one task."""

    p95_ms: float
    p99_ms: float
    failure_share: float = 0.0


@dataclass(frozen=True)
class Measured:
    """What a run saw of one task."""

    task: str
    requests: int
    failures: int
    p95_ms: float
    p99_ms: float


# For the default users, on two cores that the generator and the whole service share. The names are the report's.
OBJECTIVES: Mapping[str, Objective] = {
    "http single": Objective(p95_ms=250, p99_ms=500),
    "http batch": Objective(p95_ms=400, p99_ms=800),
    "grpc single": Objective(p95_ms=250, p99_ms=500),
}


def misses(measured: Iterable[Measured]) -> list[str]:
    """A line for each objective missed; a task with an objective that nobody ran is one."""
    by_task = {one.task: one for one in measured}
    return [line for task, objective in OBJECTIVES.items() for line in _misses(task, objective, by_task.get(task))]


def _misses(task: str, objective: Objective, seen: Measured | None) -> list[str]:
    if seen is None or not seen.requests:
        return [f"{task}: no request was made"]
    share = seen.failures / seen.requests
    checks = [
        ("share of failures", share, objective.failure_share),
        ("p95, ms", seen.p95_ms, objective.p95_ms),
        ("p99, ms", seen.p99_ms, objective.p99_ms),
    ]
    return [f"{task}: {what} {was:g}, at most {most:g}" for what, was, most in checks if was > most]


def table(measured: Iterable[Measured]) -> str:
    """What was seen beside what must hold."""
    lines = [f"{'task':<14}{'requests':>9}{'failures':>9}{'p95 ms':>16}{'p99 ms':>16}"]
    for one in measured:
        most = OBJECTIVES.get(one.task)
        p95 = f"{one.p95_ms:g} / {most.p95_ms:g}" if most else f"{one.p95_ms:g}"
        p99 = f"{one.p99_ms:g} / {most.p99_ms:g}" if most else f"{one.p99_ms:g}"
        lines.append(f"{one.task:<14}{one.requests:>9}{one.failures:>9}{p95:>16}{p99:>16}")
    return "\n".join(lines)
