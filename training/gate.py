"""Decides whether a model may be published: its test result against an absolute bound, and against its predecessor."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.contract import ClassOutput, Evaluation, ValueOutput
from training.errors import GateNotMet

Losses = npt.NDArray[np.float64]

# One-sided 95 %: of models as good as their predecessor, one in twenty is refused.
_STANDARD_ERRORS = 1.645


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


def check_not_worse(name: str, version: int, new: Losses, published: Losses) -> None:
    """A paired test, row by row, against the published version. Pass quietly unless the new model is surely worse.

    Two models err on much the same rows, so their difference is known far better than either figure.

    Raises:
        GateNotMet: the mean difference is worse by more than chance explains.
    """
    difference = new - published
    worse, error = float(difference.mean()), float(difference.std(ddof=1) / math.sqrt(len(difference)))
    if worse > _STANDARD_ERRORS * error:
        raise GateNotMet(
            f"{name}: not published: on the same {len(new)} test rows its mean loss is {new.mean():.4f}, that of "
            f"version {version} {published.mean():.4f}: worse by {worse:.4f}, of which chance explains "
            f"{_STANDARD_ERRORS * error:.4f}"
        )
