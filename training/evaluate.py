"""How good answers to the test rows are. Plain numpy: it cannot tell a model in memory from one behind a server."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.contract import ClassOutput, Evaluation, Interval, PredictionSet
from training.conformal import in_prediction_set
from training.datasets import Dataset

Values = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[Any]

_CALIBRATION_BINS = 15  # as Guo et al. 2017 have it


def evaluate(dataset: Dataset, answers: Mapping[str, Values]) -> Evaluation:
    """The figures of a model's answers to all test rows, in their order, by output tensor: (n, classes) or (n, 1)."""
    metrics: dict[str, float] = {}
    targets, output = dataset.test.targets, dataset.output
    answer = answers[output.tensor]
    if isinstance(output, ClassOutput):
        metrics.update(classification_metrics(answer, targets))
        if output.prediction_set:
            metrics.update(prediction_set_metrics(answer, targets, output.prediction_set))
    else:
        metrics.update(regression_metrics(answer, targets))
        if output.interval:
            metrics.update(interval_metrics(answers, targets, output.interval))
    if dataset.domain:
        metrics["out_of_domain"] = float(np.mean(answers[dataset.domain.tensor] > dataset.domain.threshold))
    return Evaluation(dataset.test_split, len(dataset.test), metrics)


def classification_metrics(probabilities: Values, labels: Labels) -> Mapping[str, float]:
    """Accuracy, mean negative log-likelihood in nats, calibration error. Probabilities (n, classes), labels (n,)."""
    of_label = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return {
        "accuracy": float(np.mean(probabilities.argmax(axis=1) == labels)),
        "loss": float(np.mean(-np.log(np.maximum(of_label, 1e-7)))),  # Keras's own epsilon
        "ece": expected_calibration_error(probabilities, labels),
    }


def expected_calibration_error(probabilities: Values, labels: Labels) -> float:
    """How far the stated probability of the top class is from its share of hits: the mean over bins of equal mass."""
    confidences = probabilities.max(axis=1).astype(np.float64)
    hits = probabilities.argmax(axis=1) == labels
    bins = np.array_split(np.argsort(confidences, kind="stable"), _CALIBRATION_BINS)
    gaps = [abs(confidences[rows].mean() - hits[rows].mean()) * len(rows) for rows in bins if len(rows)]
    return float(sum(gaps) / len(labels))


def prediction_set_metrics(probabilities: Values, labels: Labels, fitted: PredictionSet) -> Mapping[str, float]:
    """The share of prediction sets that hold the true class, and how many classes a set has on average."""
    chosen = in_prediction_set(probabilities, fitted)
    return {
        "coverage": float(np.mean(chosen[np.arange(len(labels)), labels])),
        "mean_set_size": float(np.mean(chosen.sum(axis=1))),
    }


def regression_metrics(values: Values, targets: Labels) -> Mapping[str, float]:
    """RMSE and MAE in the target's unit, and R2. Values (n, 1), targets (n,)."""
    errors = values[:, 0].astype(np.float64) - targets
    return {
        "rmse": float(np.sqrt(np.mean(errors**2))),
        "mae": float(np.mean(np.abs(errors))),
        "r2": float(1 - np.mean(errors**2) / np.var(targets.astype(np.float64))),
    }


def interval_metrics(answers: Mapping[str, Values], targets: Labels, interval: Interval) -> Mapping[str, float]:
    """The share of intervals that hold the true value, and how wide they are on average, in the target's unit."""
    low, high = answers[interval.low][:, 0].astype(np.float64), answers[interval.high][:, 0].astype(np.float64)
    return {
        "coverage": float(np.mean((low <= targets) & (targets <= high))),
        "mean_interval_width": float(np.mean(high - low)),
    }
