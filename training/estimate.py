"""A figure with its interval: what a test on so many rows can and cannot tell."""

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from serving.contract import Evaluation
from training.bootstrap import bootstrap, interval_of
from training.metrics import metrics_of
from training.row_figures import Figures, by_confidence


@dataclass(frozen=True)
class Estimate:
    """A figure on the rows that were there, and where it would lie for 95 % of other draws of rows."""

    value: float
    low: float
    high: float


def estimated_metrics(figures: Figures) -> dict[str, Estimate]:
    """Every metric that these columns allow, with its bootstrap interval."""
    figures = by_confidence(figures)
    values, intervals = metrics_of(figures), bootstrap(metrics_of, figures)
    return {name: Estimate(float(value), *intervals[name]) for name, value in values.items()}


def estimates(values: npt.NDArray[Any], drawn: npt.NDArray[Any]) -> list[Estimate]:
    """Figures (n,), and what they came to on resamples (RESAMPLES, n)."""
    return [Estimate(float(value), *interval_of(drawn[:, i])) for i, value in enumerate(values)]


def estimates_in(evaluation: Evaluation) -> dict[str, Estimate]:
    """The figures of a contract's evaluation, with their intervals."""
    intervals = evaluation.intervals or {}
    return {name: Estimate(value, *intervals[name]) for name, value in evaluation.metrics.items()}
