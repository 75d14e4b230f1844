"""Coalescing on and off, side by side: requests a second, latency, processor time a request; at 1, 16 and 64 callers.

Two stacks, each a model server and a gateway of two workers that refuse none of the callers, on the same store;
rounds alternate between them, so that what else happens on the machine happens to both. Prints; asserts nothing.
Callers, gateways and model servers share the processors. Run with a trained store: `make bench-parts`, or
`ATELIER_STORE=… python -m tests.bench.gateway_coalescing`.
"""

import json
import os
import statistics
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.e2e.local_stack import LocalStack
from tests.http_load import Exchange, Load, prepare, send

CALLERS = (1, 16, 64)
ROUNDS = 5
ROUND_S = 3.0


@dataclass(frozen=True)
class Round:
    """What one round measured."""

    rate: float  # requests a second
    p50_s: float
    p99_s: float
    gateway_s: float  # processor time a request
    model_server_s: float

    @property
    def cpu_s(self) -> float:
        return self.gateway_s + self.model_server_s


def main() -> None:
    store = Path(os.environ.get("ATELIER_STORE", "models"))
    stacks = {
        name: LocalStack(store, ATELIER_COALESCE=value, ATELIER_WORKERS="2", ATELIER_THREADS="64")
        for name, value in (("off", "false"), ("on", "true"))
    }
    try:
        for stack in stacks.values():
            stack.wait_until_up()
        with stacks["on"].client() as client:
            models = [model["name"] for model in client.models()["models"]]
            goldens = {model: client.contract(model).goldens[0].instance for model in models}
        for model, golden in goldens.items():
            request = prepare(f"/v1/models/{model}:predict", json.dumps({"instances": [golden]}).encode())
            for callers in CALLERS:
                compare(model, request, callers, stacks)
    finally:
        for stack in stacks.values():
            stack.stop()


def compare(model: str, request: bytes, callers: int, stacks: dict[str, LocalStack]) -> None:
    """Alternating rounds; the first of each, which warms up, does not count."""
    rounds: dict[str, list[Round]] = {name: [] for name in stacks}
    for number in range(ROUNDS + 1):
        for name, stack in stacks.items():
            measured = measure(stack, Load(stack.http_port, request, ROUND_S, callers))
            if number:
                rounds[name].append(measured)
    print(f"{model}, {callers} callers, one instance a request: medians of {ROUNDS} rounds")
    for name, measured in rounds.items():
        print(f"  {name:<4}{describe(median(measured))}")
    on, off = median(rounds["on"]), median(rounds["off"])
    print(
        f"  on / off: requests a second {on.rate / off.rate:.2f}, processor time {on.cpu_s / off.cpu_s:.2f}", flush=True
    )


def measure(stack: LocalStack, load: Load) -> Round:
    gateway, model_server = processes(stack)
    before = cpu_s(gateway), cpu_s(model_server)
    exchanges = send(load)
    used = cpu_s(gateway) - before[0], cpu_s(model_server) - before[1]
    assert {exchange.status for exchange in exchanges} == {200}, "a request failed"
    p50_s, p99_s = percentiles(exchanges)
    count = len(exchanges)
    return Round(count / load.seconds, p50_s, p99_s, used[0] / count, used[1] / count)


def processes(stack: LocalStack) -> tuple[list[psutil.Process], list[psutil.Process]]:
    """The HTTP gateway's, and the model server."""
    main_process = next(one for one in stack.descendants() if one.cmdline()[-2:] == ["serving.gateway", "http"])
    return [main_process, *main_process.children()], [stack.model_server()]


def cpu_s(group: list[psutil.Process]) -> float:
    return sum(times.user + times.system for times in (process.cpu_times() for process in group))


def percentiles(exchanges: list[Exchange]) -> tuple[float, float]:
    latencies = sorted(exchange.latency_s for exchange in exchanges)
    return latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]


def median(rounds: list[Round]) -> Round:
    """Of each figure by itself."""
    return Round(*(statistics.median(getattr(one, field) for one in rounds) for field in Round.__annotations__))


def describe(one: Round) -> str:
    return (
        f"{one.rate:6.0f}/s  p50 {one.p50_s * 1e3:6.1f} ms  p99 {one.p99_s * 1e3:6.1f} ms  processor time a request: "
        f"gateway {one.gateway_s * 1e3:.2f} ms, model server {one.model_server_s * 1e3:.2f} ms"
    )


if __name__ == "__main__":
    main()
