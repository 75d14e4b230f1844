"""The gateway as an operator starts it: a real process with real workers on a free port, its log kept."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil

from tests.ports import free_port

# Generous, for a loaded machine: only a failing test waits so long.
DEADLINE_S = 60.0
GATEWAY = ("-m", "serving.gateway", "http")


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class GatewayProcess:
    """A running gateway."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log_path: str) -> None:
        self.process, self.port, self._log_path = process, port, log_path

    def request(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
        """One request on a connection of its own; a dict or list is sent as JSON."""
        headers = dict(headers or {})
        if isinstance(body, dict | list):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())
        finally:
            connection.close()

    def is_ready(self) -> bool:
        try:
            return self.request("GET", "/readyz").status == 200
        except OSError:
            return False

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def log(self) -> str:
        with open(self._log_path) as file:  # noqa: PTH123
            return file.read()

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)


@contextmanager
def gateway_process(
    model_server: str, models: str, command: Sequence[str] = GATEWAY, **settings: str
) -> Iterator[GatewayProcess]:
    """Start a gateway, wait until it answers, stop it at the end."""
    port = free_port()
    environ = {
        **os.environ,
        "ATELIER_MODELS": models,
        "ATELIER_MODEL_SERVER": model_server,
        "ATELIER_HTTP_PORT": str(port),
        "ATELIER_POLL_INTERVAL_S": "0.2",
        "ATELIER_REQUEST_TIMEOUT_S": str(DEADLINE_S),  # a busy machine is not a reason to refuse
        **settings,
    }
    with tempfile.NamedTemporaryFile(prefix="gateway-", suffix=".log") as log:
        process = subprocess.Popen([sys.executable, *command], env=environ, stdout=log, stderr=log)
        gateway = GatewayProcess(process, port, log.name)
        try:
            wait_until(lambda: process.poll() is not None or answers(port), gateway.log)
            yield gateway
        finally:
            if process.poll() is None:
                gateway.stop()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(is_so: Callable[[], bool], what_else: Callable[[], object] = lambda: "") -> None:
    """Wait for a condition, or fail with what else is known."""
    deadline = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < deadline, what_else()
        time.sleep(0.02)
