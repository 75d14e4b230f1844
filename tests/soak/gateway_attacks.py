"""A good client beside 10,000 bad connections, and in a flood: its answers, how late, and what the gateway weighs.

`python -m tests.soak.gateway_attacks [connections]` prints a line an attack; it ends with 1 if the good client was once
not answered, or a worker died.
"""

import http.client
import json
import multiprocessing
import resource
import selectors
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import psutil

from tests.fakes import FakeModelServer, WireModelServer, house_contract
from tests.gateway_process import GatewayProcess, gateway_process, wait_until
from tests.raw_client import head

PATH = "/v1/models/houses:regress"
BODY = json.dumps({"instances": [[3, 4]]})
CONNECTIONS = 10_000
PER_ADDRESS = 5_000  # an address has some 28,000 ports, and other tests want some too
REOPENED_PER_S = 500  # of those that the gateway closed; more than this is a flood, which costs the machine itself
FLOODERS, FLOOD_PER_S, FLOOD_S = 1_000, 1_000_000, 8.0  # nonsense from so many, each again as soon as it is answered
PHASE_S = 15.0
ATTACKS: dict[str, bytes] = {
    "silent": b"",
    "slow headers": b"POST / HTTP/1.1\r\nX-Slow: ",
    "slow bodies": head(PATH, "Content-Length: 100000") + b"{",
    "large bodies": head(PATH, "Content-Length: 200000") + b" " * 100_000,
    "nonsense": b"\x00\xff nonsense\r\n\r\n",
}


class GoodClient:
    """Asks again and again, each time on a new connection: who is attacked must still let newcomers in.

    Or on one that it keeps.
    """

    def __init__(self, port: int, *, keeps: bool) -> None:
        self._port, self._keeps = port, keeps
        self.seconds: list[float] = []
        self.failures: list[str] = []

    def ask_for(self, duration_s: float) -> None:
        until = time.monotonic() + duration_s
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        while time.monotonic() < until:
            began = time.perf_counter()
            try:
                connection.request("POST", PATH, BODY, {"Content-Type": "application/json"})
                response = connection.getresponse()
                response.read()
                if response.status != 200:
                    self.failures.append(str(response.status))
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
            if not self._keeps:
                connection.close()
            self.seconds.append(time.perf_counter() - began)
        connection.close()


class Attack:
    """A process that holds so many connections, and opens a new one for each that is closed."""

    def __init__(self, port: int, connections: int, beginning: bytes, reopened_per_s: int = REOPENED_PER_S) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._is_over = spawn.Event()
        self.opened, self.closed_by_the_gateway = spawn.Value("i", 0), spawn.Value("i", 0)
        counts = (self._is_over, self.opened, self.closed_by_the_gateway)
        arguments = (port, connections, beginning, reopened_per_s, *counts)
        self._process = spawn.Process(target=attack, args=arguments)

    def __enter__(self) -> "Attack":
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._process.join()


def attack(
    port: int, connections: int, beginning: bytes, reopened_per_s: int, is_over: Any, opened: Any, closed: Any
) -> None:
    """The attacking process."""
    allow_open_files(connections)
    began = time.monotonic()
    selector, unsent = selectors.DefaultSelector(), dict[socket.socket, memoryview]()
    while not is_over.is_set():
        allowed = connections + int(reopened_per_s * (time.monotonic() - began)) - opened.value
        for _ in range(min(100, connections - len(unsent), allowed)):
            client = socket.socket()
            client.setblocking(False)
            client.bind((f"127.0.0.{2 + opened.value % connections // PER_ADDRESS}", 0))
            client.connect_ex(("127.0.0.1", port))
            unsent[client] = memoryview(beginning)
            selector.register(client, selectors.EVENT_READ | selectors.EVENT_WRITE)
            opened.value += 1
        for key, events in selector.select(0.02):
            client = key.fileobj  # type: ignore[assignment]
            try:
                if events & selectors.EVENT_WRITE:
                    unsent[client] = unsent[client][client.send(unsent[client]) :]
                    if not unsent[client]:
                        selector.modify(client, selectors.EVENT_READ)
                if events & selectors.EVENT_READ and not client.recv(65536):
                    raise ConnectionResetError
            except BlockingIOError:
                continue
            except OSError:
                closed.value += 1
                selector.unregister(client)
                del unsent[client]
                client.close()


def allow_open_files(connections: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(connections + 1000, hard), hard))


class Weight:
    """The most memory that the workers took together."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._gateway, self.most_bytes = gateway, 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Weight":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(0.2):
            with suppress(psutil.Error):
                weight = sum(worker.memory_info().rss for worker in self._gateway.workers())
                self.most_bytes = max(self.most_bytes, weight)


def measure(name: str, gateway: GatewayProcess, duration_s: float = PHASE_S, *, keeps: bool = False) -> int:
    """One line; the number of failures."""
    good = GoodClient(gateway.port, keeps=keeps)
    with Weight(gateway) as weight:
        good.ask_for(duration_s)
    late = sorted(good.seconds)
    p50, p99, worst = (late[min(len(late) - 1, int(len(late) * part))] * 1e3 for part in (0.5, 0.99, 1.0))
    print(
        f"{name:14} {len(late) / duration_s:6.0f} answers/s   p50 {p50:6.1f} ms   p99 {p99:7.1f} ms   "
        f"worst {worst:7.1f} ms   failures {len(good.failures)}   {weight.most_bytes / 1e6:5.0f} MB",
        flush=True,
    )
    for failure in good.failures[:3]:
        print("   ", failure)
    return len(good.failures)


def main(connections: int) -> int:
    server = WireModelServer(FakeModelServer(house_contract()))
    failures = 0
    with gateway_process(server.address, "houses", ATELIER_WORKERS="2") as gateway:
        wait_until(gateway.is_ready, gateway.log)
        failures += measure("before", gateway)
        for name, beginning in ATTACKS.items():
            with Attack(gateway.port, connections, beginning) as crowd:
                wait_until(lambda crowd=crowd: crowd.opened.value >= connections)  # type: ignore[misc]
                failures += measure(name, gateway)
            print(f"    opened {crowd.opened.value}, closed by the gateway {crowd.closed_by_the_gateway.value}")
        for name, keeps in {"flood": False, "flood, kept": True}.items():
            with Attack(gateway.port, FLOODERS, ATTACKS["nonsense"], FLOOD_PER_S) as crowd:
                wait_until(lambda crowd=crowd: crowd.closed_by_the_gateway.value >= FLOODERS)  # type: ignore[misc]
                failures += measure(name, gateway, FLOOD_S, keeps=keeps)
            print(f"    opened {crowd.opened.value}, closed by the gateway {crowd.closed_by_the_gateway.value}")
        failures += measure("after", gateway)
        workers = len(gateway.workers())
        died = "was sent" in gateway.log() or "Traceback" in gateway.log()
    server.stop()
    print(f"{workers} workers, {'one died, or failed: see the log' if died else 'none died'}; {failures} failures")
    return int(bool(failures or died))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else CONNECTIONS))
