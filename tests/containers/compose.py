"""The compose project under test: `docker compose` with ports of its own and the embedded model server."""

import json
import os
import subprocess
from typing import Any

from serving import __version__
from serving.client import Client
from tests.containers.sample_inputs import SHOE
from tests.ports import free_port

PROJECT = "atelier-under-test"
LONGEST_START_S = 900


class Compose:
    """The project under test."""

    def __init__(self) -> None:
        self.http_port, self.grpc_port = free_port(), free_port()
        self._environ = {
            **os.environ,
            "ATELIER_HTTP_PORT": str(self.http_port),
            "ATELIER_GRPC_PORT": str(self.grpc_port),
            "ATELIER_MODEL_SERVER_IMAGE": f"atelier/model-server:{__version__}",
        }

    def __call__(self, *words: str, **environ: str) -> str:
        done = self._run(*words, **environ)
        assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def exit_code(self, service: str) -> int:
        """A service's, once it has ended."""
        return self._run("wait", service).returncode

    def _run(self, *words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["docker", "compose", "--project-name", PROJECT, *words],
            env={**self._environ, **environ},
            capture_output=True,
            text=True,
            timeout=LONGEST_START_S,
            check=False,
        )

    def client(self, **options: Any) -> Client:
        return Client(f"http://127.0.0.1:{self.http_port}", **options)

    def classify(self) -> dict:
        with self.client() as client:
            return client.predict("fashion", SHOE).predictions[0]

    def configured(self, *words: str) -> dict[str, Any]:
        """Service → what Compose makes of its files."""
        return json.loads(self(*words, "config", "--format", "json"))["services"]

    def states(self) -> dict[str, tuple[str, int]]:
        """Service → its state and its exit code."""
        lines = self("ps", "--all", "--format", "json").splitlines()
        return {one["Service"]: (one["State"], one["ExitCode"]) for one in map(json.loads, lines)}

    def inside(self, service: str, script: str) -> str:
        return self("exec", "-T", service, "sh", "-c", script)

    def address(self, service: str) -> str:
        """The container's own, which a process on this machine reaches."""
        container = self("ps", "--quiet", service).strip()
        shown = ["docker", "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container]
        return subprocess.run(shown, check=True, capture_output=True, text=True).stdout.strip()
