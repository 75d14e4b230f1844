"""The metrics by name, each a function of row figures. Knows no data set: whatever rows it is given are all there are.

Columns may have leading axes, (..., n): the metrics are of the last one, so that a thousand resamples are one call.
"""

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from training.calibration_error import calibration_error
from training.row_figures import Figures

Values = npt.NDArray[np.float64]  # (...)


def metrics_of(figures: Figures, *, leaving_out: Collection[str] = ()) -> dict[str, Values]:
    """Every metric that these columns allow."""
    wanted = {name: METRICS[name] for name in METRICS if name not in leaving_out}
    return {name: metric(figures) for name, (needed, metric) in wanted.items() if needed <= figures.keys()}


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
        "ece": ({"hit", "confidence"}, calibration_error),
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
