"""The REST door: routes, headers and status codes, as a WSGI application. Translates, decides nothing.

After http_server.cc, http_rest_api_handler.cc and http_rest_api_util.cc.
"""

import logging
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

from tensorflow_serving.apis import classification_pb2, model_pb2, regression_pb2

from serving.model_server import metrics
from serving.model_server.classify import run_classify
from serving.model_server.json_examples import classification_document, fill_example_request, regression_document
from serving.model_server.json_reply import Output, predict_document
from serving.model_server.json_request import TensorInfos, parse_predict_request
from serving.model_server.json_writer import error_document
from serving.model_server.model_json import metadata_document, status_document
from serving.model_server.model_status import metadata_response, status_response
from serving.model_server.predict import predict
from serving.model_server.regress import run_regress
from serving.model_server.rest_body import read_body
from serving.model_server.rest_target import target_of
from serving.model_server.servable import DEFAULT_SIGNATURE, Servable
from serving.model_server.server_core import ServerCore
from serving.model_server.status import Code, StatusError, invalid_argument

_logger = logging.getLogger(__name__)

_API = re.compile(r"(?i:/v1/.*)")
_INFERENCE = re.compile(
    r"(?i:/v1/models/([^/:]+)(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?:(classify|regress|predict))", re.ASCII
)
_MODEL = re.compile(
    r"(?i:/v1/models(?:/([^/:]+))?(?:(?:/versions/(\d+))|(?:/labels/([^/:]+)))?(?:/(metadata))?)", re.ASCII
)
_INT64_MAX = 2**63 - 1

_HTTP_STATUS = {
    Code.OK: 200,
    Code.CANCELLED: 499,
    Code.INVALID_ARGUMENT: 400,
    Code.DEADLINE_EXCEEDED: 504,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.PERMISSION_DENIED: 403,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.FAILED_PRECONDITION: 400,
    Code.ABORTED: 409,
    Code.OUT_OF_RANGE: 400,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.UNAUTHENTICATED: 401,
}
_CORS_HEADERS = [
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "POST, GET"),
    ("Access-Control-Allow-Headers", "Content-Type"),
]
_JSON = [("Content-Type", "application/json")]

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


@dataclass(frozen=True)
class _Reply:
    code: Code
    body: bytes
    headers: list[tuple[str, str]]


class _UnwritableError(Exception):
    """A failure that TensorFlow Serving reports with an empty body: it leaves before the error is written."""


class RestApi:
    """The application that waitress serves."""

    def __init__(
        self, core: ServerCore, *, timeout_s: float | None, enable_cors: bool, metrics_path: str | None
    ) -> None:
        """Make the application.

        Args:
            timeout_s: how long a graph may run for one call.
            metrics_path: where Prometheus reads, if anywhere.
        """
        self._metrics_path = metrics_path
        self._core = core
        self._timeout_s = timeout_s
        self._cors_headers = _CORS_HEADERS if enable_cors else []
        self._verbs = {"predict": self._predict, "classify": self._classify, "regress": self._regress}

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        target = target_of(environ)
        if self._metrics_path and target.partition("?")[0] == self._metrics_path:
            return self._metrics(start_response, target)
        if not _API.fullmatch(target):
            return _not_found(start_response)
        start_s, method = time.perf_counter(), environ["REQUEST_METHOD"]
        reply = self._reply(environ, method, target)
        metrics.record_request(*_counted_as(method, target), "REST", reply.code, start_s)
        status = _HTTP_STATUS.get(reply.code, 500)
        headers = [*reply.headers, *self._cors_headers, ("Content-Length", str(len(reply.body)))]
        start_response(f"{status} {_reason(status)}", headers)
        return [reply.body]

    def _metrics(self, start_response: StartResponse, target: str) -> Iterable[bytes]:
        """The page that Prometheus reads; a query string is refused."""
        status, page = "200 OK", metrics.REGISTRY.page()
        if target != self._metrics_path:
            status, page = "400 Bad Request", f"Unexpected path: {target}. Should be {self._metrics_path}"
        body = page.encode()
        start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    def _reply(self, environ: dict[str, Any], method: str, target: str) -> _Reply:
        body = read_body(environ)
        if method == "OPTIONS":  # a CORS preflight, answered whether or not CORS is on
            is_browser = re.search("https?://", environ.get("HTTP_ORIGIN", ""))
            return _Reply(Code.OK if is_browser else Code.FAILED_PRECONDITION, b"", [])
        try:
            return _Reply(Code.OK, self._answer(method, target, body), _JSON)
        except StatusError as error:
            return _Reply(error.code, error_document(error.message), _JSON)
        except _UnwritableError:
            return _Reply(Code.INVALID_ARGUMENT, b"", _JSON)
        except Exception as error:  # a bug: say so in the form that clients read
            _logger.exception("%s %s failed in an unforeseen way", method, target)
            return _Reply(Code.INTERNAL, error_document(repr(error)), _JSON)

    def _answer(self, method: str, target: str, body: bytes) -> bytes:
        if method == "POST" and (match := _INFERENCE.fullmatch(target)):
            spec = _model_spec(*match.group(1, 2, 3))
            if verb := self._verbs.get(match[4]):  # the pattern takes :PREDICT, but nobody answers it
                return verb(spec, body)
        if method == "GET" and (match := _MODEL.fullmatch(target)):
            spec = _model_spec(*match.group(1, 2, 3))
            return self._metadata(spec) if match[4] == "metadata" else self._status(spec)
        raise invalid_argument(f"Malformed request: {method} {target}")

    def _predict(self, spec: model_pb2.ModelSpec, body: bytes) -> bytes:
        request = parse_predict_request(body, lambda signature: self._inputs_of(spec, signature))
        with self._core.handle(spec) as servable:
            prediction = predict(
                servable,
                request.signature_name,
                request.inputs,
                read=lambda array: array,
                timeout_s=self._timeout_s,
            )
        outputs = {name: Output(array, dtype) for name, (array, dtype) in prediction.outputs.items()}
        return predict_document(outputs, request.format)

    def _classify(self, spec: model_pb2.ModelSpec, body: bytes) -> bytes:
        request = classification_pb2.ClassificationRequest(model_spec=spec)
        fill_example_request(body, request)
        with self._core.handle(spec) as servable:
            return classification_document(run_classify(servable, request, self._timeout_s).result)

    def _regress(self, spec: model_pb2.ModelSpec, body: bytes) -> bytes:
        request = regression_pb2.RegressionRequest(model_spec=spec)
        fill_example_request(body, request)
        with self._core.handle(spec) as servable:
            return regression_document(run_regress(servable, request, self._timeout_s).result)

    def _inputs_of(self, spec: model_pb2.ModelSpec, signature: str) -> TensorInfos:
        with self._core.handle(spec) as servable:
            return _signature(servable, signature or DEFAULT_SIGNATURE).inputs  # type: ignore[no-any-return]

    def _status(self, spec: model_pb2.ModelSpec) -> bytes:
        _need_name(spec)
        return status_document(status_response(spec, self._core.monitor.versions(spec.name)))

    def _metadata(self, spec: model_pb2.ModelSpec) -> bytes:
        _need_name(spec)
        with self._core.handle(spec) as servable:
            return metadata_document(metadata_response(servable))


def _counted_as(method: str, target: str) -> tuple[str, str]:
    """The model and the API that a call is counted under; both empty for what is malformed."""
    match = (_INFERENCE if method == "POST" else _MODEL).fullmatch(target) if method in ("POST", "GET") else None
    if match is None:
        return "", ""
    return _decoded(match[1] or ""), match[4] if method == "POST" else ""


def _signature(servable: Servable, name: str) -> Any:
    try:
        return servable.signatures[name]
    except KeyError:
        raise invalid_argument(f'Serving signature name: "{name}" not found in signature def') from None


def _need_name(spec: model_pb2.ModelSpec) -> None:
    if not spec.name:
        raise invalid_argument("Missing model name in request.")


def _model_spec(name: str | None, version: str | None, label: str | None) -> model_pb2.ModelSpec:
    """The model that a path names."""
    spec = model_pb2.ModelSpec(name=_decoded(name or ""))
    if version is not None:
        spec.version.value = _int64(version)
    if label is not None:
        spec.version_label = _decoded(label)
    return spec


def _int64(digits: str) -> int:
    significant = digits.lstrip("0") or "0"
    if len(significant) > len(str(_INT64_MAX)) or int(significant) > _INT64_MAX:  # Python reads only 4300 digits
        raise _UnwritableError
    return int(significant)


def _decoded(text: str) -> str:
    """Undo percent encoding; `+` stays `+`."""
    return unquote_to_bytes(text.encode("latin-1")).decode("utf-8", "replace")


def _not_found(start_response: StartResponse) -> Iterable[bytes]:
    """What libevent says to a path that nobody handles."""
    body = b"<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>\n"
    start_response("404 Not Found", [("Content-Type", "text/html"), ("Content-Length", str(len(body)))])
    return [body]


def _reason(status: int) -> str:
    return "Client Closed Request" if status == 499 else HTTPStatus(status).phrase
