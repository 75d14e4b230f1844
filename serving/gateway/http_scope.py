"""What every HTTP request gets, whatever it asks: an id, a deadline, its counts, its problem document."""

import logging
import time

import orjson
from flask import Flask, Response, g, request

from serving.errors import DeadlineExceeded, ModelServerFault
from serving.gateway import deadlines
from serving.gateway.api_keys import presented_key
from serving.gateway.compression import compress
from serving.gateway.metrics import Metrics
from serving.gateway.parts import Parts
from serving.gateway.problems import BUG, problem_of
from serving.gateway.request_ids import request_id
from serving.gateway.security_headers import add_security_headers

log = logging.getLogger(__name__)
access_log = logging.getLogger("serving.gateway.access")

# Probes come every second from every side; counting them would drown the rest.
UNCOUNTED = frozenset({"livez", "readyz", "metrics", "oip_live", "oip_ready"})
# What whoever keeps the gateway running needs to see, and the pages, which say nothing of the models.
OPEN = UNCOUNTED | {"docs", "docs_file"}


def json_response(document: object, status: int = 200, mimetype: str = "application/json") -> Response:
    """A document as JSON; float32 numbers with as few digits as they need, a newline for terminals."""
    text = orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
    return Response(text, status, mimetype=mimetype)


def time_left_s() -> float:
    """Seconds until this request must be answered; reading its body counts.

    Raises:
        DeadlineExceeded: there are none.
    """
    left: float = g.expires - time.perf_counter()
    if left <= 0:
        raise DeadlineExceeded("the time for this request ran out")
    return left


def install(app: Flask, parts: Parts) -> None:
    """Wrap every request of this app."""
    settings, metrics = parts.settings, parts.metrics

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()
        g.request_id = request_id(request.headers.get("X-Request-Id", ""))
        metrics.in_flight.inc()
        if parts.keys is not None and request.endpoint not in OPEN:
            g.key_name = parts.keys.admit(_presented_key())
        g.expires = g.began + deadlines.time_allowed_s(
            request.headers.get(deadlines.HEADER), settings.request_timeout_s
        )

    @app.errorhandler(Exception)
    def explain(error: Exception) -> Response:
        problem = problem_of(error)
        if problem.kind is BUG:
            log.error("request %s failed", g.request_id, exc_info=error)
        elif isinstance(error, ModelServerFault):
            log.warning("request %s: %s", g.request_id, error)
        response = json_response(problem.document(g.request_id), problem.kind.status, "application/problem+json")
        response.headers.extend(problem.headers)
        return response

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.request_id
        add_security_headers(response)
        compress(request, response)
        seconds = time.perf_counter() - g.began
        if request.endpoint not in UNCOUNTED:
            _count(metrics, settings.models, response.status_code, seconds)
        access_log.info(
            "%s %s %d %.1f ms %s", request.method, request.path, response.status_code, seconds * 1e3, g.request_id
        )
        return response

    @app.teardown_request
    def leave(_error: BaseException | None) -> None:
        metrics.in_flight.dec()


def _presented_key() -> str | None:
    return presented_key(request.headers.get("Authorization"), request.headers.get("X-API-Key"))


def _count(metrics: Metrics, models: tuple[str, ...], status: int, seconds: float) -> None:
    arguments = request.view_args or {}
    model = arguments.get("model", "")
    model = model if model in models or not model else "unknown"
    verb = arguments.get("verb") or request.endpoint or "unknown"
    metrics.requests.labels(model, g.get("version", ""), verb, str(status)).inc()
    metrics.request_seconds.labels(model, verb).observe(seconds)
