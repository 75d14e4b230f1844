import math

import pytest

from serving.contract import Evaluation
from training.errors import GateNotMet
from training.gate import check_gate


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
