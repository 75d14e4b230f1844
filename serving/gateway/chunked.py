"""Chunked transfer coding (RFC 9112, section 7.1), decoded piece by piece as it arrives. Knows no socket."""

import io
import re
from collections.abc import Callable

from gunicorn.http.body import CHUNK_EXT_RE

# Digits for an exabyte: more is an attack on the arithmetic of whoever reads along.
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})" + CHUNK_EXT_RE.pattern)
MAX_SIZE_LINE_BYTES = 4096  # as Go's net/http and curl
MAX_TRAILER_BYTES = 8192
# Field lines (RFC 9110, section 5): whoever reads other lines as trailers may end the body elsewhere than we do.
_TRAILERS = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)+")

# Framing may outweigh the data by this much: each chunk is allowed a line of 16 bytes and twice its data, as Go's
# net/http has it. A client that sends a byte a chunk is still taken; one that sends kilobytes of extensions is not.
MAX_EXCESS_BYTES = 16 * 1024
FREE_FRAMING_BYTES = 16

_CRLF = b"\r\n"


class BadChunk(ValueError):
    """The body does not follow the coding; where it ends is unknown."""


class ChunkedDecoder:
    """Moves a body out of a buffer; what follows the body stays there."""

    def __init__(self) -> None:
        self._read: Callable[[bytearray, int, io.BytesIO], int | None] = self._read_size
        self._left = 0  # bytes of this chunk still to come
        self._excess = 0
        self.is_whole = False

    def decode(self, arrived: bytearray, body: io.BytesIO) -> None:
        """Take what can be understood off the front of `arrived`, its data onto the end of `body`.

        Raises:
            BadChunk: the framing is broken, or far larger than what it frames.
        """
        position = 0
        while not self.is_whole and (end := self._read(arrived, position, body)) is not None:
            position = end
        del arrived[:position]

    def _read_size(self, arrived: bytearray, start: int, _body: io.BytesIO) -> int | None:
        end = arrived.find(_CRLF, start, start + MAX_SIZE_LINE_BYTES)
        if end < 0:
            if len(arrived) - start >= MAX_SIZE_LINE_BYTES:
                raise BadChunk("a chunk's size line is too long")
            return None
        line = _SIZE_LINE.fullmatch(arrived, start, end)
        if line is None:
            raise BadChunk("a chunk's size line cannot be read")
        self._left = int(line[1], 16)
        self._excess = max(0, self._excess + (end - start) - FREE_FRAMING_BYTES - 2 * self._left)
        if self._excess > MAX_EXCESS_BYTES:
            raise BadChunk("the chunks' framing outweighs their data")
        self._read = self._read_data if self._left else self._read_trailers
        return end + 2

    def _read_data(self, arrived: bytearray, start: int, body: io.BytesIO) -> int | None:
        if start == len(arrived):
            return None
        piece = arrived[start : start + self._left]
        body.write(piece)
        self._left -= len(piece)
        if not self._left:
            self._read = self._read_end_of_chunk
        return start + len(piece)

    def _read_end_of_chunk(self, arrived: bytearray, start: int, _body: io.BytesIO) -> int | None:
        if len(arrived) - start < 2:
            return None
        if arrived[start : start + 2] != _CRLF:
            raise BadChunk("a chunk is longer than its size line says")
        self._read = self._read_size
        return start + 2

    def _read_trailers(self, arrived: bytearray, start: int, _body: io.BytesIO) -> int | None:
        """Trailers are read and dropped, which RFC 9110, section 6.5.1 allows: nothing here needs one."""
        if arrived.startswith(_CRLF, start):
            self.is_whole = True
            return start + 2
        end = arrived.find(_CRLF + _CRLF, start, start + MAX_TRAILER_BYTES)
        if end < 0:
            if len(arrived) - start >= MAX_TRAILER_BYTES:
                raise BadChunk("the trailers are too long")
            return None
        if not _TRAILERS.fullmatch(arrived, start, end + 2):
            raise BadChunk("a trailer cannot be read")
        self.is_whole = True
        return end + 4
