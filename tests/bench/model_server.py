"""Images a second through Predict, for a 784-300-100-10 classifier: a naive server, ours, ours with batching.

Beside them the bare session callable, without a network. Rounds alternate between the four, so that what else happens
on the machine happens to all; medians and ratios are printed, nothing is asserted. Callers and servers share the
processors. Run with `python -m tests.bench.model_server`.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from tensorflow.core.protobuf import config_pb2
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from serving.model_server.loader import SavedModelLoader
from serving.model_server.servable import ServableId
from tests import tiny_models
from tests.model_server_process import START_TIMEOUT_S, ModelServerProcess, free_port

ROUNDS = 5
ROUND_S = 1.0
BATCHING = (
    "max_batch_size { value: 64 } batch_timeout_micros { value: 1000 } max_enqueued_batches { value: 1000 } "
    "num_batch_threads { value: 2 }"
)


@dataclass(frozen=True)
class Load:
    """How many call at a time, with how many images each."""

    callers: int
    batch: int

    def __str__(self) -> str:
        return f"{self.callers:2} callers, batch {self.batch:2}"


LOADS = (Load(1, 1), Load(16, 1), Load(64, 1), Load(16, 32))
NAIVE, OURS, BATCHED, BARE = "(a) naive", "(b) ours", "(c) ours, batching", "(d) bare callable"

Call = Callable[[int], Any]  # makes one call with so many images


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        version = tiny_models.publish(tiny_models.classifier, Path(scratch) / "classifier", 1)
        (Path(scratch) / "batching").write_text(BATCHING)
        flags = ("--model_name=classifier", f"--model_base_path={version.parent}", "--grpc_max_threads=64")
        batching = ("--enable_batching", f"--batching_parameters_file={Path(scratch) / 'batching'}")
        ours = ModelServerProcess(Path(scratch) / "ours", *flags)
        batched = ModelServerProcess(Path(scratch) / "batched", *flags, *batching)
        naive, naive_port = start_naive(version)
        try:
            calls = {
                NAIVE: through_grpc(naive_port),
                OURS: through_grpc(ours.wait_until_ready().port),
                BATCHED: through_grpc(batched.wait_until_ready().port),
                BARE: bare_callable(version),
            }
            for load in LOADS:
                report(load, measure(calls, load))
        finally:
            naive.kill()
            naive.wait()
            ours.kill()
            batched.kill()


def start_naive(version: Path) -> tuple[subprocess.Popen[bytes], int]:
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.model_server_naive", str(version), str(port)]
    return subprocess.Popen(command, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}), port


def through_grpc(port: int) -> Call:
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    grpc.channel_ready_future(channel).result(START_TIMEOUT_S)
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    requests = {load.batch: request(load.batch) for load in LOADS}
    return lambda batch: stub.Predict(requests[batch], timeout=60)


def request(batch: int) -> predict_pb2.PredictRequest:
    return tiny_models.predict_request("classifier", images=images(batch))


def images(batch: int) -> Any:
    return np.random.default_rng(batch).random((batch, 784), np.float32)


def bare_callable(version: Path) -> Call:
    """Our runner, in this process."""
    loader = SavedModelLoader(
        ServableId("classifier", 1),
        version,
        ["serve"],
        config_pb2.ConfigProto(),
        lambda *_: None,
        lambda runner, _: runner,
    )
    servable = loader.load()
    signature = servable.signatures["serving_default"]
    feed, fetch = signature.inputs["images"].name, signature.outputs["probabilities"].name
    arrays = {load.batch: images(load.batch) for load in LOADS}
    return lambda batch: servable.runner.run({feed: arrays[batch]}, [fetch], None)


def measure(calls: dict[str, Call], load: Load) -> dict[str, list[float]]:
    """Images a second in every round; the first round, which warms up, does not count."""
    rates: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(ROUNDS + 1):
        for name, call in calls.items():
            rate = images_a_second(call, load)
            if number:
                rates[name].append(rate)
    return rates


def images_a_second(call: Call, load: Load) -> float:
    done = threading.Event()

    def call_until_done(_: int) -> int:
        count = 0
        while not done.is_set():
            call(load.batch)
            count += 1
        return count

    with ThreadPoolExecutor(load.callers) as callers:
        started = time.perf_counter()
        counts = [callers.submit(call_until_done, caller) for caller in range(load.callers)]
        time.sleep(ROUND_S)
        done.set()
        made = sum(count.result() for count in counts)
        return made * load.batch / (time.perf_counter() - started)


def report(load: Load, rates: dict[str, list[float]]) -> None:
    print(f"{load}: median images a second of {ROUNDS} rounds [lowest to highest]")
    for name, measured in rates.items():
        median = statistics.median(measured)
        print(f"  {name:<20} {median:9.0f}  [{min(measured):.0f} to {max(measured):.0f}]")
    for over, under in ((OURS, NAIVE), (BATCHED, NAIVE), (OURS, BARE)):
        ratio = statistics.median(a / b for a, b in zip(rates[over], rates[under], strict=True))
        print(f"  {over} / {under}: {ratio:.2f}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
