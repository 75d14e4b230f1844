"""Starts `python -m serving.model_server` as users do, and talks to it with the official stubs and plain HTTP."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from tests.ports import free_port

START_TIMEOUT_S = 120.0  # importing TensorFlow takes some seconds, more on a busy machine


def wait_until(condition: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    """What the condition gives, once it gives something."""
    deadline = time.monotonic() + timeout_s
    while not (result := condition()):
        assert time.monotonic() < deadline, f"waited {timeout_s} s in vain for {condition}"
        time.sleep(0.05)
    return result


@dataclass(frozen=True)
class HttpReply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        assert list(self.json) == ["error"]
        return str(self.json["error"])


class ModelServerClient:
    """Both doors of a model server at an address."""

    def __init__(self, grpc_address: str, rest_address: str) -> None:
        self.grpc_address, self.rest_address = grpc_address, rest_address
        self.channel = grpc.insecure_channel(grpc_address, options=[("grpc.max_receive_message_length", -1)])
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.model = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def http(self, method: str, target: str, body: Any = None, headers: Mapping[str, str] | None = None) -> HttpReply:
        """One request; a body that is not bytes is sent as JSON."""
        connection = http.client.HTTPConnection(self.rest_address, timeout=60)
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, target, data, dict(headers or {}))
            response = connection.getresponse()
            return HttpReply(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def states(self, model: str) -> dict[int, str]:
        """Version -> state, over REST; empty for an unknown model."""
        reply = self.http("GET", f"/v1/models/{model}")
        return {int(item["version"]): item["state"] for item in reply.json.get("model_version_status", [])}

    def close(self) -> None:
        self.channel.close()


class ModelServerProcess:
    """A model server of our own, in a process of its own."""

    def __init__(self, log: Path, *flags: str) -> None:
        self.port, self.rest_port = free_port(), free_port()
        self._log = log
        ports = [f"--port={self.port}", f"--rest_api_port={self.rest_port}"]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "serving.model_server", *ports, *flags],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
            )
        self.client = ModelServerClient(f"127.0.0.1:{self.port}", f"127.0.0.1:{self.rest_port}")

    @property
    def log(self) -> str:
        return self._log.read_text()

    def wait_until_ready(self) -> "ModelServerProcess":
        """Wait for the line that users wait for."""
        wait_until(lambda: "Exporting HTTP/REST API at" in self.log or not self.is_running, START_TIMEOUT_S)
        assert self.is_running, self.log
        return self

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float = START_TIMEOUT_S) -> int:
        """The exit status."""
        return self._process.wait(timeout_s)

    def kill(self) -> None:
        """Leave nothing behind."""
        self.client.close()
        if self.is_running:
            self._process.kill()
        self._process.wait(60)


def write_model_config(path: Path, models: Mapping[str, Path], extra: str = "") -> Path:
    """A text ModelServerConfig; `extra` goes into every model."""
    items = "".join(
        f'config {{ name: "{name}" base_path: "{base}" model_platform: "tensorflow" {extra} }}\n'
        for name, base in models.items()
    )
    path.write_text(f"model_config_list {{\n{items}}}\n")
    return path
