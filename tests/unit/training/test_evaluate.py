import math

import numpy as np
import pytest

from tests.training_data import pictures
from training.evaluate import classification_metrics, evaluate, regression_metrics


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
    evaluation = evaluate(dataset, answers)
    assert (evaluation.split, evaluation.rows) == ("the last third", 20)
    assert evaluation.metrics["accuracy"] == 1.0
