"""The gateway's workers, then the model server, restarted under load: no request of 20,000 may fail.

The workers are renewed by SIGHUP, one whole set after the other; no request may be refused for that. The model server,
of which there is one, is stopped as Kubernetes stops it and started again: meanwhile requests are refused with a
Retry-After, and must succeed when it is followed, which the client does.

`ATELIER_STORE=… python -m tests.soak.gateway_rolling_restart`; ends with 1 if one of that does not hold.
"""

import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from serving.client import Client, ProblemError
from tests.e2e.local_stack import LocalStack, wait_until

CALLERS = 16
RELOADS = 5
CALLS_AT_LEAST = 20_000
CALL_TIMEOUT_S = 120.0  # of a patient client: starting a model server takes a while
RETRIES = 120


class Tally:
    """What the callers saw."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.done = threading.Event()
        self.answered = 0
        self.failed: list[str] = []
        self.slowest_s = 0.0

    def count(self, seconds: float, failure: str | None) -> None:
        with self._lock:
            self.slowest_s = max(self.slowest_s, seconds)
            self.answered += failure is None
            if failure is not None:
                self.failed.append(failure)

    @property
    def calls(self) -> int:
        return self.answered + len(self.failed)


def main() -> int:
    stack = LocalStack(Path(os.environ.get("ATELIER_STORE", "models")), ATELIER_WORKERS="2")
    try:
        stack.wait_until_up()
        return soak(stack)
    finally:
        stack.stop()


def soak(stack: LocalStack) -> int:
    with stack.client() as client:
        model = client.models()["models"][0]["name"]
        golden = client.contract(model).goldens[0].instance
    impatient = under_load(stack, model, golden, renew_workers, retries=0)
    print(f"workers renewed {RELOADS} times: {describe(impatient)}")
    patient = under_load(stack, model, golden, restart_model_server, retries=RETRIES)
    print(f"model server restarted: {describe(patient)}")
    calls = impatient.calls + patient.calls
    print(f"{calls} requests in all")
    return int(bool(impatient.failed or patient.failed) or calls < CALLS_AT_LEAST)


def under_load(stack: LocalStack, model: str, instance: Any, disturb: Any, retries: int) -> Tally:
    """Callers call until everything was restarted and their share of the calls is made."""
    tally = Tally()

    def call_until_done() -> None:
        with Client(stack.url, timeout_s=CALL_TIMEOUT_S, retries=retries) as client:
            while not tally.done.is_set():
                began, failure = time.monotonic(), None
                try:
                    client.predict(model, [instance])
                except (ProblemError, OSError) as error:
                    failure = f"{type(error).__name__}: {error}"
                tally.count(time.monotonic() - began, failure)

    with ThreadPoolExecutor(CALLERS) as pool:
        callers = [pool.submit(call_until_done) for _ in range(CALLERS)]
        try:
            disturb(stack, tally)
            wait_until(lambda: tally.calls >= CALLS_AT_LEAST // 2, 600)
        finally:
            tally.done.set()
        for caller in callers:
            caller.result()
    return tally


def renew_workers(stack: LocalStack, tally: Tally) -> None:
    main_process = next(one for one in stack.descendants() if one.cmdline()[-2:] == ["serving.gateway", "http"])
    for number in range(RELOADS):
        wait_until(lambda number=number: tally.calls >= CALLS_AT_LEAST // 2 * number // RELOADS, 600)
        old = main_process.children()
        main_process.send_signal(signal.SIGHUP)
        wait_until(lambda old=old: not any(is_running(worker) for worker in old), 120)


def restart_model_server(stack: LocalStack, tally: Tally) -> None:
    wait_until(lambda: tally.calls >= CALLERS, 600)
    old = stack.model_server()
    old.terminate()
    wait_until(lambda: not is_running(old), 120)
    seen = tally.answered
    wait_until(lambda: tally.answered >= seen + 10 * CALLERS, 600)


def is_running(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def describe(tally: Tally) -> str:
    return f"{tally.answered} answered, slowest {tally.slowest_s:.2f} s; {len(tally.failed)} failed {tally.failed[:5]}"


if __name__ == "__main__":
    sys.exit(main())
