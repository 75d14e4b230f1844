"""Everything that an evaluation found: what evaluation.json holds, and what report and card tell."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass

from serving.contract import ClassOutput, Evaluation
from training import bootstrap
from training.classes import ClassResult, ReliabilityBin, class_results, confusion_of, reliability_of
from training.datasets import Dataset
from training.estimate import Estimate, estimated_metrics, estimates_in
from training.gate import Comparison
from training.row_figures import Answers, Figures, row_figures
from training.slices import Mask, slices


@dataclass(frozen=True)
class Slice:
    """The figures of a part of the test rows."""

    name: str
    rows: int
    metrics: Mapping[str, Estimate]


@dataclass(frozen=True)
class Findings:
    """The figures of all test rows and of their parts; of a classifier, class by class too."""

    split: str  # which rows, in words
    rows: int
    metrics: Mapping[str, Estimate]
    slices: Mapping[str, tuple[Slice, ...]]  # by what they are told apart
    classes: tuple[ClassResult, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()  # [true class][predicted class]
    reliability: tuple[ReliabilityBin, ...] = ()  # bins of equal mass, by confidence
    compared: Comparison | None = None  # with the version published before; None: there was none that could be asked
    resamples: int = bootstrap.RESAMPLES  # of every interval's bootstrap (the calibration error's has none), …
    interval_level: float = bootstrap.LEVEL
    bootstrap_seed: int = bootstrap.SEED


def find(dataset: Dataset, answers: Answers, evaluation: Evaluation, compared: Comparison | None = None) -> Findings:
    """What a model's answers to all test rows, in their order, by output tensor, tell beyond their evaluation."""
    figures = row_figures(dataset, answers)
    found = Findings(
        split=evaluation.split,
        rows=evaluation.rows,
        metrics=estimates_in(evaluation),
        compared=compared,
        slices={kind: _estimate(figures, masks) for kind, masks in slices(dataset, figures).items()},
    )
    if not isinstance(dataset.output, ClassOutput):
        return found
    confusion = confusion_of(answers[dataset.output.tensor], dataset.test.targets)
    return dataclasses.replace(
        found,
        classes=class_results(confusion, dataset.output.class_names),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        reliability=reliability_of(figures),
    )


def to_json(document: object) -> str:
    """A dataclass as a document for people and tools."""
    return json.dumps(dataclasses.asdict(document), indent=1, ensure_ascii=False, allow_nan=False)  # type: ignore[call-overload]


def _estimate(figures: Figures, masks: Mapping[str, Mask]) -> tuple[Slice, ...]:
    # R2 measures against the mean of the rows at hand: another yardstick in every slice.
    kept = figures.keys() - {"target", "out_of_domain", "capped"}
    return tuple(
        Slice(name, int(mask.sum()), estimated_metrics({key: figures[key][mask] for key in figures if key in kept}))
        for name, mask in masks.items()
    )
