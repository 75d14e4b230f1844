"""Ten version swaps under sixteen gRPC clients: no call may fail, and each answer is right for the version it names.

`python -m tests.soak.model_server_swaps`; ends with 1 if one of that does not hold.
"""

import collections
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from tests import tiny_models
from tests.model_server_process import ModelServerClient, ModelServerProcess, wait_until

CLIENTS = 16
SWAPS = 10
CALLS = 20_000


class Tally:
    """What the clients saw."""

    def __init__(self) -> None:
        self.answers: collections.Counter[int] = collections.Counter()  # version -> right answers
        self.wrong: list[tuple[int, float]] = []
        self.failures: list[str] = []
        self.slowest_s = 0.0
        self._lock = threading.Lock()

    @property
    def calls(self) -> int:
        with self._lock:
            return self.answers.total() + len(self.wrong) + len(self.failures)

    def call(self, client: ModelServerClient, number: float) -> None:
        """Ask for number / 2 + version, and note the answer."""
        started = time.perf_counter()
        try:
            response = client.prediction.Predict(tiny_models.predict_request("half", x=[number]), timeout=60)
        except grpc.RpcError as error:
            with self._lock:
                self.failures.append(f"{error.code()}: {error.details()}")
            return
        version, answer = response.model_spec.version.value, response.outputs["y"].float_val[0]
        with self._lock:
            self.slowest_s = max(self.slowest_s, time.perf_counter() - started)
            if answer == number / 2 + version:
                self.answers[version] += 1
            else:
                self.wrong.append((version, answer))


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch) / "half"
        publish(base, 1)
        server = ModelServerProcess(Path(scratch) / "log", "--model_name=half", f"--model_base_path={base}")
        try:
            return report(swap_under_load(server.wait_until_ready(), base))
        finally:
            server.kill()


def publish(base: Path, version: int) -> None:
    tiny_models.publish(lambda path: tiny_models.half_plus_two(path, float(version)), base, version)


def swap_under_load(server: ModelServerProcess, base: Path) -> Tally:
    """Publish version after version, each when its share of the calls is made."""
    tally, done = Tally(), threading.Event()

    def call_until_done(_: int) -> None:
        client = ModelServerClient(f"127.0.0.1:{server.port}", "")
        number = 0.0
        while not done.is_set():
            tally.call(client, number)
            number = (number + 2) % 1024  # whole in float32, halved too
        client.close()

    with ThreadPoolExecutor(CLIENTS) as clients:
        running = [clients.submit(call_until_done, client) for client in range(CLIENTS)]
        try:
            for version in range(2, SWAPS + 2):
                wait_until(lambda version=version: tally.calls >= CALLS // (SWAPS + 1) * (version - 1), 300)
                publish(base, version)
                gone = {version: "AVAILABLE", version - 1: "END"}
                wait_until(lambda gone=gone: gone.items() <= server.client.states("half").items(), 120)
            wait_until(lambda: tally.calls >= CALLS, 300)
        finally:
            done.set()
        for future in running:
            future.result()
    return tally


def report(tally: Tally) -> int:
    print(f"{tally.calls} calls of {CLIENTS} clients over {SWAPS} swaps; slowest {tally.slowest_s * 1e3:.0f} ms")
    print("right answers by version:", dict(sorted(tally.answers.items())))
    print(f"{len(tally.wrong)} wrong {tally.wrong[:5]}, {len(tally.failures)} failed {tally.failures[:5]}")
    all_served = set(tally.answers) == set(range(1, SWAPS + 2))
    return int(bool(tally.wrong or tally.failures) or not all_served or tally.calls < CALLS)


if __name__ == "__main__":
    sys.exit(main())
