"""Twenty minutes at 70 % of what the gateway can do: errors, latencies by the minute, what each process's memory does.

    python -m tests.soak.gateway_long --minutes 20

Open loop: requests come when they are due. Peak and load come from the same generator, which shares the processors
with everything else. Prints tables and writes them to build/soak/gateway_long.md; ends with 1 if a request failed.
Needs a store with a `fashion` model.
"""

import argparse
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from tests.bench.cases import HTTP_PATH, cases
from tests.bench.machine import describe
from tests.bench.report import table
from tests.bench.sides import parts
from tests.e2e.local_stack import LocalStack
from tests.http_load import Exchange, Load, prepare, send

SHARE = 0.7
CALLERS = 16  # at which the peak is measured
CONNECTIONS = 64  # of the open loop, at most
PEAK_S = 10.0
SAMPLE_EVERY_S = 5.0
SETTLING_S = 120.0  # of which memory is not judged: caches and pools fill
MEGABYTE = 1e6


@dataclass
class Memory:
    """What processes take, over time, from a thread of its own."""

    processes: dict[str, psutil.Process]
    samples: dict[str, list[tuple[float, float]]] = field(default_factory=dict)  # name → seconds, bytes
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Memory":
        self._began_s = time.monotonic()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_EVERY_S):
            passed_s = time.monotonic() - self._began_s
            for name, process in self.processes.items():
                self.samples.setdefault(name, []).append((passed_s, anonymous_bytes(process)))


def anonymous_bytes(process: psutil.Process) -> int:
    """Resident, and of no file: whose pages count as a process's own or not as others come and go that use the file."""
    memory = process.memory_info()
    return int(memory.rss - memory.shared)


@dataclass(frozen=True)
class Minute:
    """What was seen in it."""

    number: int
    requests: int
    failures: Mapping[int, int]  # by status; 0: no answer; -1: never sent
    p50_ms: float
    p99_ms: float
    late_ms: float  # p99 of how late the generator sent: it is part of the latencies

    @property
    def failed(self) -> int:
        return sum(self.failures.values())

    def row(self) -> list[object]:
        return [
            self.number,
            self.requests,
            self.failed,
            *(f"{ms:.2f}" for ms in (self.p50_ms, self.p99_ms, self.late_ms)),
        ]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m tests.soak.gateway_long")
    parser.add_argument("--minutes", type=int, default=20)
    parser.add_argument("--store", type=Path, default=Path(os.environ.get("ATELIER_STORE", "models")))
    options = parser.parse_args(arguments)
    version = max(options.store.glob("fashion/[0-9]*"), key=lambda folder: int(folder.name))
    request = prepare(HTTP_PATH, cases(version)["json 1"].body)
    machine = describe()
    stack = LocalStack(options.store, ATELIER_THREADS=str(CONNECTIONS))
    try:
        stack.wait_until_up()
        try_sizes(stack.http_port, request)
        peak = peak_rate(stack.http_port, request)
        load = Load(stack.http_port, request, 60, CONNECTIONS, rate=SHARE * peak, drains=True)
        with Memory(named(stack)) as memory:
            minutes = [minute(load, number) for number in range(1, options.minutes + 1)]
    finally:
        code = stack.stop()
    text = report(machine, peak, load, minutes, memory)
    file = Path("build/soak/gateway_long.md")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    print(text)
    return 1 if code or any(one.failed for one in minutes) else 0


def try_sizes(port: int, request: bytes) -> None:
    """Have calls of every size made: for each, TensorFlow's kernels keep something in each of its threads."""
    for callers in (*range(2, CONNECTIONS + 1, 2), *range(CONNECTIONS, 1, -2)):
        send(Load(port, request, 1, callers))


def peak_rate(port: int, request: bytes) -> float:
    """Requests a second in closed loop; a first turn warms up."""
    send(Load(port, request, PEAK_S / 2, CALLERS))
    return len(send(Load(port, request, PEAK_S, CALLERS))) / PEAK_S


def named(stack: LocalStack) -> dict[str, psutil.Process]:
    return {f"{group} {one.pid}": one for group, members in parts(stack).items() for one in members}


def minute(load: Load, number: int) -> Minute:
    seen = summary(number, send(load))
    print(
        "minute {}: {} requests, {} failed; ms: p50 {}, p99 {}, late {}".format(*seen.row()),
        file=sys.stderr,
        flush=True,
    )
    return seen


def summary(number: int, exchanges: list[Exchange]) -> Minute:
    """All that is kept of a minute: its exchanges, of twenty minutes, would weigh more than the service."""
    latencies_ms = np.array([one.latency_s for one in exchanges]) * 1e3
    late_ms = np.array([one.late_s for one in exchanges]) * 1e3
    failures = Counter(one.status for one in exchanges if one.status != 200)
    p50_ms, p99_ms = np.percentile(latencies_ms, [50, 99])
    return Minute(number, len(exchanges), failures, p50_ms, p99_ms, np.percentile(late_ms, 99))


def report(machine: dict[str, str], peak: float, load: Load, minutes: list[Minute], memory: Memory) -> str:
    requests, failed = sum(one.requests for one in minutes), sum(one.failed for one in minutes)
    statuses = sum((Counter(one.failures) for one in minutes), Counter[int]())
    how = "".join(f", {count} with status {status}" for status, count in sorted(statuses.items()))
    p99s = [one.p99_ms for one in minutes]
    growth = [
        [name, f"{samples[0][1] / MEGABYTE:.1f}", f"{samples[-1][1] / MEGABYTE:.1f}", slope(samples)]
        for name, samples in memory.samples.items()
    ]
    return (
        "\n\n".join(
            [
                "# Soak",
                table(["machine", ""], machine.items()),
                f"One image as JSON, {load.rate:,.0f} requests a second in open loop: {SHARE:.0%} of a peak of "
                f"{peak:,.0f} ({CALLERS} callers, same generator). {requests:,} requests, **{failed} failed**{how}; "
                f"p99 of a minute: median {np.median(p99s):.1f} ms, {min(p99s):.1f} to {max(p99s):.1f}.",
                f"Memory (resident, anonymous); its slope by least squares after the first {SETTLING_S:.0f} s:",
                table(["process", "first, MB", "last, MB", "slope, MB/h (± standard error)"], growth),
                table(
                    ["minute", "requests", "failed", "p50, ms", "p99, ms", "of it late sending, p99, ms"],
                    [one.row() for one in minutes],
                ),
            ]
        )
        + "\n"
    )


def slope(samples: list[tuple[float, float]]) -> str:
    """MB an hour, with its standard error."""
    seconds, sizes = np.array([one for one in samples if one[0] >= SETTLING_S] or samples).T
    if len(seconds) < 4:
        return "too short to say"
    hours, megabytes = seconds / 3600, sizes / MEGABYTE
    (gradient, _), covariance = np.polyfit(hours, megabytes, 1, cov=True)
    return f"{gradient:+.2f} ± {covariance[0, 0] ** 0.5:.2f}"


if __name__ == "__main__":
    sys.exit(main())
