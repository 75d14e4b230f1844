"""The model server in the test's own process: all of it but the command line, without TensorFlow's import time.

For what does not depend on signals, exit statuses or what is printed; those need `ModelServerProcess`.
"""

import logging
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from serving.model_server.flags import parse
from serving.model_server.server import Server
from tests import tiny_models
from tests.model_server_process import START_TIMEOUT_S, ModelServerClient
from tests.ports import free_port

_SERVER_LOGGER = logging.getLogger("serving.model_server")


class ModelServerInProcess:
    """One server on ports of its own. Its log is the package's, so one at a time."""

    def __init__(self, log: Path, *flags: str) -> None:
        self.port, self.rest_port = free_port(), free_port()
        self._log = log
        self._stop = threading.Event()
        self._handler = logging.FileHandler(log)
        _SERVER_LOGGER.addHandler(self._handler)
        _SERVER_LOGGER.setLevel(logging.INFO)
        parsed = parse([f"--port={self.port}", f"--rest_api_port={self.rest_port}", *flags])
        assert not parsed.unknown, parsed.unknown
        self._server = Server(parsed.flags, self._stop)
        self._starter = ThreadPoolExecutor(1, "start")
        self._starting = self._starter.submit(self._server.start)
        self.client = ModelServerClient(f"127.0.0.1:{self.port}", f"127.0.0.1:{self.rest_port}")

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait_until_ready(self) -> "ModelServerInProcess":
        """Wait until the ports are open."""
        self._starting.result(START_TIMEOUT_S)
        return self

    def kill(self) -> None:
        """Leave nothing behind."""
        self.client.close()
        self._stop.set()
        wait([self._starting], START_TIMEOUT_S)
        self._starter.shutdown()
        self._server.stop()
        _SERVER_LOGGER.removeHandler(self._handler)
        self._handler.close()


Start = Callable[..., ModelServerInProcess]
Main = Callable[..., tuple[int, str]]


def put(version: Path, base: Path) -> Path:
    """Publish a copy of a version, whole."""
    base.mkdir(parents=True, exist_ok=True)
    staging = shutil.copytree(version, base / f".{version.name}.staging")
    return staging.rename(base / version.name)


def half_server(start: Start, base: Path, *flags: str) -> ModelServerInProcess:
    return start("--model_name=half", f"--model_base_path={base}", *flags).wait_until_ready()


def answer(server: ModelServerInProcess, **spec: Any) -> tuple[int, float]:
    """The version that answered x = 2, and its answer."""
    response = server.client.prediction.Predict(tiny_models.predict_request("half", x=[2.0], **spec), timeout=60)
    return response.model_spec.version.value, response.outputs["y"].float_val[0]
