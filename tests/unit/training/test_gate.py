import math

import numpy as np
import pytest

from serving.contract import ClassOutput, Evaluation, ValueOutput
from training.errors import GateNotMet
from training.gate import check_gate, check_not_worse, compare, row_losses


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


CLASSES, VALUE = ClassOutput("p", ("a", "b")), ValueOutput("v", "USD")


def test_a_model_that_errs_on_more_of_the_same_rows_is_refused_with_the_difference() -> None:
    """Two points worse: within the noise of either figure, far beyond that of the pairs."""
    published = np.zeros(1000)
    published[:100] = 1
    new = published.copy()
    new[500:520] = 1
    with pytest.raises(
        GateNotMet,
        match=r"accuracy is 0\.8800, that of version 3 0\.9000: worse by 0\.0200, of which chance explains 0.00",
    ):
        check_not_worse("fashion", compare(CLASSES, 3, new, published), margin=1)


def test_a_value_s_errors_are_compared_as_rmse_by_a_test_on_their_squares() -> None:
    random = np.random.default_rng(0)
    published, extra = random.exponential(size=1000), random.exponential(size=1000)
    comparison = compare(VALUE, 1, published + extra, published)
    assert comparison.value == pytest.approx(np.sqrt((published + extra).mean()))
    assert comparison.published == pytest.approx(np.sqrt(published.mean()))
    assert comparison.worse_by == pytest.approx(comparison.value - comparison.published)
    t_squares = extra.mean() / (extra.std(ddof=1) / np.sqrt(1000))
    assert comparison.worse_by / comparison.chance == pytest.approx(t_squares / 1.645)


def test_chance_and_improvement_pass() -> None:
    random = np.random.default_rng(0)
    published = random.exponential(size=1000) + 2
    for new in (published, published - 0.01, published + random.permutation(np.linspace(-1, 1, 1000)) + 0.01):
        check_not_worse("housing", compare(VALUE, 1, new, published), margin=0.02)


def test_what_chance_explains_is_refused_all_the_same_where_it_exceeds_the_margin() -> None:
    """Else a row of publications, each within chance, could walk down to the floor unseen."""
    noise = np.linspace(-1, 1, 1000)
    published = np.full(1000, 2.0)
    comparison = compare(VALUE, 1, published + noise + 0.01, published)
    assert 0 < comparison.worse_by < comparison.chance
    check_not_worse("housing", comparison, margin=0.02)
    with pytest.raises(GateNotMet, match=r"and the margin allows 0$"):
        check_not_worse("housing", comparison, margin=0)


def test_of_equals_one_in_twenty_is_refused() -> None:
    random = np.random.default_rng(0)
    pairs = (random.exponential(size=(2, 500)) for _ in range(1000))
    worse = [comparison.worse_by > comparison.chance for comparison in (compare(VALUE, 1, *pair) for pair in pairs)]
    assert 0.03 < np.mean(worse) < 0.07
