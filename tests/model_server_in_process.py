"""The model server in the test's own process: all of it but the command line, without TensorFlow's import time.

For what does not depend on signals, exit statuses or what is printed; those need `ModelServerProcess`.
"""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from serving.model_server.flags import parse
from serving.model_server.server import Server
from tests.model_server_process import START_TIMEOUT_S, ModelServerClient, free_port

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
