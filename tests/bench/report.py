"""The benchmarks' report, in Markdown, from what was measured."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tests.bench.goals import OURS, goals
from tests.bench.rounds import Cell, Round, ratio, spread

Seen = Mapping[Cell, list[Round]]
HEAD = f"""# Benchmarks

Made by `make bench`. Servers and load share the processors. Each figure is the median of alternating rounds,
with lowest and highest; ratios are taken round by round, `{OURS}` over the other. A number after a name is
its worker processes, or the bare session's threads. "Atelier" is `python -m serving`: embedded model server,
HTTP door and gRPC door, each in processes of its own."""


def markdown(result: Mapping[str, Any]) -> str:
    """All of it."""
    seen = cells_of(result)
    parts = [
        HEAD,
        table(["machine", ""], result["machine"].items()),
        "## Goals\n\n" + table(["what", "asked", "seen", ""], goals(result, seen)),
        *(case_table(case, callers, seen) for case, callers in dict.fromkeys((c.case, c.callers) for c in seen)),
        "## What they take\n\n" + table(["side", "start, s", "memory, MB (shared pages once)"], footprints(result)),
        table(["container image", "size"], result["images"].items()),
    ]
    if result["tried"]:
        parts.append(
            "## Worker counts tried\n\nOne image as JSON, 16 callers, each alone.\n\n" + tried(result["tried"])
        )
    return "\n\n".join(parts) + "\n"


def cells_of(result: Mapping[str, Any]) -> Seen:
    return {
        Cell(one["side"], one["case"], one["callers"]): [Round(**seen) for seen in one["rounds"]]
        for one in result["cells"]
    }


def case_table(case: str, callers: int, seen: Seen) -> str:
    """All sides at one thing."""
    sides = {cell.side: rounds for cell, rounds in seen.items() if (cell.case, cell.callers) == (case, callers)}
    ours = sides.get(OURS)
    rows = [
        [
            name,
            spread(rounds, lambda one: one.rate).show(),
            spread(rounds, lambda one: one.images_rate).show(),
            ratio(ours, rounds, lambda one: one.rate).show(2) if ours else "",
            spread(rounds, lambda one: one.p50_s * 1e3).show(2),
            spread(rounds, lambda one: one.p99_s * 1e3).show(2),
            processor_time(rounds),
            sum(one.failed for one in rounds),
        ]
        for name, rounds in sides.items()
    ]
    titles = [
        "side",
        "requests/s",
        "images/s",
        "ours ÷ its",
        "p50, ms",
        "p99, ms",
        "processor time a request, ms",
        "failed",
    ]
    return f"## {case}, {callers} caller{'s' * (callers > 1)}\n\n" + table(titles, rows)


def processor_time(rounds: list[Round]) -> str:
    """Of each group of processes that did something."""
    medians = {group: spread(rounds, of_group(group)).median * 1e3 for group in rounds[0].cpu_s}
    return ", ".join(f"{group} {took_ms:.3f}" for group, took_ms in medians.items() if took_ms >= 0.001)


def of_group(group: str) -> Callable[[Round], float]:
    return lambda one: one.cpu_s[group]


def footprints(result: Mapping[str, Any]) -> Iterable[list[str]]:
    for side, groups in result["memory_bytes"].items():
        by_group = ", ".join(f"{group} {size / 1e6:.0f}" for group, size in groups.items())
        yield [side, f"{result['start_s'][side]:.1f}", f"{sum(groups.values()) / 1e6:.0f}: {by_group}"]


def tried(some: Iterable[Mapping[str, Any]]) -> str:
    rows = []
    for one in some:
        memory = sum(one["memory_bytes"].values()) / 1e6
        rows.append([one["side"], f"{one['rate']:,.0f}", f"{one['start_s']:.1f}", f"{memory:.0f}"])
    return table(["side", "requests/s", "start, s", "memory, MB"], rows)


def table(titles: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    lines = [list(titles), ["---"] * len(list(titles)), *rows]
    return "\n".join("| " + " | ".join(str(value) for value in line) + " |" for line in lines)
