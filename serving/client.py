"""A small typed client of the gateway's HTTP API. Standard library only.

One kept-open connection a client: not for sharing between threads.
"""

import http.client
import json
import urllib.parse
from dataclasses import dataclass
from typing import Any

from serving import contract
from serving.contract import ModelContract


class ProblemError(Exception):
    """The gateway refused or failed; `problem` is its application/problem+json document."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('title', '')}: {problem.get('detail', '')}")
        self.status, self.problem = status, problem


@dataclass(frozen=True)
class Answer:
    """Predictions in the order of the instances, and the model that made them."""

    model: str
    version: str
    digest: str
    predictions: list[dict[str, Any]]


class Client:
    """Talks to one gateway. Use as a context manager, or close it."""

    def __init__(self, url: str, timeout_s: float = 30.0) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"expected a URL like http://127.0.0.1:8080, got {url!r}")
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=timeout_s)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a later call opens a new one."""
        self._connection.close()

    def readiness(self) -> tuple[bool, dict[str, Any]]:
        """Whether every model is on offer, and the document that says why not."""
        status, document = self._exchange("GET", "/readyz")
        return status == http.HTTPStatus.OK, document

    def models(self) -> dict[str, Any]:
        """The models on offer, with versions and states."""
        return self._call("GET", "/v1/models")

    def contract(self, model: str, version: str | None = None) -> ModelContract:
        """What the version on offer promises."""
        return contract.from_json(json.dumps(self._call("GET", f"{_path(model, version)}/metadata")))

    def predict(self, model: str, instances: list[Any], version: str | None = None, **options: Any) -> Answer:
        """Predictions for raw instances, as the model's contract describes them.

        Raises:
            ProblemError: the gateway refused the request or could not answer it.
            OSError, http.client.HTTPException: the gateway could not be reached.
        """
        body = json.dumps({"instances": instances, **options}).encode()
        document = self._call("POST", f"{_path(model, version)}:predict", body)
        made_by = document["model"]
        return Answer(made_by["name"], made_by["version"], made_by["digest"], document["predictions"])

    def _call(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        status, document = self._exchange(method, path, body)
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise ProblemError(status, document)
        return document

    def _exchange(self, method: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, Any]]:
        """Send and receive; once more on a new connection where the server had closed the idle one."""
        reused = self._connection.sock is not None
        try:
            return self._send(method, path, body)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self._connection.close()
            if not reused:
                raise
            return self._send(method, path, body)
        except BaseException:
            self._connection.close()  # half an exchange would answer the next call
            raise

    def _send(self, method: str, path: str, body: bytes | None) -> tuple[int, dict[str, Any]]:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        text = response.read()
        try:
            document = json.loads(text)
        except ValueError:
            document = {"title": response.reason, "detail": f"an answer that is not JSON: {text[:200]!r}"}
        return response.status, document


def _path(model: str, version: str | None) -> str:
    path = f"/v1/models/{urllib.parse.quote(model, safe='')}"
    return path if version is None else f"{path}/versions/{version}"
