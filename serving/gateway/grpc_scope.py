"""What every gRPC call gets, whatever it asks: an id, its counts, its deadline, its fault with details."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import grpc
from grpc_status import rpc_status

from serving.errors import ModelServerFault
from serving.gateway.api_keys import presented_key
from serving.gateway.grpc_faults import BUG, Fault, fault_of
from serving.gateway.parts import Parts
from serving.gateway.request_ids import request_id

log = logging.getLogger(__name__)
access_log = logging.getLogger("serving.gateway.access")

REQUEST_ID = "x-request-id"

# Verbs that need no key; nor do health and reflection.
OPEN = frozenset({"oip_live", "oip_ready"})

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
        began = time.perf_counter()
        id_ = request_id(_metadata(context, REQUEST_ID))
        context.send_initial_metadata(((REQUEST_ID, id_),))
        scope = Scope(_time_left_s(context, parts.settings.request_timeout_s))
        parts.metrics.in_flight.inc()
        code = "OK"
        try:
            if parts.keys is not None and verb not in OPEN:
                scope.key_name = parts.keys.admit(_presented_key(context))
            return view(parts, request, scope)
        except Exception as error:  # noqa: BLE001 (the door's last word: a bug is answered and logged)
            fault = _explained(error, id_)
            code = fault.kind.code.name
        finally:
            parts.metrics.in_flight.dec()
            seconds = time.perf_counter() - began
            _count(parts, scope, verb, code, seconds)
            access_log.info("%s %s %s %.1f ms %s", verb, scope.model, code, seconds * 1e3, id_)
        return context.abort_with_status(rpc_status.to_status(fault.status()))  # type: ignore[no-any-return]

    return answer


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


def _metadata(context: grpc.ServicerContext, key: str) -> str:
    return next((str(value) for name, value in context.invocation_metadata() if name == key), "")


def _presented_key(context: grpc.ServicerContext) -> str | None:
    return presented_key(_metadata(context, "authorization"), _metadata(context, "x-api-key") or None)


def _count(parts: Parts, scope: Scope, verb: str, code: str, seconds: float) -> None:
    model = scope.model if scope.model in parts.settings.models or not scope.model else "unknown"
    parts.metrics.requests.labels(model, scope.version, verb, code).inc()
    parts.metrics.request_seconds.labels(model, verb).observe(seconds)
