"""Requests that are surely ordinary predictions, told by their heads; and heads that are known from requests before.

A client sends the same head again and again, but for the length of its body and the request's id. So what gunicorn's
parser made of a head holds for every head that is the same but for these two. Knows no body.
"""

import hashlib
import math
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal

from werkzeug.datastructures import Accept
from werkzeug.exceptions import BadRequest
from werkzeug.http import parse_accept_header

from serving.gateway import deadlines
from serving.gateway.api_keys import ApiKeys, presented_key
from serving.gateway.compression import takes_gzip
from serving.gateway.predictor import TASK_OF_VERB

Media = Literal["json", "pixels"]

PATH = re.compile(
    rf"/v1/models/(?P<model>[^/:?#%]+)(?:/versions/(?P<version>[0-9]{{1,19}}))?:(?P<verb>{'|'.join(TASK_OF_VERB)})"
)
MEDIA: dict[str, Media] = {
    "application/json": "json",
    "application/json; charset=utf-8": "json",
    "application/json;charset=utf-8": "json",
    "application/octet-stream": "pixels",
}
# A name or an address, perhaps with a port. Others are for the application to say something of.
HOST = re.compile(r"(?:[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
# With these a request may mean more than its path and its body say, or is traced.
UNUSUAL = frozenset(
    {"TRANSFER-ENCODING", "EXPECT", "CONTENT-ENCODING", "UPGRADE", "HTTP2-SETTINGS", "TRACEPARENT", "TRAILER"}
)
# What differs from request to request, where it has its usual form.
LENGTH = re.compile(rb"\r\ncontent-length: ?([0-9]{1,9})(?=\r\n)", re.IGNORECASE)
REQUEST_ID = re.compile(rb"\r\nx-request-id:[ \t]*([A-Za-z0-9._:-]{1,64})(?=[ \t]*\r\n)", re.IGNORECASE)
# Heads to remember. Who sends another head every time costs what all cost before heads were remembered.
MAX_HEADS = 1024


@dataclass(frozen=True, slots=True)
class Plain:
    """What a head says that surely asks for an ordinary prediction."""

    path: str
    model: str
    version: int | None
    verb: str
    media: Media
    timeout_s: float  # what the client asks for; infinite if nothing
    key: int | None  # which of our keys it bears
    takes_gzip: bool
    closes: bool  # the connection is to end with the answer


class PlainRequests:
    """Tells which requests are plain: where there is any doubt, they are not."""

    def __init__(self, models: Collection[str], keys: ApiKeys | None) -> None:
        self._models = models
        self._keys = keys

    def recognise(self, request: Any) -> Plain | None:
        """What a request says that gunicorn has read."""
        headers = dict(request.headers)
        asked = PATH.fullmatch(request.uri)
        media = MEDIA.get(headers.get("CONTENT-TYPE", "").lower())
        if (
            request.method != "POST"
            or request.version != (1, 1)
            or asked is None
            or asked["model"] not in self._models
            or media is None
            or len(headers) < len(request.headers)
            or not UNUSUAL.isdisjoint(headers)
            or any("_" in name for name in headers)
            or not HOST.fullmatch(headers.get("HOST", ""))
            or not headers.get("CONTENT-LENGTH", "").isdigit()
        ):
            return None
        try:
            timeout_s = deadlines.time_asked_s(headers.get(deadlines.HEADER.upper()))
        except BadRequest:
            return None
        presented = presented_key(headers.get("AUTHORIZATION"), headers.get("X-API-KEY"))
        key = None if self._keys is None or presented is None else self._keys.find(presented)
        if self._keys is not None and key is None:
            return None
        return Plain(
            path=request.uri,
            model=asked["model"],
            version=int(asked["version"]) if asked["version"] else None,
            verb=asked["verb"],
            media=media,
            timeout_s=math.inf if timeout_s is None else timeout_s,
            key=key,
            takes_gzip=takes_gzip(parse_accept_header(headers.get("ACCEPT-ENCODING"), Accept)),
            closes=request.should_close(),
        )


@dataclass(frozen=True, slots=True)
class Cut:
    """A head without what differs from request to request."""

    digest: bytes  # of the rest: keys may be in it, which are kept nowhere
    length: int
    request_id: str


def cut(head: bytes) -> Cut | None:
    """Take a head apart; None where its length does not have the usual form."""
    length = LENGTH.search(head)
    if length is None:
        return None
    start, end = length.span(1)
    rest, request_id = head[:start] + b"\n" + head[end:], ""
    if identified := REQUEST_ID.search(rest):
        request_id = identified[1].decode()
        rest = rest[: identified.start(1)] + b"\n" + rest[identified.end(1) :]
    return Cut(hashlib.sha256(rest).digest(), int(length[1]), request_id)


class KnownHeads:
    """The plain heads that came before. One a worker, used by its loop alone."""

    def __init__(self, recognise: Callable[[Any], Plain | None] = lambda _request: None) -> None:
        self._recognise = recognise
        self._known: dict[bytes, Plain] = {}

    def find(self, head: Cut) -> Plain | None:
        """What it says, if one like it was learnt."""
        return self._known.get(head.digest)

    def learn(self, head: Cut, request: Any) -> Plain | None:
        """What it says, as gunicorn has read it; None where it is not plain."""
        plain = self._recognise(request)
        if plain is not None:
            if len(self._known) >= MAX_HEADS:
                self._known.clear()
            self._known[head.digest] = plain
        return plain
