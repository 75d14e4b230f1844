"""What the page tells of a classifier: whom it mixes up, how much its probabilities are worth, its worst mistakes."""

from collections import Counter

import numpy as np

from serving.contract import ClassOutput, ImageInput
from training.conformal import in_prediction_set
from training.report.bars import bars
from training.report.confusion import confusion_matrix
from training.report.layout import aside, beside, section
from training.report.pictures import gallery
from training.report.reliability import reliability_diagram
from training.report.svg import percent
from training.report.tables import table, with_interval
from training.report.whiskers import whiskers
from training.report.words import OF_CALIBRATION_ERROR
from training.trained import TrainedModel

_MISTAKES = 24  # three or four rows of pictures


def classifier_sections(trained: TrainedModel) -> list[str]:
    """The sections between training and origin."""
    output = trained.contract.output
    assert isinstance(output, ClassOutput)  # noqa: S101 (the page asked)
    sections = [_classes(trained, output), _slices(trained), _reliability(trained)]
    if output.prediction_set:
        sections.append(_sets(trained, output))
    if isinstance(trained.dataset.input, ImageInput):
        sections.append(_mistakes(trained, output))
    return sections


def _classes(trained: TrainedModel, output: ClassOutput) -> str:
    found = trained.findings
    rows = [
        [result.name, f"{result.rows:,}", with_interval(result.precision), with_interval(result.recall)]
        for result in found.classes
    ]
    return section(
        "Class by class",
        "Precision: the share of what is called so that is so. Recall: the share of what is so that is found. "
        "Beside each, its 95 % interval.",
        beside(
            confusion_matrix(found.confusion, output.class_names),
            table("Precision and recall by class", ["Class", "Rows", "Precision", "Recall"], rows),
        ),
    )


def _slices(trained: TrainedModel) -> str:
    slices = [s for kind, parts in trained.findings.slices.items() if kind != "class" for s in parts]
    overall = trained.findings.metrics["accuracy"].value
    rows = [(s.name, s.metrics["accuracy"]) for s in slices]
    return section(
        "Where it does better, where worse",
        "Accuracy on parts of the test rows. A short line means many rows.",
        beside(
            whiskers(
                "Accuracy by class",
                [(s.name, s.metrics["accuracy"]) for s in trained.findings.slices["class"]],
                overall,
                f"all rows: {percent(round(overall, 3))}",
                value_format=_tenths,
            ),
            whiskers("Accuracy by part", rows, overall, f"all rows: {percent(round(overall, 3))}", value_format=_tenths)
            if rows
            else "",
        ),
    )


def _reliability(trained: TrainedModel) -> str:
    error = trained.findings.metrics["ece"]
    words = (
        "Test rows in bins of equal mass, by the probability stated for the most probable class. On the diagonal, what "
        "is said is what happens. Most rows lie in the corner at the top, where the model is sure."
    )
    gaps = [
        [f"{b.confidence:.4f}", f"{b.accuracy:.4f}", f"{b.confidence - b.accuracy:+z.4f}", f"{b.rows:,}"]
        for b in trained.findings.reliability
    ]
    return section(
        "Are its probabilities worth their name?",
        words,
        beside(
            reliability_diagram(trained.findings.reliability, error.value),
            table("The bins of the diagram", ["Stated", "Happened", "Gap", "Rows"], gaps),
        ),
        aside(
            f"Calibration error: {error.value:.4f}, 95 % interval {error.low:.4f} to {error.high:.4f}. "
            + OF_CALIBRATION_ERROR
        ),
    )


def _sets(trained: TrainedModel, output: ClassOutput) -> str:
    fitted = output.prediction_set
    assert fitted  # noqa: S101 (the caller looked)
    sizes = in_prediction_set(trained.answers[output.tensor], fitted).sum(axis=1)
    counts = {f"{size} {'class' if size == 1 else 'classes'}": n for size, n in sorted(Counter(sizes.tolist()).items())}
    rows = [(s.name, s.metrics["coverage"]) for s in trained.findings.slices["class"]]
    covered = trained.findings.metrics["coverage"]
    return section(
        f"Prediction sets that hold the truth {percent(fitted.level)} of the time",
        f"They held it for {percent(round(covered.value, 4))} of the test rows. The promise is over all rows together: "
        "single classes may lie above or below.",
        beside(
            whiskers(
                "Coverage by class", rows, fitted.level, f"promised: {percent(fitted.level)}", value_format=_tenths
            ),
            bars("How many classes a set holds", counts),
        ),
    )


def _mistakes(trained: TrainedModel, output: ClassOutput) -> str:
    probabilities, test = trained.answers[output.tensor], trained.dataset.test
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != test.targets)
    worst = wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")][:_MISTAKES]
    pictures = [
        (
            test.instances[i],
            output.class_names[test.targets[i]],
            f"said {output.class_names[predicted[i]]}, {probabilities[i].max():.1%}",
        )
        for i in worst
    ]
    return section(
        "Its worst mistakes",
        f"Of {len(wrong):,} wrong answers, those that were most certain. Some labels are themselves in doubt.",
        gallery(pictures),
    )


def _tenths(value: float) -> str:
    return percent(round(value, 3))
