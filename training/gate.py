"""Decides whether a model may be published: its test result against an absolute bound, and against its predecessor.

What the paired test lets pass is a model that is worse by less than chance explains; the margin bounds that. A model
that is published for another bound or margin says so in its contract, where the whole configuration is.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.contract import ClassOutput, Evaluation, ValueOutput
from training.errors import GateNotMet

Losses = npt.NDArray[np.float64]

# One-sided 95 %: of models as good as their predecessor, one in twenty is refused.
_STANDARD_ERRORS = 1.645


@dataclass(frozen=True)
class Comparison:
    """A model beside a published version, on the same test rows, in the gate's metric."""

    version: int
    metric: str  # accuracy or rmse
    value: float
    published: float  # the version's
    worse_by: float  # negative: better
    chance: float  # what a difference of nothing reaches in one test of twenty, these rows being drawn again


def check_gate(name: str, evaluation: Evaluation, bound: float) -> None:
    """Pass quietly, or say by how much the model failed. Accuracy must reach the bound, RMSE must not exceed it.

    Raises:
        GateNotMet: a figure is no finite number, or the result is on the wrong side of the bound.
    """
    metrics = evaluation.metrics
    if strange := {metric: value for metric, value in metrics.items() if not math.isfinite(value)}:
        raise GateNotMet(f"{name}: not published: {strange} on the test rows is no finite number")
    metric, sign, relation = ("accuracy", 1, "at least") if "accuracy" in metrics else ("rmse", -1, "at most")
    shortfall = sign * (bound - metrics[metric])
    if shortfall > 0:
        raise GateNotMet(
            f"{name}: not published: test {metric} is {metrics[metric]:.4f}, "
            f"{shortfall:.4f} short of the gate ({relation} {bound})"
        )


def row_losses(output: ClassOutput | ValueOutput, answer: npt.NDArray[Any], targets: npt.NDArray[Any]) -> Losses:
    """What each test row costs, (n,): 1 for a wrong class; the squared error of a value."""
    is_classifier = isinstance(output, ClassOutput)
    losses: Losses = answer.argmax(axis=1) != targets if is_classifier else (answer[:, 0] - targets) ** 2
    return losses.astype(np.float64)


def compare(output: ClassOutput | ValueOutput, version: int, new: Losses, published: Losses) -> Comparison:
    """A paired test, row by row: two models err on much the same rows, so their difference is known far better than
    either figure.
    """
    difference = new - published
    worse, error = float(difference.mean()), float(difference.std(ddof=1) / math.sqrt(len(difference)))
    chance = _STANDARD_ERRORS * error
    before, now = float(published.mean()), float(new.mean())
    if isinstance(output, ClassOutput):
        return Comparison(version, "accuracy", 1 - now, 1 - before, worse, chance)
    now, before = math.sqrt(now), math.sqrt(before)
    both = (now + before) or 1.0  # a - b = (a² - b²) / (a + b): what holds of squared errors holds of their roots
    return Comparison(version, "rmse", now, before, worse / both, chance / both)


def check_not_worse(name: str, comparison: Comparison, margin: float) -> None:
    """Pass quietly unless the new model is worse by more than chance explains, or by more than the margin.

    Raises:
        GateNotMet: says by how much, and by how much it may be.
    """
    c = comparison
    if c.worse_by > min(c.chance, margin):
        raise GateNotMet(
            f"{name}: not published: on the same test rows its {c.metric} is {c.value:.4f}, that of version "
            f"{c.version} {c.published:.4f}: worse by {c.worse_by:.4f}, of which chance explains {c.chance:.4f} "
            f"and the margin allows {margin:g}"
        )
