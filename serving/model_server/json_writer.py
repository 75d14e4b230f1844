"""Writes JSON as rapidjson's PrettyWriter does: its escapes, its numbers, its layout of 4 spaces. Pure.

Used for error replies and for the values that error texts quote; tensors have a faster way in `json_reply`.
"""

import contextlib
import math

from serving.model_server.json_parser import Json

INDENT = "    "
_DEBUG_LIMIT_BYTES = 256  # json_tensor.cc: kMaxJsonDebugStringBytes

_ESCAPES = {code: f"\\u{code:04X}" for code in range(0x20)} | {
    ord(char): f"\\{escape}" for char, escape in zip('"\\\b\f\n\r\t', '"\\bfnrt', strict=True)
}


def quoted(text: str) -> str:
    """A JSON string."""
    return f'"{text.translate(_ESCAPES)}"'


def quoted_bytes(data: bytes) -> str:
    """A JSON string of bytes; those that are no UTF-8 go out as they are, once encoded with `to_bytes`."""
    return quoted(data.decode("utf-8", "surrogateescape"))


def to_bytes(text: str) -> bytes:
    """The document as it is sent."""
    return text.encode("utf-8", "surrogateescape")


def error_document(message: str) -> bytes:
    """The reply to a call that failed."""
    return to_bytes(f'{{\n{INDENT}"error": {quoted(message)}\n}}')


def debug_string(value: Json) -> str:
    """A value as error texts quote it: arrays on one line, cut at the first token that ends beyond 256 bytes."""
    return _DebugWriter().write(value)


class _LimitReached(Exception):
    pass


class _DebugWriter:
    """JsonWriterWithLimit: every token is checked before it is written."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size = 0

    def write(self, value: Json) -> str:
        with contextlib.suppress(_LimitReached, RecursionError):
            self._value(value, "", 0)
        return "".join(self._parts)

    def _value(self, value: Json, prefix: str, depth: int) -> None:
        if isinstance(value, list):
            self._token(prefix + "[")
            for index, item in enumerate(value):
                self._value(item, ", " if index else "", depth + 1)
            self._token("]")
        elif isinstance(value, dict):
            self._token(prefix + "{")
            for index, (key, item) in enumerate(value.items()):
                self._token(("," if index else "") + "\n" + INDENT * (depth + 1) + quoted(key))
                self._value(item, ": ", depth + 1)
            self._token(("\n" + INDENT * depth if value else "") + "}")
        else:
            self._token(prefix + _scalar(value))

    def _token(self, text: str) -> None:
        if self._size >= _DEBUG_LIMIT_BYTES:
            raise _LimitReached
        self._parts.append(text)
        self._size += len(to_bytes(text))


def _scalar(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        return str(value)
    return _double(float(value))


def _double(value: float) -> str:
    """rapidjson/internal/dtoa.h: the shortest digits, with an exponent only beyond 21 digits or below 1e-6."""
    if not math.isfinite(value):
        raise _LimitReached  # the writer refuses it, and with it the rest
    if value == 0:
        return "-0.0" if math.copysign(1, value) < 0 else "0.0"
    digits, exponent = _shortest(repr(abs(value)))
    sign = "-" if value < 0 else ""
    point = len(digits) + exponent  # where the decimal point is, counted from the first digit
    if len(digits) <= point <= 21:
        return f"{sign}{digits}{'0' * (point - len(digits))}.0"
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{point - 1}"


def _shortest(text: str) -> tuple[str, int]:
    """Digits without trailing zeros, and the power of ten of the last one."""
    mantissa, _, exponent_text = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    exponent = int(exponent_text or 0) - len(fraction)
    stripped = digits.rstrip("0")
    return stripped, exponent + len(digits) - len(stripped)
