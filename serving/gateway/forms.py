"""A multipart/form-data body: each file an image, whatever its field is called; `top_k` may be a field."""

import io
from collections.abc import Mapping
from typing import Any

from werkzeug.exceptions import BadRequest
from werkzeug.formparser import MultiPartParser

from serving.gateway.encoded_images import EncodedImage
from serving.gateway.violations import invalid

# Far more than instances are taken in one request; a form of a million parts would be slow to read.
MAX_PARTS = 4096


def read_form(body: bytes, parameters: Mapping[str, str]) -> Mapping[str, Any]:
    """`instances`, in the order of the files, and `top_k` where it is a field."""
    fields, files = _parse(body, parameters.get("boundary", ""))
    if unknown := [name for name, _ in fields if name != "top_k"]:
        raise invalid((unknown[0],), "unknown field; expected files, and perhaps top_k")
    instances = [EncodedImage(file.stream.read()) for _, file in files]
    return {"instances": instances, **{name: whole_number(text) for name, text in fields}}


def _parse(body: bytes, boundary: str) -> tuple[list[tuple[str, str]], list[tuple[str, Any]]]:
    """(name, value) of the fields, and of the files; not a MultiDict, which loses the order between names."""
    if not boundary:
        raise BadRequest("the form has no boundary in its Content-Type")
    parser = MultiPartParser(stream_factory=_in_memory, max_form_parts=MAX_PARTS, cls=list)  # type: ignore[arg-type]
    try:
        fields, files = parser.parse(io.BytesIO(body), boundary.encode(), len(body))
    except (ValueError, UnicodeError) as error:
        raise BadRequest(f"the form cannot be read: {error}") from error
    return fields, files  # type: ignore[return-value]


def _in_memory(**_: object) -> io.BytesIO:
    """Not a temporary file: the body is in memory anyway."""
    return io.BytesIO()


def whole_number(text: str) -> int | str:
    """The number that a text says, or the text where it says none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else text
