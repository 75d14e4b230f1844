"""`make bench`: Atelier beside its floors and what one would write instead, in one report (build/bench/report.md).

    python -m tests.bench                                        # everything, about 13 minutes
    python -m tests.bench --quick                                # few short rounds, one worker a core
    python -m tests.bench --quick --sides atelier,floor --cases "json 1,grpc 1" --callers 16

Needs a store with a `fashion` model (`make run` trains one). Callers and servers share the processors.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench.cases import CASES, Case, cases
from tests.bench.generators import generators
from tests.bench.machine import describe, image_sizes
from tests.bench.plan import CORES, FAMILIES, MANY, SESSION, candidates, cells
from tests.bench.report import markdown
from tests.bench.rounds import alternate, measure
from tests.bench.sides import Running, Side, check

CHOSEN_BY = "json 1"


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    everything = cases(options.version)
    asked = {name: case for name, case in everything.items() if name in (options.cases or everything)}
    machine, began_s = describe(), time.monotonic()
    lists = [some for family in options.sides for some in candidates(family, options.store, options.version)]
    tried = [] if options.quick else try_all(lists, everything[CHOSEN_BY])
    chosen = [best(some, tried) for some in lists]
    planned = [cell for side in chosen for cell in cells(side, options.callers, asked)]
    planned.sort(key=lambda cell: (list(asked).index(cell.case), cell.callers))  # who is compared comes in turn
    if not planned:
        sys.exit("nothing to measure: none of these sides is asked any of these cases at these callers")
    with ExitStack() as stopping:
        running = {side.label: started(side, everything, stopping) for side in chosen}
        say(f"{len(planned)} cells, {options.rounds} rounds of {options.seconds} s each")
        ends_s = began_s + options.minutes * 60
        rounds = alternate(planned, running, asked, options.rounds, options.seconds, ends_s)
        memory = {label: side.memory_bytes() for label, side in running.items()}
    took = f"{(time.monotonic() - began_s) / 60:.1f} minutes"
    result = {
        "machine": {
            **machine,
            "load": generators(),
            "rounds": f"{len(next(iter(rounds.values())))} of {options.seconds} s",
            "took": took,
        },
        "cases": {name: {"rows": case.rows, "body_bytes": len(case.body)} for name, case in asked.items()},
        "tried": tried,
        "start_s": {label: side.start_s for label, side in running.items()},
        "memory_bytes": memory,
        "images": image_sizes(),
        "cells": [{**asdict(cell), "rounds": [asdict(one) for one in seen]} for cell, seen in rounds.items()],
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "report.json").write_text(json.dumps(result, indent=1))
    (options.out / "report.md").write_text(markdown(result))
    print(markdown(result))


def started(side: Side, everything: Mapping[str, Case], stopping: ExitStack) -> Running:
    """Up, to be stopped at the end, and seen to answer rightly where it says what is in an image."""
    running = side.start()
    stopping.callback(running.stop)
    if running.http_port:
        check(running.http_port, everything["json 1"])
        check(running.http_port, everything["json 32"])
    return running


def try_all(lists: Sequence[Sequence[Side]], case: Case) -> list[dict[str, Any]]:
    """All that have workers: their number is to be chosen, or memory by their number to be known."""
    return [try_out(side, case) for some in lists for side in some if side.name != SESSION]


def try_out(side: Side, case: Case) -> dict[str, Any]:
    """Start it alone, load it, stop it: how quick it is with so many workers, and what it takes."""
    say(f"trying {side.label}")
    running = side.start()
    try:
        measure(running, case, MANY, 1)  # warms up
        rate = statistics.median(measure(running, case, MANY, 1).rate for _ in range(3))
        memory = running.memory_bytes()
    finally:
        running.stop()
    tried = {"side": side.label, "name": side.name, "workers": side.workers}
    return {**tried, "rate": rate, "start_s": running.start_s, "memory_bytes": memory}


def best(some: Sequence[Side], tried: Sequence[Mapping[str, Any]]) -> Side:
    """The quickest of those tried; if none was, one worker a core (where there is a choice, the second kind)."""
    rates = {one["side"]: one["rate"] for one in tried}
    return max(some, key=lambda side: (rates.get(side.label, 0), -abs(side.workers - CORES)))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.bench", description="Atelier beside what one would use instead.")
    parser.add_argument("--quick", action="store_true", help="two rounds of a second, and no search for worker counts")
    parser.add_argument("--rounds", type=int, help="how often each cell is measured (5; quick: 2)")
    parser.add_argument("--seconds", type=int, help="how long each time (2; quick: 1)")
    parser.add_argument("--minutes", type=float, default=13.3, help="no round is begun that would end later (13.3)")
    parser.add_argument("--sides", type=names, default=list(FAMILIES), help=f"of {','.join(FAMILIES)}")
    parser.add_argument("--cases", type=names, help='as "json 1,octets 32,png 1,grpc 1,predict 1"; all by default')
    parser.add_argument("--callers", type=lambda text: [int(n) for n in text.split(",")], default=[1, 16, 64])
    parser.add_argument("--store", type=Path, default=Path(os.environ.get("ATELIER_STORE", "models")))
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="folder of report.md and report.json")
    options = parser.parse_args(arguments)
    known = (("--sides", options.sides, FAMILIES), ("--cases", options.cases or (), CASES))
    for option, given, expected in known:
        if unknown := set(given) - set(expected):
            parser.error(f"{option}: expected some of {', '.join(expected)}, got {', '.join(sorted(unknown))}")
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.seconds = options.seconds or (1 if options.quick else 2)
    versions = [folder for folder in options.store.glob("fashion/*") if folder.name.isdecimal()]
    if not versions:
        parser.error(f"no fashion model in {options.store}: `python -m training fashion --preset quick` makes one")
    options.version = max(versions, key=lambda folder: int(folder.name))
    return options


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


if __name__ == "__main__":
    main()
