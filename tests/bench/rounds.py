"""Rounds: what each side did for some seconds, in turns, so that what else happens on the machine happens to all."""

import math
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tests.bench.cases import Case
from tests.bench.sides import Running

WARM_UP_S = 1
LEAST_ROUNDS = 3  # of a median worth the name


@dataclass(frozen=True)
class Cell:
    """One thing that is measured, once in every round."""

    side: str
    case: str
    callers: int


@dataclass(frozen=True)
class Round:
    """What was seen of it, once."""

    rate: float  # requests answered a second
    images_rate: float
    failed: int
    p50_s: float
    p99_s: float
    cpu_s: Mapping[str, float]  # processor time an answered request, by group of processes and for the generator


def measure(running: Running, case: Case, callers: int, seconds: int) -> Round:
    """Load one side, and see what it and its processes did."""
    before_s = running.cpu_s()
    sent = running.send(case, callers, seconds)
    answered = max(1, sent.answered)
    cpu_s = {name: (now_s - before_s[name]) / answered for name, now_s in running.cpu_s().items()}
    rate = sent.answered / sent.seconds
    return Round(
        rate, rate * case.rows, sent.failed, sent.p50_s, sent.p99_s, {**cpu_s, "generator": sent.cpu_s / answered}
    )


def alternate(
    cells: Iterable[Cell],
    sides: Mapping[str, Running],
    cases: Mapping[str, Case],
    rounds: int,
    seconds: int,
    ends_s: float = math.inf,
) -> dict[Cell, list[Round]]:
    """All cells, again and again; a short first turn warms up and does not count.

    Args:
        ends_s: of the monotonic clock; a round that would last longer is not begun, but for the first three.
    """
    seen: dict[Cell, list[Round]] = {cell: [] for cell in cells}
    for number in range(rounds + 1):
        began_s = time.monotonic()
        for cell, of_cell in seen.items():
            took = measure(sides[cell.side], cases[cell.case], cell.callers, seconds if number else WARM_UP_S)
            if number:
                of_cell.append(took)
        now_s = time.monotonic()
        print(f"round {number} of {rounds} took {now_s - began_s:.0f} s", file=sys.stderr, flush=True)
        if number >= LEAST_ROUNDS and now_s + (now_s - began_s) > ends_s:
            break
    return seen


@dataclass(frozen=True)
class Spread:
    """A median with its lowest and highest."""

    median: float
    low: float
    high: float

    def show(self, digits: int = 0) -> str:
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f}–{self.high:,.{digits}f})"


def spread(rounds: Iterable[Round], figure: Callable[[Round], float]) -> Spread:
    return of_values([figure(one) for one in rounds])


def ratio(over: Iterable[Round], under: Iterable[Round], figure: Callable[[Round], float]) -> Spread:
    """Round by round: what happened to one happened to the other."""
    return of_values([figure(a) / figure(b) for a, b in zip(over, under, strict=True)])


def difference(over: Iterable[Round], under: Iterable[Round], figure: Callable[[Round], float]) -> Spread:
    """Round by round."""
    return of_values([figure(a) - figure(b) for a, b in zip(over, under, strict=True)])


def of_values(values: list[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))
