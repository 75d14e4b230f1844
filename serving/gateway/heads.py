"""A request's head, as gunicorn's parser reads it, and what HTTP/1.1 asks of one besides. Knows no body."""

import re
from typing import Any

from gunicorn.http.errors import InvalidHeader, UnsupportedTransferCoding
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader

# Host = uri-host [ ":" port ] (RFC 9110, 7.2), whose name may be empty (RFC 3986, 3.2.2).
_CHARACTER = r"[A-Za-z0-9._~!$&'()*+,;=-]"
_HOST = re.compile(
    rf"(?:\[(?:[0-9A-Fa-f:.]+|v[0-9A-Fa-f]+\.(?:{_CHARACTER}|:)+)\]|(?:{_CHARACTER}|%[0-9A-Fa-f]{{2}})*)(?::[0-9]*)?"
)


def read_head(cfg: Any, head: bytes, client: Any, number: int) -> Any:
    """gunicorn's request; the `number`th of its connection.

    Raises:
        ParseException: it is none that we answer.
        StopIteration: it is empty.
    """
    request = Request(cfg, IterUnreader([head]), client, number)
    request.version = min(request.version, (1, 1))  # the newest that we know (RFC 9110, 2.5)
    request.path = request.path or "/"  # of a target like http://host (RFC 9110, 4.2.3)
    _check_host(request)
    _check_transfer_codings(request)
    return request


def _check_host(request: Any) -> None:
    """RFC 9112, 3.2. That there are not two gunicorn sees to."""
    host = dict(request.headers).get("HOST", None if request.version == (1, 1) else "")
    if host is None or not _HOST.fullmatch(host):
        raise InvalidHeader("HOST", req=request)


def _check_transfer_codings(request: Any) -> None:
    """Refuse what would have to be undone besides chunked: gunicorn lets gzip pass, and leaves it to us."""
    for name, value in request.headers:
        if name == "TRANSFER-ENCODING" and value.lower() != "chunked":
            raise UnsupportedTransferCoding(value)
