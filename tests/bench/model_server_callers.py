"""Callers in a process of their own, that cost little: they send the same bytes again and again, and read no reply.

`python -m tests.bench.model_server_callers` reads lines `PORT CALLERS SECONDS REQUEST_FILE`, and answers each with the
calls made and the seconds they took. A call that fails ends the program.
"""

import sys
import threading
import time
from pathlib import Path

import grpc

PREDICT = "/tensorflow.serving.PredictionService/Predict"
TIMEOUT_S = 60.0
_OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


class Caller:
    """One client with one connection: it calls again as soon as it has its answer."""

    def __init__(self, port: int, request: bytes) -> None:
        self.calls = 0
        self.error: grpc.RpcError | None = None
        self.ended = threading.Event()
        self._request = request
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=_OWN_CONNECTION)
        self._predict = self._channel.unary_unary(PREDICT)
        self._until_s = 0.0

    def warm_up(self) -> None:
        """Connect, and make one call."""
        self._predict(self._request, timeout=TIMEOUT_S, wait_for_ready=True)

    def start(self, until_s: float) -> None:
        """Call until then, from gRPC's own thread: no thread of ours is woken for a reply."""
        self._until_s = until_s
        self._call()

    def close(self) -> None:
        """Hang up."""
        self._channel.close()

    def _call(self) -> None:
        self._predict.future(self._request, timeout=TIMEOUT_S).add_done_callback(self._answered)

    def _answered(self, call: grpc.Future) -> None:
        self.error = call.exception()
        self.calls += 1
        if self.error is None and time.perf_counter() < self._until_s:
            self._call()
        else:
            self.ended.set()


def run(port: int, count: int, seconds: float, request: bytes) -> tuple[int, float]:
    """Calls made by so many callers, and how long it took until the last was answered."""
    callers = [Caller(port, request) for _ in range(count)]
    for caller in callers:
        caller.warm_up()
    start_s = time.perf_counter()
    for caller in callers:
        caller.start(start_s + seconds)
    for caller in callers:
        caller.ended.wait()
        if caller.error:
            raise caller.error
    took_s = time.perf_counter() - start_s
    for caller in callers:
        caller.close()
    return sum(caller.calls for caller in callers), took_s


def main() -> None:
    for line in sys.stdin:
        port, count, seconds, file = line.split(maxsplit=3)
        calls, took_s = run(int(port), int(count), float(seconds), Path(file.strip()).read_bytes())
        print(calls, took_s, flush=True)


if __name__ == "__main__":
    main()
