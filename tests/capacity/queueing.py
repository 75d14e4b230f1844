"""A discrete-event simulation of queues: jobs visit stations, each of so many servers, that may share processors.

One station and processors without end is the textbook's M/G/c. First come, first served.
"""

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Draw = Callable[[float], float]  # a mean → a service time


@dataclass(frozen=True)
class Visit:
    """Work at a station, of this mean length."""

    station: str
    mean_s: float


@dataclass
class Job:
    """One request on its way."""

    began_s: float
    left: deque[Visit]


@dataclass
class Network:
    """Stations, and the processors that all their servers need to work."""

    servers: Mapping[str, int]
    processors: float = math.inf
    _busy: dict[str, int] = field(default_factory=dict)
    _waiting: dict[str, deque[tuple[int, Job]]] = field(default_factory=dict)
    _events: list[tuple[float, int, Job | None]] = field(default_factory=list)  # None: a job arrives
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def open_loop(
        self, route: Sequence[Visit], rate: float, jobs: int, draw: Draw, chance: random.Random
    ) -> list[float]:
        """Latencies, in order of completion, of jobs that come at random at this rate."""
        arrivals = itertools.accumulate(chance.expovariate(rate) for _ in range(jobs))
        for arrives_s in arrivals:
            heapq.heappush(self._events, (arrives_s, next(self._numbers), None))
        return [done_s - job.began_s for done_s, job in self._run(route, draw)]

    def closed_loop(self, route: Sequence[Visit], callers: int, jobs: int, draw: Draw) -> tuple[float, list[float]]:
        """Jobs a second, and latencies, of callers who ask again as soon as they are answered."""
        for _ in range(callers):
            heapq.heappush(self._events, (0.0, next(self._numbers), None))
        latencies, done_s = [], 0.0
        for done_s, job in self._run(route, draw):
            latencies.append(done_s - job.began_s)
            if len(latencies) == jobs:
                break
            heapq.heappush(self._events, (done_s, next(self._numbers), None))
        return len(latencies) / done_s, latencies

    def _run(self, route: Sequence[Visit], draw: Draw) -> Iterator[tuple[float, Job]]:
        self._busy = dict.fromkeys(self.servers, 0)
        self._waiting = {station: deque() for station in self.servers}
        while self._events:
            now_s, _, job = heapq.heappop(self._events)
            if job is None:
                job = Job(now_s, deque(route))
            else:
                self._busy[job.left.popleft().station] -= 1
                if not job.left:
                    yield now_s, job
            if job.left:
                self._waiting[job.left[0].station].append((next(self._numbers), job))
            self._start_what_can(now_s, draw)

    def _start_what_can(self, now_s: float, draw: Draw) -> None:
        """Who has waited longest, of those whose station has a server to spare."""
        while sum(self._busy.values()) < self.processors:
            ready = [s for s, queue in self._waiting.items() if queue and self._busy[s] < self.servers[s]]
            if not ready:
                return
            station = min(ready, key=lambda s: self._waiting[s][0][0])
            _, job = self._waiting[station].popleft()
            self._busy[station] += 1
            heapq.heappush(self._events, (now_s + draw(job.left[0].mean_s), next(self._numbers), job))


def gamma(chance: random.Random, variation: float) -> Draw:
    """Service times of this coefficient of variation: 1 is exponential, small is steady."""
    shape = 1 / variation**2
    return lambda mean_s: chance.gammavariate(shape, mean_s / shape)


def erlang_c(servers: int, offered: float) -> float:
    """The share of arrivals that must wait, in M/M/c; `offered` is rate × mean service time."""
    blocked = 1.0  # Erlang B, by its recurrence
    for n in range(1, servers + 1):
        blocked = offered * blocked / (n + offered * blocked)
    return blocked / (1 - offered / servers * (1 - blocked))


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
