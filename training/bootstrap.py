"""Bootstrap intervals (Efron 1979; percentile): how far a figure would move, had other rows been drawn for the test."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from training.row_figures import Figures

RESAMPLES = 1000  # the ends of a 95 % interval then move by about a twentieth of its width between seeds
LEVEL = 0.95
SEED = 0  # fixed: the same answers always have the same intervals

Interval = tuple[float, ...]  # (low, high)

_CHUNK = 500_000  # rows drawn at a time: bounds the memory to some 40 MB


def bootstrap(metrics: Callable[[Figures], Mapping[str, Any]], figures: Figures) -> dict[str, Interval]:
    """The interval of each metric: a thousand times as many rows, drawn again with replacement.

    Args:
        metrics: of columns (resamples, n) makes values (resamples,).
    """
    random, table = np.random.default_rng(SEED), np.stack(list(figures.values()))  # (columns, n)
    rows = table.shape[1]
    parts = []
    for several in np.array_split(np.arange(RESAMPLES), RESAMPLES * rows // _CHUNK + 1):
        # In order: then what a resample comes to, to the last bit, follows from which rows it has.
        drawn = np.sort(random.integers(rows, size=(len(several), rows)), axis=1)
        parts.append(metrics(dict(zip(figures, table[:, drawn], strict=True))))
    return {name: interval_of(np.concatenate([part[name] for part in parts])) for name in parts[0]}


def interval_of(samples: npt.NDArray[Any]) -> Interval:
    """The middle 95 % of what came of the resamples: (RESAMPLES,) -> (low, high)."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return float(low), float(high)
