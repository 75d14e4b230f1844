"""The metrics by name, each a function of row figures. Knows no data set: whatever rows it is given are all there are.

Columns may have leading axes, (..., n): the metrics are of the last one, so that a thousand resamples are one call.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from training.row_figures import Figures

CALIBRATION_BINS = 15  # as Guo et al. 2017 have it

Values = npt.NDArray[np.float64]  # (...)


def metrics_of(figures: Figures) -> dict[str, Values]:
    """Every metric that these columns allow."""
    return {name: metric(figures) for name, (needed, metric) in METRICS.items() if needed <= figures.keys()}


def equal_mass_bins(rows: int) -> npt.NDArray[np.intp]:
    """Where each of the bins begins when so many rows, in the order of their confidence, are dealt out evenly."""
    return np.unique(np.arange(CALIBRATION_BINS) * rows // CALIBRATION_BINS)


def _calibration_error(figures: Figures) -> Any:
    """How far the stated probability of the top class is from its share of hits: the mean over bins of equal mass."""
    confidence = figures["confidence"]
    order = np.argsort(confidence, axis=-1, kind="stable")
    gaps = np.take_along_axis(confidence - figures["hit"], order, axis=-1)
    bins = np.add.reduceat(gaps, equal_mass_bins(gaps.shape[-1]), axis=-1)
    return np.abs(bins).sum(axis=-1) / gaps.shape[-1]


def _mean(column: str) -> Callable[[Figures], Any]:
    return lambda figures: figures[column].mean(axis=-1)


def _rmse(figures: Figures) -> Any:
    return np.sqrt(np.mean(figures["error"] ** 2, axis=-1))


def _rmse_uncapped(figures: Figures) -> Any:
    kept = 1 - figures["capped"]
    return np.sqrt(np.sum(kept * figures["error"] ** 2, axis=-1) / kept.sum(axis=-1))


def _mae(figures: Figures) -> Any:
    return np.abs(figures["error"]).mean(axis=-1)


def _r2(figures: Figures) -> Any:
    return 1 - np.mean(figures["error"] ** 2, axis=-1) / np.var(figures["target"], axis=-1)


# name -> (the columns it is made of, how)
METRICS: Mapping[str, tuple[set[str], Callable[[Figures], Any]]] = MappingProxyType(
    {
        "accuracy": ({"hit"}, _mean("hit")),
        "loss": ({"loss"}, _mean("loss")),  # mean negative log-likelihood, nats
        "ece": ({"hit", "confidence"}, _calibration_error),
        "rmse": ({"error"}, _rmse),  # in the target's unit, as all errors and widths are
        "mae": ({"error"}, _mae),
        "r2": ({"error", "target"}, _r2),
        "rmse_uncapped": ({"error", "capped"}, _rmse_uncapped),  # of the rows below the data's cap on the target
        "coverage": ({"covered"}, _mean("covered")),  # share of sets or intervals that hold the truth
        "mean_set_size": ({"set_size"}, _mean("set_size")),
        "mean_interval_width": ({"interval_width"}, _mean("interval_width")),
        "out_of_domain": ({"out_of_domain"}, _mean("out_of_domain")),
    }
)
