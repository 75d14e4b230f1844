"""A client's bytes become whole requests: head read by gunicorn's parser, body complete in memory. Knows no socket.

How a body is framed is decided in one place, gunicorn's: requests are smuggled where two readers disagree on it.
"""

import io
from typing import Any

from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.errors import ParseException
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader

from serving.gateway.chunked import BadChunk, ChunkedDecoder
from serving.gateway.refusals import HEAD_TOO_LARGE, LINE_TOO_LONG, MALFORMED, Refused, refusal_of

# Of request line and headers together; nginx's default (large_client_header_buffers 4 8k).
MAX_HEAD_BYTES = 32 * 1024

_END_OF_HEAD = b"\r\n\r\n"


class Incoming:
    """What one connection sends, as requests, one at a time."""

    def __init__(self, cfg: Any, client: Any, max_body_bytes: int) -> None:
        self._cfg, self._client, self._max_body_bytes = cfg, client, max_body_bytes
        self._arrived = bytearray()  # and not understood yet
        self._searched = 0  # bytes of it that hold no end of a head
        self._count = 0
        self._request: Any = None  # whose body is still arriving
        self._body = io.BytesIO()
        self._left = 0  # bytes of a body of known length still to come
        self._chunks: ChunkedDecoder | None = None
        self.wants_continue = False  # the client waits for "100 Continue"
        self.is_cut = False  # the last request was given out before its body had come: it is too large

    @property
    def has_begun(self) -> bool:
        """Something of a next request is here."""
        return self._request is not None or bool(self._arrived)

    @property
    def is_in_body(self) -> bool:
        """A head is here, and its body is still arriving."""
        return self._request is not None

    @property
    def held_bytes(self) -> int:
        """Memory that the client's bytes take, until the next request is given out."""
        return len(self._arrived) + self._body.tell()

    def receive(self, data: bytes | memoryview) -> None:
        """Take what has come."""
        self._arrived += data

    def discard(self) -> None:
        """Forget what has come: no request of it will be answered."""
        self._arrived, self._body, self._request = bytearray(), io.BytesIO(), None

    def next_request(self) -> Any:
        """The next request with its whole body, or None until more has come.

        A body over the limit is not waited for: what has come of it goes to the application, which says so.
        Raises:
            Refused: no application will see this.
        """
        if self._request is None and not self._begin_request():
            return None
        self._read_body()
        if self._chunks is not None:
            is_whole, is_too_large = self._chunks.is_whole, self._body.tell() > self._max_body_bytes
        else:
            is_whole, is_too_large = not self._left, self._left + self._body.tell() > self._max_body_bytes
        return self._give_out(is_cut=is_too_large) if is_whole or is_too_large else None

    def _begin_request(self) -> bool:
        """Read the head, if it has come."""
        end = self._arrived.find(_END_OF_HEAD, max(0, self._searched - len(_END_OF_HEAD) + 1), MAX_HEAD_BYTES)
        if end < 0:
            if len(self._arrived) >= MAX_HEAD_BYTES:
                has_line = self._arrived.find(b"\r\n", 2, MAX_HEAD_BYTES) >= 0
                raise Refused(HEAD_TOO_LARGE if has_line else LINE_TOO_LONG)
            self._searched = len(self._arrived)
            return False
        head = bytes(self._arrived[: end + len(_END_OF_HEAD)])
        del self._arrived[: len(head)]
        self._searched = 0
        self._count += 1
        try:
            self._request = Request(self._cfg, IterUnreader([head]), self._client, self._count)
        except (ParseException, StopIteration) as error:
            raise refusal_of(error) from error
        self._expect_body(self._request)
        return True

    def _expect_body(self, request: Any) -> None:
        reader = request.body.reader
        self._chunks = ChunkedDecoder() if isinstance(reader, ChunkedReader) else None
        self._left = reader.length if isinstance(reader, LengthReader) else 0
        has_body = self._chunks is not None or self._left
        self.wants_continue = request._expected_100_continue and bool(has_body)
        request._expected_100_continue = False  # or gunicorn answers it once more

    def _read_body(self) -> None:
        if self._chunks is not None:
            try:
                self._chunks.decode(self._arrived, self._body)
            except BadChunk as error:
                raise Refused(MALFORMED) from error
        elif self._left and self._left <= self._max_body_bytes:
            piece = self._arrived[: self._left]
            self._body.write(piece)
            self._left -= len(piece)
            del self._arrived[: len(piece)]

    def _give_out(self, *, is_cut: bool) -> Any:
        request, body = self._request, self._body
        self._request, self._body = None, io.BytesIO()
        self.is_cut, self.wants_continue = is_cut, False
        if is_cut:
            request.force_close()  # the rest of the body is no request
        body.seek(0)
        request.body = body
        return request
