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
