"""What we ask of ourselves, beside the floors and beside what one would write instead."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tests.bench.plan import ATELIER, CORES, FLOOR, MANY, SESSION
from tests.bench.rounds import Cell, Round, Spread, difference, ratio, spread

Seen = Mapping[Cell, list[Round]]
OURS = f"{ATELIER}, {CORES}"
WORKERS = {ATELIER: "HTTP door", "FastAPI + TensorFlow": "server"}  # the group of processes they are in


def goals(result: Mapping[str, Any], seen: Seen) -> list[list[str]]:
    """A line for each goal of which both sides were measured: what, what is asked, what was seen, whether it is met."""
    return [*_beside_others(seen), *_beside_ourselves(seen), *_memory(result["tried"])]


def _beside_others(seen: Seen) -> Iterator[list[str]]:
    for case, callers in (("json 1", 16), ("json 1", 64), ("json 32", 16)):
        ours = seen.get(Cell(OURS, case, callers))
        if not ours:
            continue
        what = f"{case}, {callers} callers"
        if floor := _best(seen, case, callers, lambda side: side.startswith(FLOOR) and "get_json" in side):
            yield _at_least(f"{what}: requests/s ÷ {floor.side}", 0.5, ratio(ours, seen[floor], _rate))
        for kind in ("Flask + TensorFlow", "FastAPI + TensorFlow"):
            if rival := _best(seen, case, callers, lambda side, kind=kind: side.startswith(kind)):
                yield _at_least(f"{what}: requests/s ÷ {rival.side}", 1.0, ratio(ours, seen[rival], _rate))
                yield _at_most(f"{what}: p99 ÷ {rival.side}", 1.0, ratio(ours, seen[rival], lambda one: one.p99_s))


def _beside_ourselves(seen: Seen) -> Iterator[list[str]]:
    json = seen.get(Cell(OURS, "json 1", MANY))
    for case in ("grpc 1", "grpc 1 shared"):
        if json and (grpc := seen.get(Cell(OURS, case, MANY))):
            yield _at_least(f"{case} ÷ json 1, {MANY} callers: requests/s", 1.3, ratio(grpc, json, _rate))
    bare = _best(seen, "predict 32", 1, lambda side: side.startswith(SESSION))
    for case, callers in itertools.product(("octets 32", "json 32", "grpc 32"), (MANY, 64)):
        ours = seen.get(Cell(OURS, case, callers))
        if bare and ours:
            what = f"{case}, {callers} callers: images/s ÷ {bare.side}, batch 32"
            yield _at_least(what, 0.5, ratio(ours, seen[bare], lambda one: one.images_rate))
    direct = seen.get(Cell(OURS, "predict 1", 1))
    for case in ("json 1", "octets 1", "grpc 1"):
        ours = seen.get(Cell(OURS, case, 1))
        if direct and ours:
            added = difference(ours, direct, lambda one: one.p50_s * 1e3)
            yield _at_most(f"{case}, 1 caller: p50 beyond a direct Predict, ms", 1.5, added)


def _memory(tried: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    ours, theirs = (_an_extra_worker(tried, name) for name in WORKERS)
    if ours and theirs:
        what = f"an extra worker's memory ÷ FastAPI's ({ours / 1e6:.0f} and {theirs / 1e6:.0f} MB)"
        yield _at_most(what, 1 / 3, Spread(ours / theirs, ours / theirs, ours / theirs))


def _an_extra_worker(tried: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """Of the workers' own processes: what else is started is there but once."""
    memory = {one["workers"]: one["memory_bytes"][WORKERS[name]] for one in tried if one["name"] == name}
    few, many = min(memory, default=0), max(memory, default=0)
    return (memory[many] - memory[few]) / (many - few) if many > few else None


def _best(seen: Seen, case: str, callers: int, belongs: Callable[[str], bool]) -> Cell | None:
    """The quickest of some sides at one thing."""
    some = [cell for cell in seen if (cell.case, cell.callers) == (case, callers) and belongs(cell.side)]
    return max(some, key=lambda cell: spread(seen[cell], _rate).median, default=None)


def _rate(one: Round) -> float:
    return one.rate


def _at_least(what: str, asked: float, was: Spread) -> list[str]:
    return [what, f"≥ {asked:g}", was.show(2), "met" if was.median >= asked else "**missed**"]


def _at_most(what: str, asked: float, was: Spread) -> list[str]:
    return [what, f"≤ {asked:.3g}", was.show(2), "met" if was.median <= asked else "**missed**"]
