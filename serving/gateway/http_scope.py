"""What every HTTP request gets, whatever it asks: an id, a deadline, its counts, its problem document."""

import logging
import time
from collections.abc import Container
from contextlib import ExitStack
from http import HTTPStatus

import orjson
from flask import Flask, Response, g, request

from serving.errors import DeadlineExceeded, ModelServerFault
from serving.gateway import deadlines, phases
from serving.gateway.access_log import Answered, log_answered
from serving.gateway.api_keys import admitted_key, presented_key
from serving.gateway.compression import compress
from serving.gateway.metrics import Metrics
from serving.gateway.parts import Parts
from serving.gateway.problems import BUG, problem_of
from serving.gateway.request_ids import request_id
from serving.gateway.security_headers import add_security_headers
from serving.gateway.spans import UNTRACED, current, inside

log = logging.getLogger(__name__)

# Probes come every second from every side; counting them would drown the rest.
UNCOUNTED = frozenset({"livez", "readyz", "metrics", "oip_live", "oip_ready"})
# What whoever keeps the gateway running needs to see, and the pages, which say nothing of the models.
OPEN = UNCOUNTED | {"docs", "docs_file", "playground", "playground_file", "about_doors"}


def json_bytes(document: object) -> bytes:
    """A document as JSON; float32 numbers with as few digits as they need, a newline for terminals."""
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)


def json_response(document: object, status: int = 200, mimetype: str = "application/json") -> Response:
    """A document, answered as JSON."""
    return Response(json_bytes(document), status, mimetype=mimetype)


def time_left_s() -> float:
    """Seconds until this request must be answered; reading its body counts.

    Raises:
        DeadlineExceeded: there are none.
    """
    left: float = g.expires - time.perf_counter()
    if left <= 0:
        raise DeadlineExceeded("the time for this request ran out")
    return left


def take_room(parts: Parts, size_bytes: int) -> None:
    """For what this request's body is inflated to, until it is answered.

    Raises:
        Overloaded: there is none now.
    """
    g.scope.enter_context(parts.room.take(size_bytes))


def install(app: Flask, parts: Parts) -> None:
    """Wrap every request of this app."""
    settings, metrics = parts.settings, parts.metrics

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter() - deadlines.waited_s.get()
        phases.begin(deadlines.waited_s.get())
        g.request_id = request_id(request.headers.get("X-Request-Id", ""))
        metrics.in_flight.inc()
        g.scope = ExitStack()
        if request.endpoint not in UNCOUNTED:
            route = f" {request.url_rule.rule}" if request.url_rule else ""
            g.scope.enter_context(inside(g.scope.enter_context(parts.tracing.request(request.method + route, _header))))
        if parts.keys is not None and request.endpoint not in OPEN:
            g.key_name = admitted_key.get() or parts.keys.admit(_presented_key())
        g.expires = g.began + deadlines.time_allowed_s(
            request.headers.get(deadlines.HEADER), settings.request_timeout_s
        )

    @app.errorhandler(Exception)
    def explain(error: Exception) -> Response:
        problem = problem_of(error)
        metrics.refusals.labels(_model(parts.offers.watches), problem.kind.slug).inc()
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
        add_security_headers(response, tls=settings.speaks_tls)
        compress(request, response)
        seconds = time.perf_counter() - g.began
        if request.endpoint not in UNCOUNTED:
            _count(metrics, parts.offers.watches, response.status_code, seconds)
        _trace(response)
        log_answered(_answered(response, seconds))
        return response

    @app.teardown_request
    def leave(_error: BaseException | None) -> None:
        metrics.in_flight.dec()
        g.scope.close()


def _header(name: str) -> str | None:
    return request.headers.get(name)


def _trace(response: Response) -> None:
    """Tell the trace what became of the request, and the client which trace that is."""
    span = current()
    if span is UNTRACED:
        return
    span.note(
        {
            "http.request.method": request.method,
            "http.route": request.url_rule.rule if request.url_rule else "",
            "http.response.status_code": response.status_code,
            "atelier.request_id": g.request_id,
            "atelier.model": (request.view_args or {}).get("model", ""),
            "atelier.version": g.get("version", ""),
        }
    )
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        span.fail(response.status)
    for name, value in span.carried():
        if name == "traceparent":
            response.headers["traceresponse"] = value


def _answered(response: Response, seconds: float) -> Answered:
    arguments = request.view_args or {}
    return Answered(
        request_id=g.request_id,
        call=f"{request.method} {request.path}",
        verb=arguments.get("verb") or request.endpoint or "",
        code=str(response.status_code),
        milliseconds=seconds * 1e3,
        model=arguments.get("model", ""),
        version=g.get("version", ""),
        key=g.get("key_name", ""),
        request_bytes=request.content_length,
        response_bytes=response.calculate_content_length(),
    )


def _presented_key() -> str | None:
    return presented_key(request.headers.get("Authorization"), request.headers.get("X-API-Key"))


def _count(metrics: Metrics, models: Container[str], status: int, seconds: float) -> None:
    arguments, model = request.view_args or {}, _model(models)
    metrics.observe_phases(model, g.get("version", ""))
    verb = arguments.get("verb") or request.endpoint or "unknown"
    metrics.requests.labels(model, g.get("version", ""), verb, str(status)).inc()
    metrics.request_seconds.labels(model, verb).observe(seconds)


def _model(models: Container[str]) -> str:
    """The model asked for, as a label that no client can invent."""
    model: str = (request.view_args or {}).get("model", "")
    return model if model in models or not model else "unknown"
