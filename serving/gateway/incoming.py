"""A client's bytes become whole requests: head read by gunicorn's parser, body complete in memory. Knows no socket.

How a body is framed is decided in one place, gunicorn's: requests are smuggled where two readers disagree on it. A head
that it has read before, as a plain request's, is not read again.
"""

import io
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.errors import ParseException

from serving.gateway.chunked import BadChunk, ChunkedDecoder
from serving.gateway.heads import read_head
from serving.gateway.plain_requests import Cut, KnownHeads, Plain, cut
from serving.gateway.refusals import HEAD_TOO_LARGE, LINE_TOO_LONG, MALFORMED, Refused, refusal_of

# Of request line and headers together; nginx's default (large_client_header_buffers 4 8k).
MAX_HEAD_BYTES = 32 * 1024

_END_OF_HEAD = b"\r\n\r\n"
# A request line as far as it has come, or an empty one. Whatever is not that, gunicorn's parser refuses too.
_BEGINNING = re.compile(rb"[\r\n]|[!-~][ -~]*(?: HTTP/[0-9]\.[0-9]\r\n|\r?\Z)")


def can_begin_request(data: memoryview) -> bool:
    """Whether a request may begin so; if not, nothing that follows can make it one."""
    return _BEGINNING.match(data) is not None


class Received:
    """A request that has come: head, and body as far as it is wanted."""

    def __init__(self, parse: Callable[[], Any], plain: Plain | None = None, request_id: str = "") -> None:
        """`parse` has gunicorn read the head."""
        self._parse = parse
        self._message: Any = None
        self._is_last = False
        self.plain = plain
        self.request_id = request_id  # as the client asked, of a plain request
        self.key_name = ""  # whose API key it bears, where that was counted before it came to a thread
        self.body = io.BytesIO()

    @property
    def message(self) -> Any:
        """The request as gunicorn has it."""
        if self._message is None:
            self._message = self._parse()
            if self._is_last:
                self._message.force_close()
        self._message.body = self.body
        return self._message

    @property
    def path(self) -> str:
        """What is asked for, without a query."""
        path: str = self.plain.path if self.plain else self.message.path
        return path

    @property
    def is_last(self) -> bool:
        """No request follows on its connection."""
        return self._is_last or bool(self.plain.closes if self.plain else self.message.should_close())

    def force_close(self) -> None:
        """Make it the last."""
        self._is_last = True
        if self._message is not None:
            self._message.force_close()


class Incoming:
    """What one connection sends, as requests, one at a time."""

    def __init__(self, cfg: Any, client: Any, max_body_bytes: int, heads: KnownHeads | None = None) -> None:
        """`heads` are known from other connections too."""
        self._cfg, self._client, self._max_body_bytes = cfg, client, max_body_bytes
        self._heads = heads or KnownHeads()
        self._arrived = bytearray()  # and not understood yet
        self._searched = 0  # bytes of it that hold no end of a head
        self._count = 0
        self._request: Received | None = None  # whose body is still arriving
        self._left = 0  # bytes of a body of known length still to come
        self._chunks: ChunkedDecoder | None = None
        self.is_head = False  # the request that has come last, however much of it: its answer has no body
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
        return len(self._arrived) + (self._request.body.tell() if self._request is not None else 0)

    def receive(self, data: bytes | memoryview) -> None:
        """Take what has come."""
        self._arrived += data

    def discard(self) -> None:
        """Forget what has come: no request of it will be answered."""
        self._arrived, self._request = bytearray(), None

    def next_request(self) -> Received | None:
        """The next request with its whole body, or None until more has come.

        A body over the limit is not waited for: what has come of it goes to the application, which says so.
        Raises:
            Refused: no application will see this.
        """
        request = self._request or self._begin_request()
        if request is None:
            return None
        self._read_body(request.body)
        if self._chunks is not None:
            is_whole, is_too_large = self._chunks.is_whole, request.body.tell() > self._max_body_bytes
        else:
            is_whole, is_too_large = not self._left, self._left + request.body.tell() > self._max_body_bytes
        return self._give_out(request, is_cut=is_too_large) if is_whole or is_too_large else None

    def _begin_request(self) -> Received | None:
        """Read the head, if it has come."""
        self.is_head = self._arrived.startswith((b"HEAD ", b"\r\nHEAD "))
        end = self._arrived.find(_END_OF_HEAD, max(0, self._searched - len(_END_OF_HEAD) + 1), MAX_HEAD_BYTES)
        if end < 0:
            if len(self._arrived) >= MAX_HEAD_BYTES:
                has_line = self._arrived.find(b"\r\n", 2, MAX_HEAD_BYTES) >= 0
                raise Refused(HEAD_TOO_LARGE if has_line else LINE_TOO_LONG)
            self._searched = len(self._arrived)
            return None
        head = bytes(self._arrived[: end + len(_END_OF_HEAD)])
        del self._arrived[: len(head)]
        self._searched = 0
        self._count += 1
        known = cut(head)
        plain = self._heads.find(known) if known else None
        if known is None or plain is None:
            self._request = self._read(head, known)
        else:
            self._chunks, self._left, self.wants_continue = None, known.length, False
            self._request = Received(partial(self._parse, head, self._count), plain, known.request_id)
        return self._request

    def _read(self, head: bytes, known: Cut | None) -> Received:
        try:
            message = self._parse(head, self._count)
        except (ParseException, StopIteration) as error:
            raise refusal_of(error) from error
        self._expect_body(message)
        if known is None:
            return Received(lambda: message)
        return Received(lambda: message, self._heads.learn(known, message), known.request_id)

    def _parse(self, head: bytes, number: int) -> Any:
        return read_head(self._cfg, head, self._client, number)

    def _expect_body(self, message: Any) -> None:
        reader = message.body.reader
        self._chunks = ChunkedDecoder() if isinstance(reader, ChunkedReader) else None
        self._left = reader.length if isinstance(reader, LengthReader) else 0
        has_body = self._chunks is not None or self._left
        self.wants_continue = message._expected_100_continue and bool(has_body)
        message._expected_100_continue = False  # or gunicorn answers it once more

    def _read_body(self, body: io.BytesIO) -> None:
        if self._chunks is not None:
            try:
                self._chunks.decode(self._arrived, body)
            except BadChunk as error:
                raise Refused(MALFORMED) from error
        elif self._left and self._left <= self._max_body_bytes:
            piece = self._arrived[: self._left]
            body.write(piece)
            self._left -= len(piece)
            del self._arrived[: len(piece)]

    def _give_out(self, request: Received, *, is_cut: bool) -> Received:
        self._request = None
        self.is_cut, self.wants_continue = is_cut, False
        if is_cut:
            request.force_close()  # the rest of the body is no request
        request.body.seek(0)
        return request
