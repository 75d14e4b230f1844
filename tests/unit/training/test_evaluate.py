import dataclasses
import math

import numpy as np
import pytest

from serving.contract import ClassOutput, Domain, Interval, PredictionSet, ValueOutput
from tests.training_data import houses, pictures
from training.evaluate import evaluate
from training.metrics import metrics_of
from training.row_figures import row_figures


def test_accuracy_and_loss_by_hand() -> None:
    probabilities = np.array([[0.5, 0.5 - 1e-3, 1e-3], [0.25, 0.5, 0.25]], np.float32)
    metrics = of_classes(probabilities, [0, 2])
    assert metrics["accuracy"] == 0.5
    assert metrics["loss"] == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_a_probability_of_zero_makes_a_large_loss_not_an_infinite_one() -> None:
    assert of_classes([[1.0, 0.0, 0.0]], [1])["loss"] == pytest.approx(-math.log(1e-7))


def test_rmse_and_mae_by_hand() -> None:
    metrics = of_values([1.0, 5.0], [4.0, 1.0])
    assert metrics["mae"] == 3.5
    assert metrics["rmse"] == pytest.approx(math.sqrt((9 + 16) / 2))


def test_rows_whose_target_was_cut_off_are_told_apart() -> None:
    """What is above the cap, no model can know: its error there says little."""
    metrics = of_values([1.0, 5.0, 3.0], [4.0, 1.0, 5.0], cap=5.0)
    assert metrics["rmse"] == pytest.approx(math.sqrt((9 + 16 + 4) / 3))
    assert metrics["rmse_uncapped"] == pytest.approx(math.sqrt((9 + 16) / 2))


def test_an_evaluation_says_which_rows_and_how_many() -> None:
    dataset = pictures()
    answers = np.eye(3, dtype=np.float32)[dataset.test.targets]
    evaluation = evaluate(dataset, {"probabilities": answers})
    assert (evaluation.split, evaluation.rows) == ("the last third", 20)
    assert evaluation.metrics["accuracy"] == 1.0


def test_every_figure_lies_in_its_interval() -> None:
    dataset = houses(300)
    random = np.random.default_rng(0)
    evaluation = evaluate(dataset, {"value": dataset.test.targets[:, None] + random.normal(size=(100, 1))})
    assert evaluation.intervals is not None
    assert evaluation.intervals.keys() == evaluation.metrics.keys()
    for name, (low, high) in evaluation.intervals.items():
        assert low < evaluation.metrics[name] < high


def test_r2_is_1_for_the_truth_and_0_for_the_mean() -> None:
    assert of_values([1.0, 2.0, 6.0], [1.0, 2.0, 6.0])["r2"] == 1.0
    assert of_values([3.0, 3.0, 3.0], [1.0, 2.0, 6.0])["r2"] == pytest.approx(0.0)


def test_the_calibration_error_is_the_gap_between_what_is_said_and_what_happens() -> None:
    """Always 0.8 sure, right six times in ten."""
    labels = np.tile([0, 0, 0, 1, 1, 0, 0, 0, 1, 1], 15)
    assert of_classes(np.tile([0.8, 0.1, 0.1], (150, 1)), labels)["ece"] == pytest.approx(0.2)


def test_overconfidence_here_does_not_make_up_for_underconfidence_there() -> None:
    """Nine in ten are said and three in four happen; six in ten are said and three in four happen."""
    probabilities = np.repeat([[0.9, 0.1, 0.0], [0.6, 0.4, 0.0]], 150, axis=0)
    labels = np.tile([0, 0, 0, 1], 75)
    assert of_classes(probabilities, labels)["ece"] == pytest.approx(0.15, abs=0.01)


def test_the_bins_of_the_calibration_error_hold_as_many_rows_each() -> None:
    """Of 15 bins the surest is one tenth wide: bins of equal width would let its errors cancel out those below."""
    confidence = np.linspace(0.5, 1, 30)
    hit = np.tile([0.0, 1.0], 15)
    expected = np.abs((confidence - hit).reshape(15, 2).mean(axis=1)).mean()
    assert metrics_of({"confidence": confidence, "hit": hit})["ece"] == pytest.approx(expected)


def test_coverage_and_size_of_prediction_sets_by_hand() -> None:
    probabilities = np.array([[0.6, 0.3, 0.1], [0.4, 0.35, 0.25], [0.25, 0.24, 0.51]], np.float32)
    metrics = of_classes(probabilities, [0, 1, 0], PredictionSet(0.9, 0.3))
    assert metrics["coverage"] == pytest.approx(2 / 3)
    assert metrics["mean_set_size"] == pytest.approx((2 + 2 + 1) / 3)


def test_coverage_and_width_of_intervals_by_hand() -> None:
    dataset = asked([2.0, 0.5, 5.0])
    dataset = dataclasses.replace(dataset, output=ValueOutput("value", "", Interval(0.9, "low", "high")))
    answers = {
        "value": np.array([[1.5], [2.0], [5.0]]),
        "low": np.array([[1.0], [1.0], [4.0]]),
        "high": np.array([[2.0], [3.0], [7.0]]),
    }
    metrics = metrics_of(row_figures(dataset, answers))
    assert metrics["coverage"] == pytest.approx(2 / 3)
    assert metrics["mean_interval_width"] == pytest.approx(2.0)


def test_an_evaluation_counts_the_test_rows_that_are_called_out_of_domain() -> None:
    dataset = dataclasses.replace(pictures(), domain=Domain("score", 1.0, "how strange"))
    answers = {"probabilities": np.eye(3)[dataset.test.targets], "score": np.linspace(0.05, 2, 20)[:, None]}
    assert evaluate(dataset, answers).metrics["out_of_domain"] == 0.5


def of_classes(probabilities: object, labels: object, fitted: PredictionSet | None = None) -> dict[str, float]:
    dataset = pictures()
    output = ClassOutput("probabilities", ("dark", "grey", "light"), fitted)
    test = dataclasses.replace(dataset.test, targets=np.array(labels, np.uint8))
    figures = row_figures(
        dataclasses.replace(dataset, output=output, test=test), {"probabilities": np.array(probabilities)}
    )
    return metrics_of(figures)


def of_values(values: list[float], targets: list[float], cap: float | None = None) -> dict[str, float]:
    return metrics_of(row_figures(asked(targets, cap), {"value": np.array(values)[:, None]}))


def asked(targets: list[float], cap: float | None = None) -> object:
    dataset = houses()
    test = dataclasses.replace(dataset.test, targets=np.array(targets, np.float32))
    return dataclasses.replace(dataset, test=test, cap=cap)
