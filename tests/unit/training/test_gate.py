import math

import numpy as np
import pytest

from serving.contract import ClassOutput, Evaluation, ValueOutput
from training.errors import GateNotMet
from training.gate import check_gate, check_not_worse, row_losses


def accuracy(value: float) -> Evaluation:
    return Evaluation("test", 10, {"accuracy": value, "loss": 0.3})


def rmse(value: float) -> Evaluation:
    return Evaluation("test", 10, {"rmse": value, "mae": 0.3})


def test_a_result_at_the_bound_passes() -> None:
    check_gate("fashion", accuracy(0.87), 0.87)
    check_gate("housing", rmse(0.62), 0.62)


def test_says_by_how_much_an_accuracy_is_too_low() -> None:
    with pytest.raises(GateNotMet, match=r"fashion: not published: test accuracy is 0.8500, 0.0200 .*at least 0.87"):
        check_gate("fashion", accuracy(0.85), 0.87)


def test_says_by_how_much_an_rmse_is_too_high() -> None:
    with pytest.raises(GateNotMet, match=r"housing: not published: test rmse is 0.7000, 0.0800 .*at most 0.62"):
        check_gate("housing", rmse(0.70), 0.62)


@pytest.mark.parametrize("strange", [math.nan, math.inf, -math.inf])
def test_any_figure_that_is_no_finite_number_stops_it(strange: float) -> None:
    with pytest.raises(GateNotMet, match="no finite number"):
        check_gate("fashion", Evaluation("test", 10, {"accuracy": 0.99, "loss": strange}), 0.87)
    with pytest.raises(GateNotMet, match="no finite number"):
        check_gate("housing", rmse(strange), 0.62)


def test_a_row_costs_1_for_a_wrong_class_and_the_squared_error_of_a_value() -> None:
    answer = np.array([[0.9, 0.1], [0.8, 0.2]])
    assert row_losses(ClassOutput("p", ("a", "b")), answer, np.array([0, 1])).tolist() == [0, 1]
    assert row_losses(ValueOutput("v", "USD"), np.array([[1.0], [5.0]]), np.array([1.0, 2.0])).tolist() == [0, 9]


def test_a_model_that_errs_on_more_of_the_same_rows_is_refused_with_the_difference() -> None:
    """Two points worse: within the noise of either figure, far beyond that of the pairs."""
    published = np.zeros(1000)
    published[:100] = 1
    new = published.copy()
    new[500:520] = 1
    with pytest.raises(GateNotMet, match=r"is 0\.1200, that of version 3 0\.1000: worse by 0\.0200, of which chance"):
        check_not_worse("fashion", 3, new, published)


def test_chance_and_improvement_pass() -> None:
    random = np.random.default_rng(0)
    published = random.exponential(size=1000)
    check_not_worse("housing", 1, published, published)
    check_not_worse("housing", 1, published - 0.01, published)
    check_not_worse("housing", 1, published + random.permutation(np.linspace(-1, 1, 1000)) + 0.01, published)
