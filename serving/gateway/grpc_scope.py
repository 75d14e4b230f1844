"""What every gRPC call gets, whatever it asks: an id, its counts, its deadline, its fault with details."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from grpc_status import rpc_status

from serving.errors import ModelServerFault
from serving.gateway import phases
from serving.gateway.access_log import Answered, log_answered
from serving.gateway.api_keys import presented_key
from serving.gateway.grpc_faults import BUG, Fault, fault_of
from serving.gateway.parts import Parts
from serving.gateway.request_ids import request_id
from serving.gateway.spans import current, inside

log = logging.getLogger(__name__)

REQUEST_ID = "x-request-id"

# Verbs that need no key; nor do health and reflection.
OPEN = frozenset({"oip_live", "oip_ready"})

# Codes that are no fault of the caller's (OpenTelemetry's semantic conventions for gRPC servers).
FAILURES = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})

Request = TypeVar("Request")
Reply = TypeVar("Reply")


@dataclass
class Scope:
    """One call under way. The view says which model it was about, and which version answered."""

    timeout_s: float
    key_name: str = ""
    model: str = ""
    version: str = ""


def answered(
    parts: Parts, verb: str, view: Callable[[Parts, Request, Scope], Reply]
) -> Callable[[Request, grpc.ServicerContext], Reply]:
    """The view as gRPC calls it."""

    def answer(request: Request, context: grpc.ServicerContext) -> Reply:
        with parts.tracing.request(f"grpc {verb}", partial(_metadata, context)) as span, inside(span):
            reply, fault = _answer(parts, verb, view, request, context)
        if fault is not None:
            context.abort_with_status(rpc_status.to_status(fault.status()))  # which raises
        return reply  # type: ignore[return-value]

    return answer


def _answer(
    parts: Parts,
    verb: str,
    view: Callable[[Parts, Request, Scope], Reply],
    request: Request,
    context: grpc.ServicerContext,
) -> tuple[Reply | None, Fault | None]:
    """The reply or the fault, counted, logged and traced."""
    began = time.perf_counter()
    id_ = request_id(_metadata(context, REQUEST_ID) or "")
    context.send_initial_metadata(((REQUEST_ID, id_), *_trace_response()))
    phases.begin()
    scope = Scope(_time_left_s(context, parts.settings.request_timeout_s))
    reply, fault = None, None
    parts.metrics.in_flight.inc()
    try:
        if parts.keys is not None and verb not in OPEN:
            scope.key_name = parts.keys.admit(_presented_key(context))
        reply = view(parts, request, scope)
    except Exception as error:  # noqa: BLE001 (the door's last word: a bug is answered and logged)
        fault = _explained(error, id_)
    finally:
        parts.metrics.in_flight.dec()
    code = fault.kind.code.name if fault else "OK"
    seconds = time.perf_counter() - began
    _count(parts, scope, verb, code, seconds)
    if fault:  # under the HTTP door's name for it
        parts.metrics.refusals.labels(_model(parts, scope), fault.kind.reason.lower().replace("_", "-")).inc()
    answered = Answered(
        request_id=id_,
        call=f"grpc {verb} {scope.model}".strip(),
        verb=verb,
        code=code,
        milliseconds=seconds * 1e3,
        model=scope.model,
        version=scope.version,
        key=scope.key_name,
        request_bytes=_size(request),
        response_bytes=_size(reply),
    )
    _trace(answered)
    log_answered(answered)
    return reply, fault


def _trace_response() -> tuple[tuple[str, str], ...]:
    """Which trace this is, for the client."""
    return tuple(("traceresponse", value) for name, value in current().carried() if name == "traceparent")


def _trace(answered: Answered) -> None:
    """Tell the trace what became of the call."""
    current().note(
        {
            "rpc.system": "grpc",
            "rpc.grpc.status_code": grpc.StatusCode[answered.code].value[0],
            "atelier.request_id": answered.request_id,
            "atelier.model": answered.model,
            "atelier.version": answered.version,
        }
    )
    if answered.code in FAILURES:
        current().fail(answered.code)


def _size(message: object) -> int | None:
    return message.ByteSize() if isinstance(message, Message) else None


def _explained(error: Exception, id_: str) -> Fault:
    fault = fault_of(error)
    if fault.kind is BUG:
        log.error("request %s failed", id_, exc_info=error)
    elif isinstance(error, ModelServerFault):
        log.warning("request %s: %s", id_, error)
    return fault


def _time_left_s(context: grpc.ServicerContext, most_s: float) -> float:
    """The client's deadline, but never more than ours."""
    asked_s = context.time_remaining()
    return most_s if asked_s is None else min(asked_s, most_s)


def _metadata(context: grpc.ServicerContext, key: str) -> str | None:
    return next((str(value) for name, value in context.invocation_metadata() if name == key), None)


def _presented_key(context: grpc.ServicerContext) -> str | None:
    return presented_key(_metadata(context, "authorization"), _metadata(context, "x-api-key"))


def _count(parts: Parts, scope: Scope, verb: str, code: str, seconds: float) -> None:
    model = _model(parts, scope)
    parts.metrics.observe_phases(model, scope.version)
    parts.metrics.requests.labels(model, scope.version, verb, code).inc()
    parts.metrics.request_seconds.labels(model, verb).observe(seconds)


def _model(parts: Parts, scope: Scope) -> str:
    """The model asked for, as a label that no client can invent."""
    return scope.model if scope.model in parts.settings.models or not scope.model else "unknown"
