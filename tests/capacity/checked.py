"""Predicted beside measured: a simulation of the benchmarks, on their machine, with one worker and with more.

Costs are those with the most workers, at as many callers (the more there are, the more requests go together). What is
predicted of that side checks the simulation's form, what is predicted of one worker checks what it knows.
"""

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.bench.plan import ATELIER, CORES
from tests.capacity.costs import Seen, seen
from tests.capacity.queueing import Network, Visit, gamma, percentile

JOBS = 10_000
CASES = ("json 1", "json 32", "octets 1", "octets 32", "grpc 1", "grpc 32")
VARIATION = 0.5  # of service times: the same request, again and again


@dataclass(frozen=True)
class Compared:
    """One cell of the benchmarks, predicted and measured."""

    side: str
    case: str
    callers: int
    predicted: tuple[float, float, float]  # requests a second, p50 and p99 in seconds
    measured: tuple[float, float, float]
    processors_used: float  # by door, model server and generator, while it was measured

    @property
    def rate_error(self) -> float:
        return self.predicted[0] / self.measured[0] - 1


def compare(report: Mapping[str, Any]) -> Iterator[Compared]:
    """Every cell of ours."""
    for case, workers, callers in itertools.product(CASES, sorted({1, CORES}), (1, 16, 64)):
        costs, was = (seen(report, f"{ATELIER}, {n}", case, callers) for n in (CORES, workers))
        if costs and was:
            predicted = predict(costs, 1 if case.startswith("grpc") else workers, callers)
            used = was.rate * (was.door_s + was.model_server_s + was.generator_s)
            yield Compared(f"{ATELIER}, {workers}", case, callers, predicted, (was.rate, was.p50_s, was.p99_s), used)


def predict(
    costs: Seen, doors: int, callers: int, processors: int = CORES, seed: int = 1
) -> tuple[float, float, float]:
    """Callers ask, a door reads, the model server answers, the door writes; all on the same processors."""
    chance = random.Random(seed)
    network = Network({"generator": 1, "door": doors, "model server": processors}, processors)
    route = [
        Visit("generator", costs.generator_s / 2),
        Visit("door", costs.door_s / 2),
        Visit("model server", costs.model_server_s),
        Visit("door", costs.door_s / 2),
        Visit("generator", costs.generator_s / 2),
    ]
    rate, latencies = network.closed_loop(route, callers, JOBS, gamma(chance, VARIATION))
    return rate, percentile(latencies, 0.5), percentile(latencies, 0.99)
