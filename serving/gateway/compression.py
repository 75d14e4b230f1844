"""gzip, both ways: a client's body is inflated up to a limit, an answer is deflated where that gains something."""

import gzip
import zlib
from collections.abc import Callable

from flask import Request, Response
from werkzeug.datastructures import Accept
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

CODINGS = ("gzip", "x-gzip")  # two names of the same (RFC 9110, 8.4.1.3)
GZIP_WBITS = 31  # zlib's way to say "with gzip's header and checksum"
# What fits into one Ethernet frame is not sooner there for being smaller.
MIN_BYTES = 1400
# Numbers in JSON shrink to about 40 % at level 1, and hardly more at level 6 for four times the time.
LEVEL = 1
COMPRESSIBLE = ("application/json", "application/problem+json", "application/openapi+json", "text/")


# Asks for so many bytes of memory, and raises where they are not to be had.
TakeRoom = Callable[[int], None]


def decoded(request: Request, body: bytes, max_bytes: int, take_room: TakeRoom) -> bytes:
    """The body without its Content-Encoding. Room is taken before it is inflated.

    Raises:
        UnsupportedMediaType: another coding than gzip.
        RequestEntityTooLarge: it would be larger than the limit; no more than that is ever in memory.
        BadRequest: it is no gzip.
    """
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding == "identity":
        return body
    if coding not in CODINGS:
        raise UnsupportedMediaType("got another Content-Encoding than gzip")
    try:
        return _inflate(body, max_bytes, take_room)
    except zlib.error as error:
        raise BadRequest("the body is not gzip, as its Content-Encoding says") from error


def _inflate(body: bytes, max_bytes: int, take_room: TakeRoom) -> bytes:
    """One gzip member: a body of a million empty ones, which the format allows, would keep us busy for nothing.

    Its last four bytes tell its size (RFC 1952, 2.3.1), so that no more room is taken than it needs. Where they lie, no
    more than they told is inflated, and it is no gzip.
    """
    most_bytes = min(int.from_bytes(body[-4:], "little"), max_bytes) + 1
    take_room(most_bytes)
    member = zlib.decompressobj(GZIP_WBITS)
    inflated = member.decompress(body, most_bytes)
    if len(inflated) > max_bytes:
        raise RequestEntityTooLarge(f"a body may have at most {max_bytes} bytes once it is inflated")
    if not member.eof or member.unused_data:
        raise BadRequest("the body is not one whole gzip member")
    return inflated


def compress(request: Request, response: Response) -> None:
    """Deflate an answer that gains from it, for a client that takes gzip."""
    if (
        not (response.mimetype or "").startswith(COMPRESSIBLE)
        or response.is_streamed
        or "Content-Encoding" in response.headers
    ):
        return
    response.vary.add("Accept-Encoding")
    if len(response.data) >= MIN_BYTES and takes_gzip(request.accept_encodings):
        response.data = deflated(response.data)
        response.headers["Content-Encoding"] = "gzip"


def takes_gzip(accepted: Accept) -> bool:
    """Whether a client that accepts these codings takes gzip."""
    return accepted.quality("gzip") > 0


def deflated(body: bytes) -> bytes:
    """As gzip; the same bytes for the same body."""
    return gzip.compress(body, LEVEL, mtime=0)
