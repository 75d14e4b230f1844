"""Conformal prediction: thresholds that keep a promised coverage on rows like those of calibration. Plain numpy.

Angelopoulos & Bates 2021, arXiv 2107.07511. The promise is marginal (over all inputs, not for each class or region)
and holds for rows that were used for nothing else: not to fit, to stop early or to choose a temperature.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.contract import PredictionSet
from training.errors import ConfigError

Scores = npt.NDArray[np.floating[Any]]


def quantile(scores: Scores, level: float) -> float:
    """The finite-sample quantile: of n scores the one of rank ⌈(n + 1) level⌉, counted from the smallest.

    Raises:
        ConfigError: so few scores that the rank is beyond the last.
    """
    rank = math.ceil((len(scores) + 1) * level)
    if rank > len(scores):
        needed = math.ceil(level / (1 - level) - 1e-9)  # the 1e-9 takes back what 1 - 0.9 lost in binary
        raise ConfigError(f"level {level} needs {needed} calibration rows or more, got {len(scores)}")
    return float(np.sort(scores)[rank - 1])


def fit_prediction_set(probabilities: Scores, labels: npt.NDArray[Any], level: float) -> PredictionSet:
    """The threshold of least ambiguous sets (LAC): a share `level` of true classes has at least this probability."""
    of_label = probabilities[np.arange(len(labels)), labels]
    return PredictionSet(level, -quantile(-of_label, level))


def in_prediction_set(probabilities: Scores, prediction_set: PredictionSet) -> npt.NDArray[np.bool_]:
    """Which classes belong to each row's set: (n, classes). The most probable one always does."""
    chosen = probabilities >= np.float64(prediction_set.threshold)
    chosen[np.arange(len(chosen)), probabilities.argmax(axis=1)] = True
    return chosen
