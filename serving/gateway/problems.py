"""Faults become application/problem+json (RFC 9457). The HTTP door's one table: error → status."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from werkzeug.exceptions import HTTPException, MethodNotAllowed

from serving.errors import (
    DeadlineExceeded,
    InvalidInput,
    ModelNotReady,
    ModelServerFault,
    ModelServerUnreachable,
    Overloaded,
    ServingError,
    TooManyRequests,
    Unauthenticated,
    UnknownModel,
    WrongTask,
)
from serving.gateway.explanations import BUG_DETAIL, RETRY_AFTER_S, explain


@dataclass(frozen=True)
class Kind:
    """A kind of problem, the same for every request that has it."""

    status: int
    slug: str  # the end of its type, urn:atelier:problem:<slug>
    title: str


KINDS: Mapping[type[ServingError], Kind] = {
    InvalidInput: Kind(422, "invalid-input", "The request does not meet the model's contract"),
    WrongTask: Kind(400, "wrong-task", "The model does another task"),
    UnknownModel: Kind(404, "unknown-model", "No such model, version or label"),
    Unauthenticated: Kind(401, "unauthenticated", "An API key is asked for"),
    TooManyRequests: Kind(429, "too-many-requests", "More requests than the API key allows"),
    ModelNotReady: Kind(503, "model-not-ready", "The model is not on offer now"),
    ModelServerUnreachable: Kind(503, "model-server-unreachable", "The model server cannot be reached now"),
    Overloaded: Kind(503, "overloaded", "There is too much to do now"),
    DeadlineExceeded: Kind(504, "deadline-exceeded", "The answer did not come in time"),
    ModelServerFault: Kind(502, "model-server-fault", "The model server failed"),
}
# What only HTTP knows, by its status.
HTTP_KINDS: Mapping[int, Kind] = {
    kind.status: kind
    for kind in (
        Kind(400, "malformed-request", "The request cannot be read"),
        Kind(404, "no-such-path", "No such path"),
        Kind(405, "method-not-allowed", "The path takes another method"),
        Kind(413, "body-too-large", "The body is too large"),
        Kind(415, "unsupported-media-type", "The body is of a type that is not taken"),
    )
}
BUG = Kind(500, "internal-error", "The gateway failed")


@dataclass(frozen=True)
class Problem:
    """What a client is told."""

    kind: Kind
    detail: str
    errors: tuple[dict[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()

    def document(self, request_id: str) -> dict[str, Any]:
        """The RFC 9457 document."""
        document: dict[str, Any] = {
            "type": type_of(self.kind),
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "request_id": request_id,
        }
        if self.errors:
            document["errors"] = self.errors
        return document


def type_of(kind: Kind) -> str:
    """The URI that names a kind of problem."""
    return f"urn:atelier:problem:{kind.slug}"


def problem_of(error: Exception) -> Problem:
    """What to tell the client of an error; anything we do not know is a bug of ours."""
    if isinstance(error, ServingError):
        return _of_serving_error(error)
    if isinstance(error, HTTPException) and error.code is not None:
        return _of_http_error(error, error.code)
    return Problem(BUG, BUG_DETAIL)


def _of_serving_error(error: ServingError) -> Problem:
    kind = KINDS[type(error)]
    violations = error.violations if isinstance(error, InvalidInput) else ()
    errors = tuple({"pointer": v.pointer, "detail": v.detail} for v in violations)
    return Problem(kind, explain(error), errors, _headers(error, kind))


def _headers(error: ServingError, kind: Kind) -> tuple[tuple[str, str], ...]:
    if isinstance(error, Unauthenticated):
        return (("WWW-Authenticate", 'Bearer realm="atelier"'),)
    if isinstance(error, TooManyRequests):
        return (("Retry-After", str(math.ceil(error.retry_after_s))),)
    return (("Retry-After", str(RETRY_AFTER_S)),) if kind.status == 503 else ()


def _of_http_error(error: HTTPException, status: int) -> Problem:
    kind = HTTP_KINDS.get(status, Kind(status, "http-error", error.name))
    if isinstance(error, MethodNotAllowed):
        allowed = sorted(error.valid_methods or ())
        worth_saying = ", ".join(method for method in allowed if method not in ("HEAD", "OPTIONS"))
        return Problem(kind, f"this path takes {worth_saying}", headers=(("Allow", ", ".join(allowed)),))
    return Problem(kind, error.description or error.name)
