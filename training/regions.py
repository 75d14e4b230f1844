"""Named parts of a map, so that figures can be told place by place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

ELSEWHERE = "Elsewhere"


@dataclass(frozen=True)
class Region:
    """A box on the map."""

    name: str
    description: str  # where it is, in words
    bounds: tuple[tuple[float, float], ...]  # of each feature of the place: from low to below high


def region_of(places: npt.NDArray[Any], regions: Sequence[Region]) -> npt.NDArray[np.str_]:
    """The name of the first region that holds each place (n, coordinates): (n,)."""
    inside = [
        np.all([(low <= places[:, i]) & (places[:, i] < high) for i, (low, high) in enumerate(region.bounds)], axis=0)
        for region in regions
    ]
    return np.select(inside, [region.name for region in regions], default=ELSEWHERE)
