"""The body of a prediction request: JSON with `instances` and perhaps `top_k`, images, or CSV. Knows HTTP, no model."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from flask import Request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from serving.gateway.compression import TakeRoom, decoded
from serving.gateway.csv_rows import read_csv
from serving.gateway.encoded_images import EncodedImage
from serving.gateway.forms import read_form, whole_number
from serving.gateway.instances import PixelBlock
from serving.gateway.violations import invalid, kind_of

MEMBERS = ("instances", "top_k")
WHAT_TO_SEND = (
    'send Content-Type: application/json and a body like {"instances": [...]}, or images as image/png, image/jpeg, '
    "multipart/form-data or application/octet-stream, or features as text/csv"
)


def read_body(request: Request, max_bytes: int, take_room: TakeRoom) -> Mapping[str, Any]:
    """What a client sent: `instances`, perhaps `top_k`, and no other member.

    Raises:
        BadRequest, UnsupportedMediaType, RequestEntityTooLarge: it cannot be read.
        InvalidInput: it can be read, but is not that.
    """
    body = read_bytes(request, max_bytes, take_room)
    if not body:
        raise BadRequest(f"the body is empty; {WHAT_TO_SEND}")
    _check_type(request)
    return {**READERS[request.mimetype](body, request.mimetype_params), **_from_query(request)}


def read_bytes(request: Request, max_bytes: int, take_room: TakeRoom) -> bytes:
    """The whole body, inflated where it came as gzip; neither form of it may have more bytes.

    Raises:
        BadRequest, UnsupportedMediaType, RequestEntityTooLarge: it cannot be read.
    """
    return decoded(request, _read(request, max_bytes), max_bytes, take_room)


def _read(request: Request, max_bytes: int) -> bytes:
    """As it came. Not `request.get_data`, which cuts a chunked body off at its limit and says nothing."""
    too_large = RequestEntityTooLarge(f"a body may have at most {max_bytes} bytes")
    if (request.content_length or 0) > max_bytes:
        raise too_large
    text: bytes = request.environ["wsgi.input"].read(max_bytes + 1)
    if len(text) > max_bytes:
        raise too_large
    return text


def _check_type(request: Request) -> None:
    if request.mimetype not in READERS:
        got = "no Content-Type" if not request.mimetype else "another Content-Type"
        raise UnsupportedMediaType(f"got {got}; {WHAT_TO_SEND}")


def _from_query(request: Request) -> dict[str, Any]:
    """`top_k`, for the bodies that have no place for it."""
    if "top_k" not in request.args:
        return {}
    if request.mimetype in WITH_MEMBERS:
        raise BadRequest("top_k belongs into a body of this type, not into the query")
    return {"top_k": whole_number(request.args["top_k"])}


def _parse(body: bytes, _parameters: Mapping[str, str]) -> Mapping[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error.msg}, at line {error.lineno} column {error.colno}") from error
    return _check_members(document)


def _check_members(document: Any) -> dict[str, Any]:
    if type(document) is not dict:
        raise invalid((), f"expected an object with instances, got {kind_of(document)}")
    if unknown := [key for key in document if key not in MEMBERS]:
        raise invalid((unknown[0],), f"unknown member; expected only {', '.join(MEMBERS)}")
    if "instances" not in document:
        raise invalid(("instances",), "expected an array of instances, but the member is missing")
    return document


def _one_image(body: bytes, _parameters: Mapping[str, str]) -> Mapping[str, Any]:
    return {"instances": [EncodedImage(body)]}


def _pixels(body: bytes, _parameters: Mapping[str, str]) -> Mapping[str, Any]:
    return {"instances": PixelBlock(body)}


# Media type -> reader of the body, given the media type's parameters.
READERS: Mapping[str, Callable[[bytes, Mapping[str, str]], Mapping[str, Any]]] = {
    "application/json": _parse,
    "image/png": _one_image,
    "image/jpeg": _one_image,
    "multipart/form-data": read_form,
    "application/octet-stream": _pixels,
    "text/csv": read_csv,
}
WITH_MEMBERS = frozenset({"application/json", "multipart/form-data"})
