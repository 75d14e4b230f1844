"""Decides whether a model may be published: its test result against the preset's absolute bound."""

import math

from serving.contract import Evaluation
from training.errors import GateNotMet


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
