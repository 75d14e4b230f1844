"""Faults become google.rpc.Status with details. The gRPC door's one table: error → code."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

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
    Violation,
    WrongTask,
)
from serving.gateway.explanations import BUG_DETAIL, RETRY_AFTER_S, explain

DOMAIN = "atelier"
# A client may refuse a call whose trailers pass 8 kB, whatever its fault: a status goes there in base64 (a third more),
# and its message once again, percent-encoded (up to three times as long).
MAX_TEXT_BYTES = 500
MAX_VIOLATIONS_BYTES = 4000


@dataclass(frozen=True)
class Kind:
    """A kind of fault, the same for every call that has it."""

    code: grpc.StatusCode
    reason: str  # its ErrorInfo's


KINDS: Mapping[type[ServingError], Kind] = {
    InvalidInput: Kind(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT"),
    WrongTask: Kind(grpc.StatusCode.INVALID_ARGUMENT, "WRONG_TASK"),
    UnknownModel: Kind(grpc.StatusCode.NOT_FOUND, "UNKNOWN_MODEL"),
    Unauthenticated: Kind(grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"),
    TooManyRequests: Kind(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_REQUESTS"),
    ModelNotReady: Kind(grpc.StatusCode.UNAVAILABLE, "MODEL_NOT_READY"),
    ModelServerUnreachable: Kind(grpc.StatusCode.UNAVAILABLE, "MODEL_SERVER_UNREACHABLE"),
    # Not RESOURCE_EXHAUSTED: that is for a caller's own limit, and tells clients not to try again soon.
    Overloaded: Kind(grpc.StatusCode.UNAVAILABLE, "OVERLOADED"),
    DeadlineExceeded: Kind(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
    ModelServerFault: Kind(grpc.StatusCode.INTERNAL, "MODEL_SERVER_FAULT"),
}
BUG = Kind(grpc.StatusCode.INTERNAL, "INTERNAL_ERROR")


@dataclass(frozen=True)
class Fault:
    """What a client is told."""

    kind: Kind
    message: str
    details: tuple[Message, ...] = ()

    def status(self) -> Status:
        """The google.rpc.Status."""
        status = Status(code=self.kind.code.value[0], message=self.message)
        for detail in (ErrorInfo(reason=self.kind.reason, domain=DOMAIN), *self.details):
            status.details.add().Pack(detail)
        return status


def fault_of(error: Exception) -> Fault:
    """What to tell the client of an error; anything we do not know is a bug of ours."""
    if not isinstance(error, ServingError):
        return Fault(BUG, BUG_DETAIL)
    kind = KINDS[type(error)]
    return Fault(kind, _shortened(explain(error)), _details(error, kind))


def _details(error: ServingError, kind: Kind) -> tuple[Message, ...]:
    if isinstance(error, InvalidInput):
        return (_bad_request(error.violations),)
    if isinstance(error, TooManyRequests):
        return (RetryInfo(retry_delay=Duration(seconds=math.ceil(error.retry_after_s))),)
    if kind.code is grpc.StatusCode.UNAVAILABLE:
        return (RetryInfo(retry_delay=Duration(seconds=RETRY_AFTER_S)),)
    return ()


def _bad_request(violations: tuple[Violation, ...]) -> BadRequest:
    """As many of them as a client surely takes; the message says how many there are."""
    bad = BadRequest()
    for violation in violations:
        bad.field_violations.add(field=_shortened(violation.pointer), description=_shortened(violation.detail))
    while bad.ByteSize() > MAX_VIOLATIONS_BYTES:
        bad.field_violations.pop()
    return bad


def _shortened(text: str) -> str:
    encoded = text.encode()
    return text if len(encoded) <= MAX_TEXT_BYTES else encoded[:MAX_TEXT_BYTES].decode(errors="ignore") + "…"
