"""Images a second through Predict, and processor time for each, for a 784-300-100-10 classifier.

A naive server, ours, ours with batching, the session callable without a network, and servers that answer a constant.
Callers run in a process of their own. Rounds alternate between all of them, so that what else happens on the machine
happens to all; medians and ratios are printed, nothing is asserted. Run with `python -m tests.bench.model_server`.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from serving.model_server.flags import Flags
from serving.model_server.loader import SavedModelLoader
from serving.model_server.servable import ServableId
from serving.model_server.session_config import session_config
from tests import tiny_models
from tests.model_server_process import ModelServerProcess
from tests.ports import free_port

ROUNDS = 5
ROUND_S = 1.0
BATCHING = (
    "max_batch_size { value: 64 } batch_timeout_micros { value: 1000 } max_enqueued_batches { value: 1000 } "
    "num_batch_threads { value: 2 }"
)
NAIVE, OURS, BATCHED, BARE = "(a) naive", "(b) ours", "(c) ours, batching", "(d) bare callable"
GRPC_FLOOR, OUR_FLOOR = "(e) constant, grpc.server", "(f) constant, our way"
RATIOS = ((OURS, NAIVE), (BATCHED, NAIVE), (OURS, BARE), (OURS, OUR_FLOOR))


@dataclass(frozen=True)
class Load:
    """How many call at a time, with how many images each."""

    callers: int
    batch: int

    def __str__(self) -> str:
        return f"{self.callers} callers, batch {self.batch}"


LOADS = (Load(1, 1), Load(16, 1), Load(64, 1), Load(16, 32))


@dataclass(frozen=True)
class Round:
    """What was seen of one variant for about a second."""

    images_a_second: float
    cpu_us: float  # of the server's process, for an image


Measure = Callable[[Load], Round]


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, ExitStack() as running:
        scratch = Path(directory)
        version = tiny_models.publish(tiny_models.classifier, scratch / "classifier", 1)
        callers = running.enter_context(Callers(scratch))
        variants = {name: callers.through(*address) for name, address in start_servers(running, scratch, version)}
        variants[BARE] = bare_callable(version)
        print(f"{psutil.cpu_count()} processors, load average {os.getloadavg()[0]:.1f}, {ROUNDS} rounds of {ROUND_S} s")
        for load in LOADS:
            report(load, measure(variants, load))


def start_servers(running: ExitStack, scratch: Path, version: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Each with its port and its process."""
    (scratch / "batching").write_text(BATCHING)
    flags = ("--model_name=classifier", f"--model_base_path={version.parent}")
    batching = ("--enable_batching", f"--batching_parameters_file={scratch / 'batching'}")
    for name, extra in ((OURS, ()), (BATCHED, batching)):
        server = ModelServerProcess(scratch / name, *flags, *extra)
        running.callback(server.kill)
        server.wait_until_ready()
        yield name, (server.port, server.pid)
    for name, command in (
        (NAIVE, ("naive", str(version))),
        (GRPC_FLOOR, ("floor", "grpc")),
        (OUR_FLOOR, ("floor", "direct")),
    ):
        yield name, running.enter_context(started(*command))


@contextmanager
def started(program: str, argument: str) -> Iterator[tuple[int, int]]:
    port = free_port()
    command = [sys.executable, "-m", f"tests.bench.model_server_{program}", argument, str(port)]
    process = subprocess.Popen(command, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    try:
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


class Callers:
    """The process that calls."""

    def __init__(self, scratch: Path) -> None:
        self._requests = {load.batch: scratch / f"request-{load.batch}" for load in LOADS}
        for batch, file in self._requests.items():
            request = tiny_models.predict_request("classifier", images=images(batch))
            file.write_bytes(request.SerializeToString())
        command = [sys.executable, "-m", "tests.bench.model_server_callers"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def __enter__(self) -> "Callers":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def through(self, port: int, pid: int) -> Measure:
        """Call the server at a port; the processor time is that of its process."""
        return lambda load: measured(load, psutil.Process(pid), lambda: self._call(port, load))

    def _call(self, port: int, load: Load) -> tuple[int, float]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{port} {load.callers} {ROUND_S} {self._requests[load.batch]}\n")
        calls, seconds = self._process.stdout.readline().split()
        return int(calls), float(seconds)


def images(batch: int) -> Any:
    return np.random.default_rng(batch).random((batch, 784), np.float32)


def measured(load: Load, process: psutil.Process, call: Callable[[], tuple[int, float]]) -> Round:
    before = process.cpu_times()
    calls, seconds = call()
    after = process.cpu_times()
    cpu_s = after.user + after.system - before.user - before.system
    return Round(calls * load.batch / seconds, cpu_s / (calls * load.batch) * 1e6)


def bare_callable(version: Path) -> Measure:
    """Our runner, in this process, called from threads."""
    sessions = session_config(Flags())
    loader = SavedModelLoader(
        ServableId("classifier", 1), version, ["serve"], sessions, lambda *_: None, lambda runner, _: runner
    )
    servable = loader.load()
    signature = servable.signatures["serving_default"]
    feed, fetch = signature.inputs["images"].name, signature.outputs["probabilities"].name
    arrays = {load.batch: images(load.batch) for load in LOADS}

    def run(load: Load) -> tuple[int, float]:
        return in_threads(load.callers, lambda: servable.runner.run({feed: arrays[load.batch]}, [fetch], None))

    return lambda load: measured(load, psutil.Process(), lambda: run(load))


def in_threads(count: int, call: Callable[[], Any]) -> tuple[int, float]:
    """Calls made in a round, and how long it took."""
    done = threading.Event()

    def call_until_done(_: int) -> int:
        calls = 0
        while not done.is_set():
            call()
            calls += 1
        return calls

    with ThreadPoolExecutor(count) as callers:
        start_s = time.perf_counter()
        counts = [callers.submit(call_until_done, caller) for caller in range(count)]
        time.sleep(ROUND_S)
        done.set()
        made = sum(calls.result() for calls in counts)
        return made, time.perf_counter() - start_s


def measure(variants: dict[str, Measure], load: Load) -> dict[str, list[Round]]:
    """The rounds of each variant; the first, which warms up, does not count."""
    rounds: dict[str, list[Round]] = {name: [] for name in sorted(variants)}
    for number in range(ROUNDS + 1):
        for name, seen in rounds.items():
            one = variants[name](load)
            if number:
                seen.append(one)
    return rounds


def report(load: Load, rounds: dict[str, list[Round]]) -> None:
    print(f"{load}: images a second, processor time an image; medians [lowest to highest]")
    for name, seen in rounds.items():
        rates, cpus = [one.images_a_second for one in seen], [one.cpu_us for one in seen]
        print(f"  {name:<26} {spread(rates, ''):<30} {spread(cpus, ' us')}")
    for over, under in RATIOS:
        pairs = list(zip(rounds[over], rounds[under], strict=True))
        rate = statistics.median(a.images_a_second / b.images_a_second for a, b in pairs)
        cpu = statistics.median(b.cpu_us / a.cpu_us for a, b in pairs)
        print(f"  {over} / {under}: {rate:.2f} by rate, {cpu:.2f} by processor time")
    sys.stdout.flush()


def spread(values: list[float], unit: str) -> str:
    return f"{statistics.median(values):7.0f}{unit} [{min(values):.0f} to {max(values):.0f}]"


if __name__ == "__main__":
    main()
