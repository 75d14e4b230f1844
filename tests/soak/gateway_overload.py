"""Three times the load a door can carry, for a minute: what it still carries, in which time, and how it recovers.

The peak is what a closed loop of as many callers as the gateway takes gets done, before and after. The overload is an
open loop: its requests come whether or not the ones before were answered. Model server, gateway and load share the
processors, so what the load takes is missing to the service.

`ATELIER_STORE=… python -m tests.soak.gateway_overload [http|grpc] [model]`; ends with 1 if a goal is missed.
"""

import collections
import json
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from serving.contract import ImageInput, ModelContract
from serving.gateway.grpc_api import SERVICE as PREDICTION_SERVICE
from serving.generated.atelier.prediction.v1 import prediction_pb2 as wire
from tests import grpc_load, http_load
from tests.bench.generators import cpu_of_children
from tests.e2e.local_stack import LocalStack
from tests.http_load import GAVE_UP, NEVER_SENT, Connection, Exchange, Load, send

WORKERS, THREADS = 2, 32
PEAK_S, OVERLOAD_S, CALM_S = 10.0, 60.0, 10.0
FACTOR, MIN_FACTOR = 3, 2.5  # of the peak: asked of the senders, and what they must have sent
DEADLINE_S = 1.0
PROCESSES = 2  # that send
CONNECTIONS = 400  # of each of them, at most

MIN_GOODPUT = 0.8  # of the peak
MAX_GROWTH_BYTES = 100e6  # of all gateway processes together
MAX_RECOVERY_S = 5.0


@dataclass(frozen=True)
class Door:
    """What is sent to which port, and how many callers are admitted there at a time."""

    name: str
    port: int
    request: bytes
    protocol: type[Connection]
    callers: int

    def load(self, seconds: float, connections: int, rate: float | None = None, timeout_s: float = 30.0) -> Load:
        return Load(self.port, self.request, seconds, connections, rate, timeout_s, self.protocol)


def main() -> int:
    name = sys.argv[1] if len(sys.argv) > 1 else "http"
    model = sys.argv[2] if len(sys.argv) > 2 else "fashion"
    store = Path(os.environ.get("ATELIER_STORE", "models"))
    stack = LocalStack(store, ATELIER_WORKERS=str(WORKERS), ATELIER_THREADS=str(THREADS))
    try:
        stack.wait_until_up()
        with stack.client() as client:
            contract = client.contract(model)
        return soak(stack, DOORS[name](stack, contract))
    finally:
        stack.stop()


def http_door(stack: LocalStack, contract: ModelContract) -> Door:
    body = json.dumps({"instances": [contract.goldens[0].instance]}).encode()
    path = f"/v1/models/{contract.name}:predict"
    request = http_load.prepare(path, body, f"X-Request-Timeout: {DEADLINE_S}")
    return Door("http", stack.http_port, request, Connection, WORKERS * THREADS)


def grpc_door(stack: LocalStack, contract: ModelContract) -> Door:
    """One process, so that fewer are admitted."""
    ask = {"classification": wire.ClassifyRequest, "regression": wire.RegressRequest}[contract.task]
    message = ask(model=contract.name, instances=[as_message(contract, contract.goldens[0].instance)])
    method = f"/{PREDICTION_SERVICE}/{ask.DESCRIPTOR.name.removesuffix('Request')}"
    request = grpc_load.prepare(method, message.SerializeToString(), DEADLINE_S)
    return Door("grpc", stack.grpc_port, request, grpc_load.GrpcConnection, THREADS)


def as_message(contract: ModelContract, instance: Any) -> wire.Instance:
    if isinstance(contract.input, ImageInput):
        return wire.Instance(image=wire.Image(pixels=np.array(instance, np.uint8).tobytes()))
    return wire.Instance(features=wire.Features(values=instance))


DOORS = {"http": http_door, "grpc": grpc_door}


def soak(stack: LocalStack, door: Door) -> int:
    carried(door)  # warms up
    calm_s = median_latency(calm(door))
    senders_s = [cpu_of_children()]
    before = carried(door)
    senders_s.append(cpu_of_children())
    with MemoryWatch(gateway_processes(stack, door.name)) as memory:
        overload = door.load(OVERLOAD_S, CONNECTIONS, FACTOR * before / PROCESSES, 10 * DEADLINE_S)
        exchanges = send(overload, PROCESSES)
    senders_s.append(cpu_of_children())
    recovery_s = time_to_recover(calm(door), calm_s)
    peak = (before + carried(door)) / 2

    # A deadline runs from when a request is sent, so what the senders were late themselves is told beside.
    sent = [one for one in exchanges if one.status != NEVER_SENT]
    good = [one for one in sent if one.status == 200 and one.latency_s - one.late_s <= DEADLINE_S]
    accepted = sorted(one.latency_s - one.late_s for one in sent if one.status in (200, 504))
    late = sorted(one.late_s for one in sent)
    refused = sorted(one.latency_s - one.late_s for one in sent if one.status == 503)
    without_hint = sum(one.status == 503 and not one.retry_after_s for one in exchanges)
    goodput = len(good) / OVERLOAD_S
    p99_s = quantile(accepted, 0.99)
    print(f"peak {peak:.0f} answers a second ({before:.0f} before, {2 * peak - before:.0f} after)")
    print(f"offered {len(sent) / OVERLOAD_S:.0f} a second; statuses {statuses(sent)}; never sent {unsent(exchanges)}")
    print(f"goodput {goodput:.0f} a second, {goodput / peak:.0%} of the peak")
    print(
        f"accepted: p50 {quantile(accepted, 0.5) * 1e3:.0f} ms, p99 {p99_s * 1e3:.0f} ms of {DEADLINE_S:.0f} s allowed"
    )
    print(f"senders late: p50 {quantile(late, 0.5) * 1e3:.0f} ms, p99 {quantile(late, 0.99) * 1e3:.0f} ms")
    print(f"refused: p50 {quantile(refused, 0.5) * 1e3:.0f} ms, p99 {quantile(refused, 0.99) * 1e3:.0f} ms")
    at_peak_s, in_overload_s = np.diff(senders_s)
    print(
        f"processors taken by the senders: {at_peak_s / PEAK_S:.2f} at the peak, "
        f"{in_overload_s / OVERLOAD_S:.2f} in the overload, of {os.cpu_count()}"
    )
    print(f"memory of the gateway: {memory.first / 1e6:.0f} MB, at most {memory.most / 1e6:.0f} MB")
    print(f"back to normal after {recovery_s:.1f} s (normal: p50 {calm_s * 1e3:.1f} ms)")
    is_met = {
        f"offered at least {MIN_FACTOR} times the peak": len(sent) / OVERLOAD_S >= MIN_FACTOR * peak,
        f"goodput of at least {MIN_GOODPUT:.0%} of the peak": goodput >= MIN_GOODPUT * peak,
        "p99 of the accepted within their deadline": p99_s <= DEADLINE_S,
        "memory bounded": memory.most - memory.first <= MAX_GROWTH_BYTES,
        f"back to normal within {MAX_RECOVERY_S:.0f} s": recovery_s <= MAX_RECOVERY_S,
        "every request answered": not any(one.status == GAVE_UP for one in sent),
        "every refusal says when to come back": without_hint == 0,
    }
    for goal, met in is_met.items():
        print("met   " if met else "MISSED", goal)
    return int(not all(is_met.values()))


def carried(door: Door) -> float:
    """Answers a second when half as many callers call as are admitted."""
    exchanges = send(door.load(PEAK_S, door.callers // 2))
    return sum(one.status == 200 for one in exchanges) / PEAK_S


def calm(door: Door) -> list[Exchange]:
    """Two callers."""
    return send(door.load(CALM_S, 2))


def time_to_recover(exchanges: list[Exchange], calm_s: float) -> float:
    """Seconds until all is answered, half of it within twice the usual time, from then on."""
    for second in range(int(CALM_S)):
        later = [one for one in exchanges if one.due_s >= second]
        if later and {one.status for one in later} == {200} and median_latency(later) <= 2 * calm_s:
            return float(second)
    return CALM_S


def median_latency(exchanges: list[Exchange]) -> float:
    return quantile(sorted(one.latency_s for one in exchanges), 0.5)


def quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def unsent(exchanges: list[Exchange]) -> int:
    return sum(one.status == NEVER_SENT for one in exchanges)


def statuses(exchanges: list[Exchange]) -> dict[int, int]:
    return dict(collections.Counter(one.status for one in exchanges).most_common())


def gateway_processes(stack: LocalStack, door: str) -> list[psutil.Process]:
    main_process = next(one for one in stack.descendants() if one.cmdline()[-2:] == ["serving.gateway", door])
    return [main_process, *main_process.children()]


class MemoryWatch:
    """What processes hold together, looked at every second."""

    def __init__(self, processes: list[psutil.Process]) -> None:
        self._processes = processes
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.first = self.most = self._now()

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(1.0):
            self.most = max(self.most, self._now())

    def _now(self) -> int:
        return sum(process.memory_info().rss for process in self._processes)


if __name__ == "__main__":
    sys.exit(main())
