"""A figure with its interval: what a test on so many rows can and cannot tell."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy.typing as npt

from serving.contract import Evaluation
from training.bootstrap import Interval, bootstrap, interval_of
from training.calibration_error import calibration_interval
from training.metrics import metrics_of
from training.row_figures import Figures, by_confidence

_OWN_INTERVALS: Mapping[str, Callable[[Figures], Interval]] = MappingProxyType({"ece": calibration_interval})


@dataclass(frozen=True)
class Estimate:
    """A figure on the rows that were there, and where it would lie for 95 % of other draws of rows.

    Of a calibration error, which other draws would exaggerate as this one does: where the model's own error lies.
    """

    value: float
    low: float
    high: float


def estimated_metrics(figures: Figures) -> dict[str, Estimate]:
    """Every metric that these columns allow, with its interval: a bootstrap's, but for those that have their own."""
    figures = by_confidence(figures)
    values = metrics_of(figures)
    intervals = bootstrap(partial(metrics_of, leaving_out=_OWN_INTERVALS), figures)
    intervals |= {name: interval(figures) for name, interval in _OWN_INTERVALS.items() if name in values}
    return {name: Estimate(float(value), *intervals[name]) for name, value in values.items()}


def estimates(values: npt.NDArray[Any], drawn: npt.NDArray[Any]) -> list[Estimate]:
    """Figures (n,), and what they came to on resamples (RESAMPLES, n)."""
    return [Estimate(float(value), *interval_of(drawn[:, i])) for i, value in enumerate(values)]


def estimates_in(evaluation: Evaluation) -> dict[str, Estimate]:
    """The figures of a contract's evaluation, with their intervals."""
    intervals = evaluation.intervals or {}
    return {name: Estimate(value, *intervals[name]) for name, value in evaluation.metrics.items()}
