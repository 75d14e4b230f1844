"""`python -m serving` as a user starts it: a real process tree on free ports, its output kept."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from serving.client import Client
from tests.ports import free_port

DEADLINE_S = 120.0


class LocalStack:
    """The running stack; `stop` ends it as Ctrl-C does and returns its exit code."""

    def __init__(self, store: Path, **settings: str) -> None:
        self.http_port, self.grpc_port, metrics_port, server_port, rest_port = (free_port() for _ in range(5))
        environ = {
            **os.environ,
            "ATELIER_STORE": str(store),
            "ATELIER_HTTP_PORT": str(self.http_port),
            "ATELIER_GRPC_PORT": str(self.grpc_port),
            "ATELIER_GRPC_METRICS_PORT": str(metrics_port),
            "ATELIER_MODEL_SERVER_PORT": str(server_port),
            "ATELIER_MODEL_SERVER_REST_PORT": str(rest_port),
            **settings,
        }
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.output: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "serving"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_until_up(self) -> None:
        self.wait_for_output("Atelier is up")

    def wait_for_output(self, text: str) -> None:
        wait_until(lambda: any(text in line for line in self.output) or self.process.poll() is not None)
        assert any(text in line for line in self.output), "".join(self.output)

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def model_server(self) -> psutil.Process:
        return next(child for child in self.descendants() if "serving.model_server" in child.cmdline())

    def client(self) -> Client:
        return Client(self.url)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def stop_by_itself(self) -> int:
        """Wait for it to end without a signal."""
        self.process.wait(DEADLINE_S)
        return self.stop()

    def text(self) -> str:
        return "".join(self.output)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)


def wait_until(condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
