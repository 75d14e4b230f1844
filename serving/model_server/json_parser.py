"""Reads JSON as rapidjson does with TensorFlow Serving's flags: NaN and Inf, first value only, never recursive. Pure.

Python's own scanner is tried first, for it is in C. Whatever it refuses, and the little it takes differently, goes to a
parser that knows rapidjson's rules, texts and offsets (rapidjson/reader.h, IterativeParse; error/en.h).
"""

import json
import re
from typing import Any

from serving.model_server.status import StatusError, invalid_argument

Json = Any  # None | bool | int | float | str | list | dict; of a key given twice the first value counts


def parse(body: bytes) -> Json:
    """The first JSON value of the body. Bytes that are no UTF-8 come through as surrogate escapes.

    Raises:
        StatusError: INVALID_ARGUMENT, with rapidjson's text and offset.
    """
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    text = body.decode("utf-8", "surrogateescape").lstrip("\ufeff \t\n\r")
    if not _DIFFERENT.search(text):
        try:
            return _DECODER.raw_decode(text)[0]
        except (ValueError, RecursionError):
            pass
    return _Parser(body.removeprefix(b"\xef\xbb\xbf")).document()


# What Python takes and rapidjson does not, or takes otherwise: lone surrogates, numbers beyond a double, NUL.
_DIFFERENT = re.compile(r"\\u[dD]|[eE]\+?[0-9]{3}|[0-9]{300}|\x00")


def _first_wins(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    return members if len(members) == len(pairs) else dict(reversed(pairs))


_DECODER = json.JSONDecoder(object_pairs_hook=_first_wins)

_SPACE = re.compile(rb"[ \t\n\r]*")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_HEX4 = re.compile(rb"[0-9a-fA-F]{4}")
_DIGITS = re.compile(rb"[0-9]*")
_ESCAPES = {b'"': '"', b"\\": "\\", b"/": "/", b"b": "\b", b"f": "\f", b"n": "\n", b"r": "\r", b"t": "\t"}
_LITERALS = {b"n": (b"null", None), b"t": (b"true", True), b"f": (b"false", False)}

_INVALID_VALUE = "Invalid value."


class _Parser:
    """One pass over a document that Python's scanner did not settle."""

    def __init__(self, data: bytes) -> None:
        self._data = data.split(b"\0", 1)[0]  # rapidjson reads a NUL as the end
        self._at = 0

    def document(self) -> Json:
        self._skip_space()
        if self._peek() in (b"", b"]", b"}", b",", b":"):
            raise self._error("The document is empty.")
        return self._value()

    def _value(self) -> Json:
        """A value; containers are kept on a stack of (container, key of the member being read)."""
        stack: list[tuple[Json, str]] = []
        while True:
            opened = self._open()
            if opened is not None:
                if not self._closes_at_once(opened):
                    stack.append((opened, self._key() if isinstance(opened, dict) else ""))
                    continue
                value: Json = opened
            else:
                value = self._scalar()
            while stack:
                container, key = stack.pop()
                if isinstance(container, dict):
                    container.setdefault(key, value)
                else:
                    container.append(value)
                if self._goes_on(container):
                    stack.append((container, self._key() if isinstance(container, dict) else ""))
                    break
                value = container
            else:
                return value

    def _open(self) -> Json:
        """A new container if one begins here."""
        self._skip_space()
        first = self._peek()
        if first not in (b"[", b"{"):
            return None
        self._at += 1
        return [] if first == b"[" else {}

    def _closes_at_once(self, container: Json) -> bool:
        self._skip_space()
        if self._peek() != (b"}" if isinstance(container, dict) else b"]"):
            return False
        self._at += 1
        return True

    def _goes_on(self, container: Json) -> bool:
        """After an element: a comma (True) or the end of the container (False)."""
        self._skip_space()
        end = b"}" if isinstance(container, dict) else b"]"
        following = self._peek()
        if following not in (b",", end):
            raise self._error(
                "Missing a comma or } after an object member."
                if isinstance(container, dict)
                else "Missing a comma or ] after an array element."
            )
        self._at += 1
        return following == b","

    def _key(self) -> str:
        """A member's name and the colon after it."""
        self._skip_space()
        if self._peek() != b'"':
            raise self._error("Missing a name for object member.")
        key = self._string()
        self._skip_space()
        if self._peek() != b":":
            raise self._error("Missing a colon after a name of object member.")
        self._at += 1
        return key

    def _scalar(self) -> Json:
        first = self._peek()
        if first == b'"':
            return self._string()
        if first in _LITERALS:
            word, value = _LITERALS[first]
            self._expect(word)
            return value
        return self._number()

    def _expect(self, word: bytes) -> None:
        for position in range(len(word)):
            if self._peek() != word[position : position + 1]:
                raise self._error(_INVALID_VALUE)
            self._at += 1

    def _string(self) -> str:
        self._at += 1
        parts = []
        while True:
            plain = self._match(_PLAIN)
            parts.append(plain.decode("utf-8", "surrogateescape"))
            stop = self._peek()
            if stop == b'"':
                self._at += 1
                return "".join(parts)
            if stop == b"":
                raise self._error("Missing a closing quotation mark in string.")
            if stop != b"\\":
                raise self._error("Invalid encoding in string.")
            parts.append(self._escape())

    def _escape(self) -> str:
        start = self._at
        self._at += 2
        kind = self._data[start + 1 : start + 2]
        if kind in _ESCAPES:
            return _ESCAPES[kind]
        if kind != b"u":
            raise self._error("Invalid escape character in string.", start)
        code = self._hex4(start)
        if 0xD800 <= code <= 0xDFFF:
            if code > 0xDBFF or self._data[self._at : self._at + 2] != b"\\u":
                raise self._error("The surrogate pair in string is invalid.", start)
            self._at += 2
            low = self._hex4(start)
            if not 0xDC00 <= low <= 0xDFFF:
                raise self._error("The surrogate pair in string is invalid.", start)
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
        return chr(code)

    def _hex4(self, start: int) -> int:
        match = _HEX4.match(self._data, self._at)
        if match is None:
            raise self._error("Incorrect hex digit after \\u escape in string.", start)
        self._at += 4
        return int(match.group(), 16)

    def _number(self) -> int | float:
        start = self._at
        if is_negative := self._peek() == b"-":
            self._at += 1
        if self._peek() in (b"I", b"N"):
            value = self._not_finite()
            return -value if is_negative else value
        if self._peek() == b"0":
            self._at += 1
        elif not self._match(_DIGITS):
            raise self._error(_INVALID_VALUE)
        is_integer = not self._fraction() and not self._exponent()
        text = self._data[start : self._at]
        if is_integer and len(text) <= 20 and -(2**63) <= int(text) < 2**64:
            return int(text)
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise self._error("Number too big to be stored in double.", start)
        return number

    def _fraction(self) -> bool:
        if self._peek() != b".":
            return False
        self._at += 1
        if not self._match(_DIGITS):
            raise self._error("Miss fraction part in number.")
        self._exponent()
        return True

    def _exponent(self) -> bool:
        if self._peek() not in (b"e", b"E"):
            return False
        self._at += 1
        if self._peek() in (b"+", b"-"):
            self._at += 1
        if not self._match(_DIGITS):
            raise self._error("Miss exponent in number.")
        return True

    def _not_finite(self) -> float:
        if self._peek() == b"N":
            self._expect(b"NaN")
            return float("nan")
        self._expect(b"Inf")
        if self._peek() == b"i":
            self._expect(b"inity")
        return float("inf")

    def _match(self, pattern: re.Pattern[bytes]) -> bytes:
        match = pattern.match(self._data, self._at)
        if match is None:
            return b""
        self._at = match.end()
        return match.group()

    def _skip_space(self) -> None:
        self._match(_SPACE)

    def _peek(self) -> bytes:
        return self._data[self._at : self._at + 1]

    def _error(self, text: str, at: int | None = None) -> StatusError:
        offset = self._at if at is None else at
        return invalid_argument(f"JSON Parse error: {text} at offset: {offset}")
