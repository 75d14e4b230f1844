"""The client's way over HTTP. Standard library only."""

import http.client
import json
import ssl
import urllib.parse
from functools import partial
from http import HTTPStatus
from typing import Any

from serving.client_instances import as_json
from serving.client_transport import Answer, Call, ProblemError, Tls, bearer, is_number


class HttpTransport:
    """One kept-open connection; not for sharing between threads."""

    def __init__(self, url: urllib.parse.SplitResult, api_key: str | None, tls: Tls) -> None:
        self._headers = bearer(api_key)
        host = url.hostname or ""
        self._new = partial(http.client.HTTPConnection, host, url.port)
        if url.scheme == "https":
            context = ssl.create_default_context(cafile=tls.ca_file)
            if tls.cert_file:
                context.load_cert_chain(tls.cert_file, tls.key_file)
            self._new = partial(http.client.HTTPSConnection, host, url.port, context=context)
        self._connection = self._new()

    def close(self) -> None:
        """A later call opens a new connection, by an object that has nothing of what was begun with this one."""
        self._connection.close()
        self._connection = self._new()

    def readiness(self, timeout_s: float) -> tuple[bool, dict[str, Any]]:
        """GET /readyz."""
        status, document, _ = self._exchange("GET", "/readyz", timeout_s)
        return status == HTTPStatus.OK, document

    def models(self, timeout_s: float) -> dict[str, Any]:
        """GET /v1/models."""
        return self._call("GET", "/v1/models", timeout_s)

    def contract(self, model: str, version: int | str | None, timeout_s: float) -> str:
        """GET …/metadata."""
        return json.dumps(self._call("GET", f"{_path(model, version)}/metadata", timeout_s))

    def predict(self, call: Call, timeout_s: float) -> Answer:
        """POST …:predict, or the verb's own."""
        body: dict[str, Any] = {"instances": [as_json(instance) for instance in call.instances]}
        body |= {} if call.top_k is None else {"top_k": call.top_k}
        headers = {"X-Request-Timeout": f"{timeout_s:.3f}", "X-Request-Id": call.request_id}
        path = f"{_path(call.model, call.version)}:{call.verb}"
        document = self._call("POST", path, timeout_s, json.dumps(body).encode(), headers)
        made_by = document["model"]
        return Answer(made_by["name"], made_by["version"], made_by["digest"], document["predictions"], call.request_id)

    def _call(
        self, method: str, path: str, timeout_s: float, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        status, document, retry_after = self._exchange(method, path, timeout_s, body, headers or {})
        if status >= HTTPStatus.BAD_REQUEST:
            raise ProblemError(status, document, _seconds(retry_after))
        return document

    def _exchange(
        self, method: str, path: str, timeout_s: float, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any], str | None]:
        """Send and receive; once more on a new connection where the server had closed the idle one."""
        reused = self._connection.sock is not None
        try:
            return self._send(method, path, timeout_s, body, headers or {})
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            if not reused:
                raise
        return self._send(method, path, timeout_s, body, headers or {})

    def _send(
        self, method: str, path: str, timeout_s: float, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, Any], str | None]:
        """One exchange; where it fails the connection is closed, as half of one would answer the next call."""
        self._limit(timeout_s)
        try:
            return self._send_and_receive(method, path, body, headers)
        except BaseException:
            self.close()
            raise

    def _limit(self, timeout_s: float) -> None:
        """For a connection to be opened, and for one that is open."""
        self._connection.timeout = timeout_s
        if self._connection.sock is not None:
            self._connection.sock.settimeout(timeout_s)

    def _send_and_receive(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, Any], str | None]:
        """The status, the document and Retry-After."""
        type_ = {"Content-Type": "application/json"} if body is not None else {}
        self._connection.request(method, path, body, {**self._headers, **type_, **headers})
        response = self._connection.getresponse()
        text = response.read()
        try:
            document = json.loads(text)
        except ValueError:
            document = {"title": response.reason, "detail": f"an answer that is not JSON: {text[:200]!r}"}
        return response.status, document, response.headers["Retry-After"]


def _path(model: str, version: int | str | None) -> str:
    path = f"/v1/models/{urllib.parse.quote(model, safe='')}"
    if version is None:
        return path
    kind = "versions" if is_number(version) else "labels"
    return f"{path}/{kind}/{urllib.parse.quote(str(version), safe='')}"


def _seconds(retry_after: str | None) -> float | None:
    """The header as the gateway sends it; the date that HTTP allows too, it never sends."""
    return float(retry_after) if retry_after and retry_after.isdecimal() else None
