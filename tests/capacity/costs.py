"""What a request and an instance cost each part, from the benchmarks' report."""

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.goals import OURS

CALLERS = 16  # at which costs are read: calls go together, as they do under load
DOORS = {"json": "HTTP door", "octets": "HTTP door", "grpc": "gRPC door"}
BATCH = 32


@dataclass(frozen=True)
class Seen:
    """Medians of one cell of the report."""

    rate: float
    p50_s: float
    p99_s: float
    door_s: float  # processor time a request
    model_server_s: float
    generator_s: float


@dataclass(frozen=True)
class Cost:
    """Processor time: so much a request, and so much for each instance in it."""

    request_s: float
    instance_s: float

    def of(self, instances: int) -> float:
        return self.request_s + self.instance_s * instances


@dataclass(frozen=True)
class Way:
    """A way to ask, and what it costs."""

    name: str
    door: Cost
    model_server: Cost
    body_bytes: Cost  # the same line, of bytes


def read(report: Path) -> Mapping[str, Any]:
    return dict(json.loads(report.read_text()))


def seen(report: Mapping[str, Any], side: str, case: str, callers: int) -> Seen | None:
    """A cell of the report, if it was measured."""
    for cell in report["cells"]:
        if (cell["side"], cell["case"], cell["callers"]) == (side, case, callers):
            rounds = cell["rounds"]
            door = DOORS[case.split(maxsplit=1)[0]]
            cpu = [
                statistics.median(one["cpu_s"][part] for one in rounds) for part in (door, "model server", "generator")
            ]
            return Seen(*(statistics.median(one[name] for one in rounds) for name in ("rate", "p50_s", "p99_s")), *cpu)
    return None


def ways(report: Mapping[str, Any]) -> dict[str, Way]:
    """Those of which one instance and a batch were measured."""
    found = {}
    for name in DOORS:
        one, many = (seen(report, OURS, f"{name} {rows}", CALLERS) for rows in (1, BATCH))
        if one and many:
            sizes = [report["cases"][f"{name} {rows}"]["body_bytes"] for rows in (1, BATCH)]
            found[name] = Way(
                name,
                line(one.door_s, many.door_s),
                line(one.model_server_s, many.model_server_s),
                line(*sizes),
            )
    return found


def line(one: float, many: float) -> Cost:
    """Through what one instance and a batch took; neither part is below nothing."""
    instance = max(0.0, (many - one) / (BATCH - 1))
    return Cost(max(0.0, one - instance), instance)
