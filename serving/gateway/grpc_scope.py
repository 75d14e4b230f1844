"""What every gRPC call gets, whatever it asks: an id, its counts, its deadline, its fault with details."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from grpc_status import rpc_status

from serving.errors import DeadlineExceeded, ModelServerFault
from serving.gateway import phases
from serving.gateway.access_log import Answered, log_answered
from serving.gateway.api_keys import presented_key
from serving.gateway.grpc_faults import BUG, Fault, fault_of
from serving.gateway.parts import Parts
from serving.gateway.request_ids import request_id
from serving.gateway.spans import current, inside
from serving.gateway.tracing import Header

log = logging.getLogger(__name__)

REQUEST_ID = "x-request-id"

# Verbs that need no key; nor do health and reflection.
OPEN = frozenset({"oip_live", "oip_ready"})

# Codes that are no fault of the caller's (OpenTelemetry's semantic conventions for gRPC servers).
FAILURES = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})

Request = TypeVar("Request")
Reply = TypeVar("Reply")


@dataclass(slots=True)
class Scope:
    """One call under way. The view says which model it was about, and which version answered."""

    verb: str
    request_id: str
    timeout_s: float
    key_name: str = ""
    model: str = ""
    version: str = ""
    began: float = field(default_factory=time.perf_counter)

    @property
    def expires(self) -> float:
        """When it must be answered; of the performance counter."""
        return self.began + self.timeout_s

    def time_left_s(self) -> float:
        """Until then; waiting for a thread counts.

        Raises:
            DeadlineExceeded: it has passed.
        """
        left = self.expires - time.perf_counter()
        if left <= 0:
            raise DeadlineExceeded("the time for this request ran out")
        return left


def answered(
    parts: Parts, verb: str, view: Callable[[Parts, Request, Scope], Reply]
) -> Callable[[Request, grpc.ServicerContext], Reply]:
    """The view as gRPC calls it, in a thread of the call's own."""

    def answer(request: Request, context: grpc.ServicerContext) -> Reply:
        metadata = partial(_metadata, context)
        with parts.tracing.request(f"grpc {verb}", metadata) as span, inside(span):
            scope = make(parts, verb, metadata, context.time_remaining())
            begin(parts, scope)
            context.send_initial_metadata(first_metadata(scope))
            outcome: Reply | Exception
            try:
                admit(parts, scope, metadata)
                outcome = view(parts, request, scope)
            except Exception as error:  # noqa: BLE001 (the door's last word: a bug is answered and logged)
                outcome = error
            fault = end(parts, scope, request, outcome)
        if fault is not None:
            context.abort_with_status(rpc_status.to_status(fault.status()))  # which raises
        return outcome  # type: ignore[return-value]

    return answer


def make(parts: Parts, verb: str, metadata: Header, asked_s: float | None) -> Scope:
    """A call has come; `asked_s` is how long its client waits."""
    most_s = parts.settings.request_timeout_s
    # The client's deadline, but never more than ours.
    timeout_s = most_s if asked_s is None else min(asked_s, most_s)
    return Scope(verb, request_id(metadata(REQUEST_ID) or ""), timeout_s)


def begin(parts: Parts, scope: Scope) -> None:
    """Its answering begins, in this thread. The span is the current one."""
    phases.begin(time.perf_counter() - scope.began)
    parts.metrics.in_flight.inc()


def admit(parts: Parts, scope: Scope, metadata: Header) -> None:
    """Refuse who shows no key, or shows it too often; some calls need none."""
    if parts.keys is not None and scope.verb not in OPEN:
        shown = presented_key(metadata("authorization"), metadata("x-api-key"))
        scope.key_name = parts.keys.admit(shown)


def first_metadata(scope: Scope) -> tuple[tuple[str, str], ...]:
    """What the client gets before the answer: the call's id, and which trace this is."""
    traces = (("traceresponse", value) for name, value in current().carried() if name == "traceparent")
    return ((REQUEST_ID, scope.request_id), *traces)


def end(parts: Parts, scope: Scope, request: object, outcome: object) -> Fault | None:
    """The call is over, with its reply or an exception: count, log and trace it. The fault to tell, if it is one."""
    fault = _explained(outcome, scope.request_id) if isinstance(outcome, Exception) else None
    parts.metrics.in_flight.dec()
    code = fault.kind.code.name if fault else "OK"
    seconds = time.perf_counter() - scope.began
    _count(parts, scope, code, seconds)
    if fault:  # under the HTTP door's name for it
        parts.metrics.refusals.labels(_model(parts, scope), fault.kind.reason.lower().replace("_", "-")).inc()
    answered = Answered(
        request_id=scope.request_id,
        call=f"grpc {scope.verb} {scope.model}".strip(),
        verb=scope.verb,
        code=code,
        milliseconds=seconds * 1e3,
        model=scope.model,
        version=scope.version,
        key=scope.key_name,
        request_bytes=_size(request),
        response_bytes=_size(outcome),
    )
    _trace(answered)
    log_answered(answered)
    return fault


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


def _metadata(context: grpc.ServicerContext, key: str) -> str | None:
    return next((str(value) for name, value in context.invocation_metadata() if name == key), None)


def _count(parts: Parts, scope: Scope, code: str, seconds: float) -> None:
    model = _model(parts, scope)
    parts.metrics.observe_phases(model, scope.version)
    parts.metrics.requests.labels(model, scope.version, scope.verb, code).inc()
    parts.metrics.request_seconds.labels(model, scope.verb).observe(seconds)


def _model(parts: Parts, scope: Scope) -> str:
    """The model asked for, as a label that no client can invent."""
    return scope.model if scope.model in parts.offers.watches or not scope.model else "unknown"
