import dataclasses
import math

import numpy as np
import pytest

from serving.contract import Domain, Interval, PredictionSet
from tests.training_data import pictures
from training.evaluate import (
    classification_metrics,
    evaluate,
    expected_calibration_error,
    interval_metrics,
    prediction_set_metrics,
    regression_metrics,
)


def test_accuracy_and_loss_by_hand() -> None:
    probabilities = np.array([[0.5, 0.5 - 1e-3, 1e-3], [0.25, 0.5, 0.25]], np.float32)
    metrics = classification_metrics(probabilities, np.array([0, 2], np.uint8))
    assert metrics["accuracy"] == 0.5
    assert metrics["loss"] == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_a_probability_of_zero_makes_a_large_loss_not_an_infinite_one() -> None:
    assert classification_metrics(np.array([[1.0, 0.0]]), np.array([1]))["loss"] == pytest.approx(-math.log(1e-7))


def test_rmse_and_mae_by_hand() -> None:
    metrics = regression_metrics(np.array([[1.0], [5.0]], np.float32), np.array([4.0, 1.0], np.float32))
    assert metrics["mae"] == 3.5
    assert metrics["rmse"] == pytest.approx(math.sqrt((9 + 16) / 2))


def test_an_evaluation_says_which_rows_and_how_many() -> None:
    dataset = pictures()
    answers = np.eye(3, dtype=np.float32)[dataset.test.targets]
    evaluation = evaluate(dataset, {"probabilities": answers})
    assert (evaluation.split, evaluation.rows) == ("the last third", 20)
    assert evaluation.metrics["accuracy"] == 1.0


def test_r2_is_1_for_the_truth_and_0_for_the_mean() -> None:
    targets = np.array([1.0, 2.0, 6.0], np.float32)
    assert regression_metrics(targets[:, None], targets)["r2"] == 1.0
    assert regression_metrics(np.full((3, 1), 3.0), targets)["r2"] == pytest.approx(0.0)


def test_the_calibration_error_is_the_gap_between_what_is_said_and_what_happens() -> None:
    """Always 0.8 sure, right six times in ten."""
    probabilities = np.tile([0.8, 0.2], (150, 1))
    labels = np.tile([0, 0, 0, 1, 1, 0, 0, 0, 1, 1], 15)
    assert expected_calibration_error(probabilities, labels) == pytest.approx(0.2)


def test_overconfidence_here_does_not_make_up_for_underconfidence_there() -> None:
    probabilities = np.repeat([[0.9, 0.1], [0.6, 0.4]], 150, axis=0)
    labels = np.concatenate([np.tile([0, 0, 0, 1], 38)[:150], np.tile([0, 0, 0, 1], 38)[:150]])
    hits = np.mean(labels == 0)
    assert expected_calibration_error(probabilities, labels) > 0.14 > abs(0.75 - hits)


def test_coverage_and_size_of_prediction_sets_by_hand() -> None:
    probabilities = np.array([[0.6, 0.3, 0.1], [0.4, 0.35, 0.25], [0.25, 0.24, 0.51]], np.float32)
    metrics = prediction_set_metrics(probabilities, np.array([0, 1, 0]), PredictionSet(0.9, 0.3))
    assert metrics == {"coverage": pytest.approx(2 / 3), "mean_set_size": pytest.approx((2 + 2 + 1) / 3)}


def test_coverage_and_width_of_intervals_by_hand() -> None:
    answers = {"low": np.array([[1.0], [1.0], [4.0]]), "high": np.array([[2.0], [3.0], [7.0]])}
    metrics = interval_metrics(answers, np.array([2.0, 0.5, 5.0]), Interval(0.9, "low", "high"))
    assert metrics == {"coverage": pytest.approx(2 / 3), "mean_interval_width": pytest.approx(2.0)}


def test_an_evaluation_counts_the_test_rows_that_are_called_out_of_domain() -> None:
    dataset = dataclasses.replace(pictures(), domain=Domain("score", 1.0, "how strange"))
    answers = {"probabilities": np.eye(3)[dataset.test.targets], "score": np.linspace(0.05, 2, 20)[:, None]}
    assert evaluate(dataset, answers).metrics["out_of_domain"] == 0.5
