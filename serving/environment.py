"""Settings out of `ATELIER_*` environment variables: typed, checked once, never guessed. Standard library only.

A process describes its settings as a frozen dataclass; the field `http_port` is the variable `ATELIER_HTTP_PORT`. A
value of the wrong kind, a missing one and a name nobody knows all stop the start, and the message names the variable.
"""

import dataclasses
import difflib
import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar, get_type_hints

PREFIX = "ATELIER_"

# int() and float() also take 1_000, and other scripts' digits.
_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

# Names that only some of the project's processes read. One environment (a shell, a compose file) may carry them all,
# so none of them is a misspelling anywhere.
SHARED_NAMES = frozenset(
    {
        "ATELIER_STORE",
        "ATELIER_DATA_DIR",
        "ATELIER_RUNS_DIR",
        "ATELIER_MODEL_SERVER_PORT",
        "ATELIER_MODEL_SERVER_REST_PORT",
        "ATELIER_MODEL_SERVER_OP_THREADS",
    }
)

T = TypeVar("T")


class SettingError(ValueError):
    """A setting the process cannot start with; the message names the variable, what was expected and what came."""


def read(cls: type[T], environ: Mapping[str, str], also_known: Collection[str] = ()) -> T:
    """Make `cls`, a frozen dataclass, from the environment.

    Args:
        also_known: further variable names that are not misspellings, though `cls` has no such field.
    Raises:
        SettingError: a required variable is missing, a value is wrong, or an `ATELIER_*` name is unknown.
    """
    names = variable_names(cls)
    _refuse_unknown(environ, {*names, *SHARED_NAMES, *also_known})
    hints = get_type_hints(cls)
    values = {field: _parse(name, hints[field], environ[name]) for name, field in names.items() if name in environ}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        if field.name not in values and _is_required(field):
            raise SettingError(f"{PREFIX}{field.name.upper()}: is required, and is not set")
    return cls(**values)


def variable_names(cls: type) -> dict[str, str]:
    """Variable name -> field name, for every field of a settings dataclass."""
    return {PREFIX + field.name.upper(): field.name for field in dataclasses.fields(cls)}


def require(is_met: bool, field: str, expected: str, got: object) -> None:  # noqa: FBT001 (reads like an assertion)
    """For `__post_init__`: refuse a value outside its range, by the name of its variable."""
    if not is_met:
        raise SettingError(f"{PREFIX}{field.upper()}: expected {expected}, got {got!r}")


def _refuse_unknown(environ: Mapping[str, str], known: set[str]) -> None:
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            bare = {one.removeprefix(PREFIX): one for one in known}  # the prefix alone makes all names alike
            close = difflib.get_close_matches(name.removeprefix(PREFIX), bare, n=1)
            hint = f"; did you mean {bare[close[0]]}?" if close else f"; known are {', '.join(sorted(known))}"
            raise SettingError(f"{name}: no such setting{hint}")


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _parse(name: str, hint: Any, text: str) -> Any:
    expected, parse = _PARSERS[hint]
    try:
        return parse(text.strip())
    except ValueError as error:
        raise SettingError(f"{name}: expected {expected}, got {text!r}") from error


def _string(text: str) -> str:
    if not text:
        raise ValueError
    return text


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError
    return int(text)


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _boolean(text: str) -> bool:
    try:
        return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
    except KeyError:
        raise ValueError from None


def _strings(text: str) -> tuple[str, ...]:
    items = tuple(item.strip() for item in text.split(","))
    if not all(items) or len(set(items)) < len(items):
        raise ValueError
    return items


_PARSERS: Mapping[Any, tuple[str, Callable[[str], Any]]] = {
    str: ("a text that is not empty", _string),
    int: ("a whole number", _integer),
    float: ("a number", _number),
    bool: ("true or false", _boolean),
    tuple[str, ...]: ("different names with commas between them", _strings),
}
