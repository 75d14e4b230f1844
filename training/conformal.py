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


def quantile(scores: Scores, level: float, confidence: float = 0.0) -> float:
    """The finite-sample quantile: of n scores the one that rank_of names, counted from the smallest.

    Raises:
        ConfigError: so few scores that the rank is beyond the last.
    """
    return float(np.sort(scores)[rank_of(len(scores), level, confidence) - 1])


def rank_of(rows: int, level: float, confidence: float = 0.0) -> int:
    """Which of so many scores is their finite-sample quantile: ⌈(rows + 1) level⌉, from 1.

    That keeps the level on average over calibrations. With a confidence it is the first rank that keeps it in so many
    of them (Vovk 2012, arXiv 1209.2673): how much this one covers is Beta(rank, rows + 1 - rank).

    Raises:
        ConfigError: so few rows that the rank is beyond the last.
    """
    rank = math.ceil((rows + 1) * level)
    while rank <= rows and _share_below(rank, rows, level) < confidence:
        rank += 1
    if rank > rows:
        needed = math.ceil(level / (1 - level) - 1e-9)  # the 1e-9 takes back what 1 - 0.9 lost in binary
        if confidence:
            needed = max(needed, math.ceil(math.log(1 - confidence) / math.log(level)))
        with_confidence = f" with confidence {confidence}" if confidence else ""
        raise ConfigError(f"level {level}{with_confidence} needs {needed} calibration rows or more, got {rows}")
    return rank


def _share_below(rank: int, rows: int, level: float) -> float:
    """In which share of calibrations the score of this rank covers the level: fewer than `rank` of `rows` fall short.

    Beta(rank, rows + 1 - rank) exceeds the level as often as a binomial of that level stays below the rank.
    """
    counts = np.arange(rank)
    log_choices = np.array([math.lgamma(rows + 1) - math.lgamma(k + 1) - math.lgamma(rows - k + 1) for k in counts])
    return float(np.exp(log_choices + counts * math.log(level) + (rows - counts) * math.log1p(-level)).sum())


def fit_prediction_set(
    probabilities: Scores, labels: npt.NDArray[Any], level: float, confidence: float = 0.0
) -> PredictionSet:
    """The threshold of least ambiguous sets (LAC): a share `level` of true classes has at least this probability."""
    of_label = probabilities[np.arange(len(labels)), labels]
    return PredictionSet(level, -quantile(-of_label, level, confidence))


def in_prediction_set(probabilities: Scores, prediction_set: PredictionSet) -> npt.NDArray[np.bool_]:
    """Which classes belong to each row's set: (n, classes). None does where the model is sure of none."""
    return probabilities >= np.float64(prediction_set.threshold)
