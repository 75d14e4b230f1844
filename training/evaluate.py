"""How good answers to the test rows are. Plain numpy: it cannot tell a model in memory from one behind a server."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.contract import Evaluation
from training.datasets import Dataset

Answers = npt.NDArray[np.floating[Any]]


def evaluate(dataset: Dataset, answers: Answers) -> Evaluation:
    """The figures of a model's answers to all test rows, in their order: (n, classes) or (n, 1)."""
    measure = {"classification": classification_metrics, "regression": regression_metrics}[dataset.task]
    return Evaluation(dataset.test_split, len(dataset.test), measure(answers, dataset.test.targets))


def classification_metrics(probabilities: Answers, labels: npt.NDArray[Any]) -> Mapping[str, float]:
    """Accuracy, and the mean negative log-likelihood in nats. Probabilities (n, classes), labels (n,)."""
    of_label = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return {
        "accuracy": float(np.mean(probabilities.argmax(axis=1) == labels)),
        "loss": float(np.mean(-np.log(np.maximum(of_label, 1e-7)))),  # Keras's own epsilon
    }


def regression_metrics(values: Answers, targets: npt.NDArray[Any]) -> Mapping[str, float]:
    """RMSE and MAE in the target's unit. Values (n, 1), targets (n,)."""
    errors = values[:, 0].astype(np.float64) - targets
    return {"rmse": float(np.sqrt(np.mean(errors**2))), "mae": float(np.mean(np.abs(errors)))}
