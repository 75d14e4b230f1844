"""How good a model is on the test rows: plain numpy on its answers, so a server's answers can be measured too."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from serving.contract import Evaluation
from training.datasets import Dataset
from training.fit import model_inputs
from training.models import Model

_BATCH = 1000  # rows; bounds memory, changes no figure


def evaluate(model: Model, dataset: Dataset) -> Evaluation:
    """The model's figures on the test rows, which it has never seen."""
    answers = model.predict(model_inputs(dataset, dataset.test), batch_size=_BATCH, verbose=0)
    return Evaluation(dataset.test_split, len(dataset.test), measure(dataset, answers))


def measure(dataset: Dataset, answers: npt.NDArray[np.floating]) -> Mapping[str, float]:
    """The figures of answers to the test rows, in their order: (n, classes) or (n, 1)."""
    if dataset.task == "classification":
        return classification_metrics(answers, dataset.test.targets)
    return regression_metrics(answers, dataset.test.targets)


def classification_metrics(
    probabilities: npt.NDArray[np.floating], labels: npt.NDArray[np.integer]
) -> Mapping[str, float]:
    """Accuracy, and the mean negative log-likelihood in nats. Probabilities (n, classes), labels (n,)."""
    of_label = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return {
        "accuracy": float(np.mean(probabilities.argmax(axis=1) == labels)),
        "loss": float(np.mean(-np.log(np.maximum(of_label, 1e-7)))),  # Keras's own epsilon
    }


def regression_metrics(values: npt.NDArray[np.floating], targets: npt.NDArray[np.floating]) -> Mapping[str, float]:
    """RMSE and MAE in the target's unit. Values (n, 1), targets (n,)."""
    errors = values[:, 0].astype(np.float64) - targets
    return {"rmse": float(np.sqrt(np.mean(errors**2))), "mae": float(np.mean(np.abs(errors)))}
