"""The body of a REST request: read, and inflated if it is gzip. Knows no JSON."""

import gzip
import io
import zlib
from typing import Any

# net_http's bound on inflated bodies (EvHTTPRequest: kMaxUncompressedBytes)
_MAX_INFLATED_BYTES = 100 * 1024 * 1024


def read_body(environ: dict[str, Any]) -> bytes:
    """The body, inflated if it is gzip; one that cannot be inflated counts as empty."""
    body: bytes = environ["wsgi.input"].read()
    if "gzip" not in environ.get("HTTP_CONTENT_ENCODING", ""):
        return body
    try:
        return _inflate(body)
    except (OSError, EOFError, zlib.error):
        return b""


def _inflate(body: bytes) -> bytes:
    """Inflate at most 100 MiB.

    Raises:
        OSError: there is more, or it is no gzip.
    """
    with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
        inflated = file.read(_MAX_INFLATED_BYTES + 1)
    if len(inflated) > _MAX_INFLATED_BYTES:
        raise OSError(f"the body inflates to more than {_MAX_INFLATED_BYTES} bytes")
    return inflated
