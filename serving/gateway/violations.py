"""Words for what is wrong with an input: JSON pointers and kinds of values, never the values. Knows no model."""

import math
from collections.abc import Iterator
from itertools import islice
from typing import Any

from serving.errors import InvalidInput, Violation

# Enough to see a pattern; a batch of a thousand bad rows must not become a megabyte of answer.
MAX_VIOLATIONS = 20
# A client's own key may show up in a pointer, but not a page of it.
MAX_KEY_LENGTH = 64

Path = tuple[str | int, ...]

_KINDS: dict[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    list: "an array",
    dict: "an object",
    type(None): "null",
    bytes: "an image",  # which JSON has not, but other bodies and doors
}


def kind_of(value: Any) -> str:
    """What kind of value this is, with its article."""
    return next(_KINDS[cls] for cls in type(value).__mro__ if cls in _KINDS)


def wrong_integer(minimum: int, maximum: int, value: Any) -> str | None:
    """What kind of value this is instead of an integer of that range; None if it is one."""
    if type(value) not in (int, float):
        return kind_of(value)
    if type(value) is float and math.isnan(value):  # which fails on an integer beyond 1e308
        return "not a number"
    if value > maximum:
        return "a larger number"
    if value < minimum:
        return "a smaller number"
    return None if value == int(value) else "a fraction"


def pointer(path: Path) -> str:
    """A JSON pointer (RFC 6901); a long key is cut."""
    return "".join(f"/{_escape(part)}" for part in path)


def violation(path: Path, detail: str) -> Violation:
    """One place, and what is wrong there."""
    return Violation(pointer(path), detail)


def invalid(path: Path, detail: str) -> InvalidInput:
    """An input that is wrong in one place."""
    return InvalidInput((violation(path, detail),))


def refuse(violations: Iterator[Violation]) -> InvalidInput:
    """An input that is wrong in all these places; only the first few are looked for."""
    return InvalidInput(tuple(islice(violations, MAX_VIOLATIONS)))


def refuse_any(violations: Iterator[Violation]) -> None:
    """Refuse an input that is wrong anywhere; only the first few places are looked for."""
    if found := tuple(islice(violations, MAX_VIOLATIONS)):
        raise InvalidInput(found)


def _escape(part: str | int) -> str:
    key = str(part)
    shown = key if len(key) <= MAX_KEY_LENGTH else key[:MAX_KEY_LENGTH] + "…"
    return shown.replace("~", "~0").replace("/", "~1")
