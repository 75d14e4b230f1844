"""The body of a prediction request: JSON, in UTF-8, with `instances` and perhaps `top_k`. Knows HTTP, but no model."""

from typing import Any

import orjson
from flask import Request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from serving.gateway.violations import invalid, kind_of

MEMBERS = ("instances", "top_k")
WHAT_TO_SEND = 'send Content-Type: application/json and a body like {"instances": [...]}'


def read_body(request: Request, max_bytes: int) -> dict[str, Any]:
    """The JSON object a client sent, with `instances` in it and no unknown member.

    Raises:
        BadRequest, UnsupportedMediaType, RequestEntityTooLarge: it cannot be read.
        InvalidInput: it is JSON, but not such an object.
    """
    text = _read(request, max_bytes)
    if not text:
        raise BadRequest(f"the body is empty; {WHAT_TO_SEND}")
    _check_type(request)
    return _check_members(_parse(text))


def _read(request: Request, max_bytes: int) -> bytes:
    """The whole body. Not `request.get_data`, which cuts a chunked body off at its limit and says nothing."""
    too_large = RequestEntityTooLarge(f"a body may have at most {max_bytes} bytes")
    if (request.content_length or 0) > max_bytes:
        raise too_large
    text: bytes = request.environ["wsgi.input"].read(max_bytes + 1)
    if len(text) > max_bytes:
        raise too_large
    return text


def _check_type(request: Request) -> None:
    if request.mimetype != "application/json":
        got = "no Content-Type" if not request.mimetype else "another Content-Type"
        raise UnsupportedMediaType(f"got {got}; {WHAT_TO_SEND}")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedMediaType("got a Content-Encoding; send the body as it is")


def _parse(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error.msg}, at line {error.lineno} column {error.colno}") from error


def _check_members(document: Any) -> dict[str, Any]:
    if type(document) is not dict:
        raise invalid((), f"expected an object with instances, got {kind_of(document)}")
    if unknown := [key for key in document if key not in MEMBERS]:
        raise invalid((unknown[0],), f"unknown member; expected only {', '.join(MEMBERS)}")
    if "instances" not in document:
        raise invalid(("instances",), "expected an array of instances, but the member is missing")
    return document
