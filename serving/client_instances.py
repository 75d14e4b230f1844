"""Instances as callers have them become JSON's values, and files bytes. Standard library only."""

import base64
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from serving.gateway import violations
from serving.gateway.violations import invalid

# How a PNG and a JPEG file begin. No raw pixels that anybody took begin with PNG's eight.
MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
# As many dimensions as a NumPy array may have.
MAX_DEPTH = 64


def is_file(instance: bytes) -> bool:
    """Whether bytes are an image file, and not raw pixels."""
    return instance.startswith(MAGIC)


def plain_instances(instances: Iterable[Any]) -> list[Any]:
    """Files and raw pixels as bytes, anything else as JSON has it.

    Raises:
        InvalidInput: JSON has no such value.
    """
    return [_plain_instance(instance, ("instances", index)) for index, instance in enumerate(instances)]


def plain(value: Any, path: violations.Path) -> Any:
    """A value as JSON has it: arrays and tuples as lists.

    Raises:
        InvalidInput: it has none such; with a pointer to it.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return list(value) if _are_finite(value) else _plain_list(value, path)
    if isinstance(value, dict):
        return {_plain_name(name, path): plain(item, (*path, name)) for name, item in value.items()}
    if isinstance(value, int | float) and not _is_finite(value):
        raise invalid(path, "expected a finite 32-bit number, got one that is not")
    if value is None or isinstance(value, str | int | float):
        return value
    raise invalid(path, f"expected numbers, arrays of them or an object, got a Python {type(value).__name__}")


def as_json(instance: Any) -> Any:
    """A plain instance as the HTTP API has it."""
    if isinstance(instance, bytes):
        return {"b64": base64.b64encode(instance).decode()} if is_file(instance) else list(instance)
    return instance


def _plain_instance(instance: Any, path: violations.Path) -> Any:
    if isinstance(instance, Path):
        return instance.read_bytes()
    return instance if isinstance(instance, bytes) else plain(instance, path)


def _plain_list(values: Sequence[Any], path: violations.Path) -> list[Any]:
    if len(path) > MAX_DEPTH:
        raise invalid(path, f"expected at most {MAX_DEPTH} arrays in one another, got more")
    return [plain(value, (*path, index)) for index, value in enumerate(values)]


def _plain_name(name: Any, path: violations.Path) -> str:
    if not isinstance(name, str):
        raise invalid(path, f"expected strings as names, got a Python {type(name).__name__}")
    return name


def _are_finite(values: Sequence[Any]) -> bool:
    """Whether all are finite numbers: pixels, say, of which there are many."""
    return set(map(type, values)) <= {int, float} and all(map(_is_finite, values))


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer beyond 1e308
        return False
