"""What a client is told whose bytes are no request, or came too slowly: problem documents, before any application.

The words are fixed: what a client sent is neither answered nor logged.
"""

import orjson
from gunicorn.http import errors

from serving.gateway.dates import http_date
from serving.gateway.explanations import BUG_DETAIL, RETRY_AFTER_S
from serving.gateway.problems import BUG, HTTP_KINDS, Kind, Problem
from serving.gateway.request_ids import request_id
from serving.gateway.security_headers import security_headers

MALFORMED = Problem(HTTP_KINDS[400], "this is not an HTTP/1.1 request: its request line, headers or framing are wrong")
LINE_TOO_LONG = Problem(Kind(414, "uri-too-long", "The request line is too long"), "send a shorter path")
HEAD_TOO_LARGE = Problem(Kind(431, "headers-too-large", "The headers are too large"), "send fewer or smaller headers")
UNKNOWN_CODING = Problem(Kind(501, "transfer-coding", "The transfer coding is not known"), "send chunked, or a length")
UNKNOWN_EXPECTATION = Problem(
    Kind(417, "expectation", "The expectation is not known"), "expect 100-continue, or nothing"
)
TOO_SLOW = Problem(Kind(408, "request-timeout", "The request did not come in time"), "send it whole, and sooner")
NO_CERTIFICATE = Problem(Kind(403, "certificate-required", "A certificate is required"), "show a client certificate")
NO_ROOM = Problem(
    Kind(503, "overloaded", "The gateway has no room for the request now"),
    "too much is being received at once; try again",
    headers=(("Retry-After", str(RETRY_AFTER_S)),),
)
BROKEN = Problem(BUG, BUG_DETAIL)

# Whatever else gunicorn's parser raises is MALFORMED.
_BY_ERROR: dict[type[Exception], Problem] = {
    errors.LimitRequestLine: LINE_TOO_LONG,
    errors.LimitRequestHeaders: HEAD_TOO_LARGE,
    errors.UnsupportedTransferCoding: UNKNOWN_CODING,
    errors.ExpectationFailed: UNKNOWN_EXPECTATION,
}


class Refused(Exception):
    """The connection is of no more use: say why, and close it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.kind.slug)
        self.problem = problem


def refusal_of(error: Exception) -> Refused:
    """What to make of an error of gunicorn's parser."""
    return Refused(_BY_ERROR.get(type(error), MALFORMED))


def answer_bytes(
    problem: Problem, identifier: str = "", *, tls: bool, is_last: bool = True, is_head: bool = False
) -> bytes:
    """A whole HTTP/1.1 response; the last ends the connection. To a HEAD request it has no body, only its length."""
    identifier = request_id(identifier)
    # `error` is for clients of the Open Inference Protocol, which look for no other member.
    document = {**problem.document(identifier), "error": problem.detail}
    body = orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
    headers = {
        "Date": http_date(),
        "Connection": "close" if is_last else "keep-alive",
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        "X-Request-Id": identifier,
        **security_headers(tls=tls),
        **dict(problem.headers),
    }
    lines = [f"HTTP/1.1 {problem.kind.status} {problem.kind.title}", *(f"{name}: {headers[name]}" for name in headers)]
    return "\r\n".join((*lines, "", "")).encode() + (b"" if is_head else body)
