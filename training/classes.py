"""What a classifier does to each class: who is taken for whom, and how much its probabilities are worth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.bootstrap import RESAMPLES, SEED
from training.calibration_error import equal_mass_bins
from training.estimate import Estimate, estimates
from training.row_figures import Figures

Confusion = npt.NDArray[np.int64]  # (..., true class, predicted class): rows


@dataclass(frozen=True)
class ClassResult:
    """One class: precision is the share of rows called so that are so, recall the share of those that are found."""

    name: str
    rows: int
    precision: Estimate
    recall: Estimate


@dataclass(frozen=True)
class ReliabilityBin:
    """Rows of much the same confidence: what was said, and what happened."""

    rows: int
    confidence: float  # mean stated probability of the top class
    accuracy: float


def confusion_of(probabilities: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Confusion:
    """How many rows of each class were taken for each: (n, classes), (n,) -> (classes, classes)."""
    classes = probabilities.shape[1]
    pairs = labels.astype(np.int64) * classes + probabilities.argmax(axis=1)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def class_results(confusion: Confusion, names: Sequence[str]) -> tuple[ClassResult, ...]:
    """Precision and recall of each class. To draw rows again is to draw the matrix from a multinomial."""
    rows = int(confusion.sum())
    drawn = np.random.default_rng(SEED).multinomial(rows, confusion.ravel() / rows, size=RESAMPLES)
    again = drawn.reshape(RESAMPLES, *confusion.shape)
    precisions, recalls = (estimates(of(confusion), of(again)) for of in (_precision, _recall))
    return tuple(ClassResult(name, int(confusion[i].sum()), precisions[i], recalls[i]) for i, name in enumerate(names))


def reliability_of(figures: Figures) -> tuple[ReliabilityBin, ...]:
    """The bins of which the calibration error is made."""
    order = np.argsort(figures["confidence"], kind="stable")
    return tuple(
        ReliabilityBin(len(rows), float(figures["confidence"][rows].mean()), float(figures["hit"][rows].mean()))
        for rows in np.split(order, equal_mass_bins(len(order))[1:])
    )


def _precision(confusion: Confusion) -> npt.NDArray[np.float64]:
    return _share(confusion, confusion.sum(axis=-2))


def _recall(confusion: Confusion) -> npt.NDArray[np.float64]:
    return _share(confusion, confusion.sum(axis=-1))


def _share(confusion: Confusion, of: Confusion) -> npt.NDArray[np.float64]:
    """A class that is never called, or never there, has 0."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    return right / np.maximum(of, 1)
