"""Lists of JSON values become arrays where all of them are numbers. Knows no model."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def as_float64(values: list[Any]) -> NDArray[np.float64] | None:
    """A flat list as an array; None where one is no number, or an integer beyond a float's reach."""
    if not set(map(type, values)) <= {int, float}:  # so no booleans, which numpy would take for 0 and 1
        return None
    try:
        return np.array(values, np.float64)
    except OverflowError:  # an integer beyond 1e308
        return None


def as_integers(values: list[Any], dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """A flat list as an array of an integer type; None where one is no whole number, or beyond the type's reach."""
    kinds = set(map(type, values))
    if not kinds <= {int, float}:
        return None
    try:
        return np.array(values if kinds == {int} else list(map(_whole, values)), dtype)
    except (OverflowError, ValueError):
        return None


def _whole(value: float) -> int:
    whole = int(value)
    if whole != value:
        raise ValueError
    return whole
