"""What each row shows of a model: hit or miss, how far off, covered or not. One column a figure, plain numpy.

Every metric is made of these columns, so that it can be taken of all rows, of a slice, or of rows drawn again.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.contract import ClassOutput, ValueOutput
from training.conformal import in_prediction_set
from training.datasets import Dataset

Column = npt.NDArray[np.float64]  # (n,)
Figures = Mapping[str, Column]  # by name
Answers = Mapping[str, npt.NDArray[np.floating[Any]]]  # by output tensor, (n, width)

_LEAST_PROBABILITY = 1e-7  # Keras's own epsilon: a probability of 0 costs much, not infinitely much


def row_figures(dataset: Dataset, answers: Answers) -> Figures:
    """The columns of a model's answers to all test rows, in their order."""
    output, targets = dataset.output, dataset.test.targets
    if isinstance(output, ClassOutput):
        figures = _of_classes(output, answers, targets)
    else:
        figures = _of_values(output, answers, targets.astype(np.float64))
        if dataset.cap is not None:
            figures["capped"] = targets >= np.float32(dataset.cap)
    if dataset.domain:
        figures["out_of_domain"] = answers[dataset.domain.tensor][:, 0] > dataset.domain.threshold
    return {name: np.asarray(column, np.float64) for name, column in figures.items()}


def by_confidence(figures: Figures) -> Figures:
    """The same rows in an order of their own, if they have one: then it is theirs which resamples are drawn."""
    if "confidence" not in figures:
        return figures
    order = np.argsort(figures["confidence"], kind="stable")
    return {name: column[order] for name, column in figures.items()}


def _of_classes(output: ClassOutput, answers: Answers, labels: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    probabilities, every = answers[output.tensor], np.arange(len(labels))
    of_label = probabilities[every, labels].astype(np.float64)
    figures = {
        "hit": probabilities.argmax(axis=1) == labels,
        "confidence": probabilities.max(axis=1),
        "loss": -np.log(np.maximum(of_label, _LEAST_PROBABILITY)),
    }
    if output.prediction_set:
        chosen = in_prediction_set(probabilities, output.prediction_set)
        figures |= {"covered": chosen[every, labels], "set_size": chosen.sum(axis=1)}
    return figures


def _of_values(output: ValueOutput, answers: Answers, targets: Column) -> dict[str, npt.NDArray[Any]]:
    figures: dict[str, npt.NDArray[Any]] = {"target": targets, "error": answers[output.tensor][:, 0] - targets}
    if output.interval:
        low, high = (answers[tensor][:, 0].astype(np.float64) for tensor in (output.interval.low, output.interval.high))
        figures |= {"covered": (low <= targets) & (targets <= high), "interval_width": high - low}
    return figures
