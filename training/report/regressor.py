"""What the page tells of a regressor: how far off it is and where, how its intervals hold, what it gets most wrong."""

import numpy as np

from serving.contract import FeatureInput, ValueOutput
from training.estimate import Estimate
from training.regions import region_of
from training.report.layout import beside, section
from training.report.places import Residuals, residual_legend, residual_map
from training.report.scatter import estimates_against_truth
from training.report.svg import percent, plain_number
from training.report.tables import table
from training.report.whiskers import whiskers
from training.slices import place_of
from training.trained import TrainedModel

_MISTAKES = 12
_MAP_HEIGHT, _INSET_HEIGHT = 560, 260


def regressor_sections(trained: TrainedModel) -> list[str]:
    """The sections between training and origin."""
    output = trained.contract.output
    assert isinstance(output, ValueOutput)  # noqa: S101 (the page asked)
    sections = [_errors(trained, output)]
    if trained.dataset.place:
        sections.append(_map(trained, output))
    if output.interval:
        sections.append(_intervals(trained, output))
    return [*sections, _mistakes(trained, output)]


def _errors(trained: TrainedModel, output: ValueOutput) -> str:
    targets, overall = trained.dataset.test.targets, trained.findings.metrics["rmse"].value
    rows = _slices(trained, "rmse")
    return section(
        "How far off",
        f"Root mean square errors in {output.unit}; each line is a 95 % interval. A capped row's true value is not "
        "known: the data say only that it is above the cap.",
        beside(
            estimates_against_truth(targets, trained.answers[output.tensor][:, 0], output.unit),
            whiskers("RMSE by part", rows, overall, f"all rows: {overall:.3f}", value_format=_thousandths)
            if rows
            else "",
        ),
    )


def _map(trained: TrainedModel, output: ValueOutput) -> str:
    dataset = trained.dataset
    places = place_of(dataset, dataset.test.instances)
    errors = trained.answers[output.tensor][:, 0].astype(np.float64) - dataset.test.targets
    residuals = Residuals(errors, places, place_of(dataset, dataset.train.instances))
    everywhere = np.ones(len(places), np.bool_)
    region = region_of(places, dataset.regions)
    insets = [residual_map(r.name, residuals, region == r.name, _INSET_HEIGHT) for r in dataset.regions]
    return section(
        "Where it errs",
        "Every test row where it is, coloured by estimate minus truth: grey is within half a root mean square error, "
        "blue too low, orange too high. The pale ground is the training rows; there is no other map.",
        beside(
            residual_map("All test rows", residuals, everywhere, _MAP_HEIGHT),
            "".join(insets) + residual_legend(float(np.sqrt(np.mean(errors**2))), output.unit),
        ),
    )


def _intervals(trained: TrainedModel, output: ValueOutput) -> str:
    interval, metrics = output.interval, trained.findings.metrics
    assert interval  # noqa: S101 (the caller looked)
    coverage, width = metrics["coverage"], metrics["mean_interval_width"]
    return section(
        f"Intervals that hold the truth {percent(interval.level)} of the time",
        f"They held it for {percent(round(coverage.value, 4))} of the test rows; their mean width is "
        f"{width.value:.2f}, in {output.unit}. The promise is over all rows together: single regions may lie above "
        "or below.",
        beside(
            whiskers(
                "Coverage by part",
                _slices(trained, "coverage"),
                interval.level,
                f"promised: {percent(interval.level)}",
                value_format=lambda value: percent(round(value, 3)),
            ),
            whiskers(
                "Width by part",
                _slices(trained, "mean_interval_width"),
                width.value,
                f"all rows: {width.value:.2f}",
                value_format=_hundredths,
            ),
        ),
    )


def _mistakes(trained: TrainedModel, output: ValueOutput) -> str:
    test, answers, spec = trained.dataset.test, trained.answers, trained.dataset.input
    assert isinstance(spec, FeatureInput)  # noqa: S101 (regressors are asked about features)
    values = answers[output.tensor][:, 0]
    worst = np.argsort(-np.abs(values - test.targets), kind="stable")[:_MISTAKES]
    headers = ["Truth", "Estimate", "Error", *(feature.name for feature in spec.features)]
    rows = [
        [f"{test.targets[i]:.2f}", f"{values[i]:.2f}", f"{values[i] - test.targets[i]:+.2f}"]
        + [f"{value:.5g}" for value in test.instances[i]]
        for i in worst
    ]
    return section(
        "Its worst mistakes",
        f"The test rows with the largest errors, in {output.unit}, and what the model was told of them.",
        table("Largest errors", headers, rows),
    )


def _slices(trained: TrainedModel, metric: str) -> list[tuple[str, Estimate]]:
    parts = [part for kind in trained.findings.slices.values() for part in kind]
    return [(part.name.partition(":")[0], part.metrics[metric]) for part in parts if metric in part.metrics]


def _thousandths(value: float) -> str:
    return plain_number(round(value, 3))


def _hundredths(value: float) -> str:
    return plain_number(round(value, 2))
