"""Which sides are compared, with how many workers, and at what."""

import os
from collections.abc import Iterable
from pathlib import Path

from tests.bench import sides
from tests.bench.rounds import Cell
from tests.bench.sides import Side

FAMILIES = ("atelier", "floor", "flask", "fastapi", "session")
ATELIER, FLOOR, SESSION = "Atelier", "floor: Flask", "floor: bare session"
CORES = os.cpu_count() or 1
WORKER_CLASSES = ("sync", "gthread", "gevent")
MANY = 16  # callers at which all sides are compared in every case they have


def candidates(family: str, store: Path, version: Path) -> list[list[Side]]:
    """Lists of which the best is to be chosen."""
    one_a_core = sorted({1, CORES})
    match family:
        case "atelier":
            return [[sides.atelier(store, workers)] for workers in one_a_core]
        case "floor":
            workers = range(1, CORES + 2)
            flasks = [[sides.floor(kind, "json", n) for n in workers] for kind in WORKER_CLASSES]
            return [*flasks, [sides.floor("gevent", "orjson", n) for n in workers]]
        case "flask":
            return [[sides.flask(kind, n, version) for kind in ("gthread", "sync") for n in one_a_core]]
        case "fastapi":
            return [[sides.fastapi(n, version)] for n in one_a_core]
        case _:
            return [[sides.bare_session(n, version)] for n in one_a_core]


def cells(side: Side, callers: Iterable[int], cases: Iterable[str]) -> list[Cell]:
    """What is measured of a side: all of Atelier with a worker a core, of others what they are compared by."""
    if side.name == SESSION:  # it has no callers, only threads
        return [Cell(side.label, case, 1) for case in cases if case.startswith("predict")]
    return [Cell(side.label, case, n) for case in cases for n in callers if _is_compared(side, case, n)]


def _is_compared(side: Side, case: str, callers: int) -> bool:
    if case.startswith("predict"):  # the model server, asked directly
        return side.name == ATELIER and side.workers == CORES and (case, callers) == ("predict 1", 1)
    if side.name == ATELIER and side.workers == CORES:
        return True
    if case in ("json 1", "json 32"):
        return case == "json 1" or callers == MANY
    return side.name.startswith(FLOOR) and "get_json" in side.name and (case, callers) == ("octets 32", MANY)
