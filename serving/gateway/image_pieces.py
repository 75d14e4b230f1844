"""Of what pieces a PNG or JPEG file is made. Looked at before a decoder is, whose time grows with their number.

A piece may be a few bytes long, and a body of the same bytes over and over is a thousandth of its size as gzip.
"""

import re

# PNG's chunks or JPEG's segments: files have a few, or one for each 8 kB. A million of them took Pillow 4 to 9 s.
MAX_PIECES = 10_000
# A progressive JPEG has about ten scans. Each is a pass over all pixels and may be a few bytes long: a thousand more of
# them, 33 kB, took half a minute to decode.
MAX_SCANS = 32

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
# A marker that a segment begins with, or the end (ITU-T T.81, B.1.1). Not 0xff00, which is a byte of a scan's pixels;
# nor the start and those between a scan's parts (0xd0 to 0xd7), which have no length; nor what means nothing (below
# 0xc0): a decoder steps over that as if it had none.
_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd9-\xfe])")
_START_OF_SCAN, _END_OF_IMAGE = b"\xda", b"\xd9"
_LENGTH_BYTES = 2
_PNG_END = b"IEND"
_PNG_FRAME_BYTES = 12  # of a chunk: its length, name and check sum


class UnreadableImage(ValueError):
    """What cannot be taken of a file: what was expected and what came."""


def check_segments(file: bytes) -> None:
    """Refuse a JPEG of too many scans or segments, as UnreadableImage.

    What cameras put behind its first image, a film or more images, is not looked at: neither does a decoder.
    """
    scans = pieces = at = 0
    while (marker := _MARKER.search(file, at)) and marker[1] != _END_OF_IMAGE:
        # Before the first scan nothing should be between two segments; what is, a decoder takes byte by byte.
        pieces += 1 if scans else 1 + marker.start() - at
        scans += marker[1] == _START_OF_SCAN
        if scans > MAX_SCANS:
            raise UnreadableImage(f"expected a JPEG of at most {MAX_SCANS} scans, got more")
        _check(pieces, "JPEG", "segments")
        length = int.from_bytes(file[marker.end() : marker.end() + _LENGTH_BYTES], "big")
        at = marker.end() + max(length, _LENGTH_BYTES)


def check_chunks(file: bytes) -> None:
    """Refuse a PNG of too many chunks before its end, as UnreadableImage."""
    chunks, at = 0, len(PNG)
    while at < len(file) and file[at + 4 : at + 8] != _PNG_END:
        chunks += 1
        _check(chunks, "PNG", "chunks")
        at += _PNG_FRAME_BYTES + int.from_bytes(file[at : at + 4], "big")


def _check(pieces: int, kind: str, name: str) -> None:
    if pieces > MAX_PIECES:
        raise UnreadableImage(f"expected a {kind} of at most {MAX_PIECES} {name}, got more")
