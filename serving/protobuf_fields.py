"""Fields in protobuf's own encoding, for messages whose values are better copied once than put into objects.

https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Sequence

Pieces = list[bytes | memoryview]

_LENGTH_DELIMITED, _FIXED32 = 2, 5  # wire types: of strings, bytes and messages; of floats
KEY, VALUE = 1, 2  # the fields of a map's entry


def field(number: int, pieces: Sequence[bytes | memoryview]) -> Pieces:
    """A string, bytes, or a message of these pieces."""
    return [varint(number << 3 | _LENGTH_DELIMITED) + varint(sum(map(len, pieces))), *pieces]


def float_field(number: int, value: bytes) -> Pieces:
    """A float of these four bytes, little-endian."""
    return [varint(number << 3 | _FIXED32), value]


def varint(value: int) -> bytes:
    """A whole number from 0."""
    coded = bytearray()
    while value > 0x7F:
        coded.append(value & 0x7F | 0x80)
        value >>= 7
    coded.append(value)
    return bytes(coded)
