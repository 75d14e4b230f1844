import numpy as np
import pytest

from training.conformal import fit_prediction_set, in_prediction_set, quantile
from training.errors import ConfigError


@pytest.mark.parametrize(("count", "rank"), [(9, 9), (10, 10), (19, 18), (99, 90), (1981, 1784)])
def test_takes_the_score_of_rank_n_plus_1_times_level_rounded_up(count: int, rank: int) -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1, count + 1))
    assert quantile(scores, 0.9) == rank


def test_refuses_a_level_that_so_few_rows_cannot_promise() -> None:
    with pytest.raises(ConfigError, match=r"level 0.9 needs 9 calibration rows or more, got 8"):
        quantile(np.arange(8), 0.9)


def test_the_promise_holds_on_average_over_calibrations() -> None:
    """Few rows, many repetitions: a plain 0.9 quantile of 19 scores would cover 0.86 or so."""
    random = np.random.default_rng(0)
    scores = random.exponential(size=(4000, 20))
    covered = [fresh <= quantile(calibration, 0.9) for *calibration, fresh in scores]
    assert np.mean(covered) == pytest.approx(0.9, abs=0.015)  # three standard deviations


def test_a_prediction_set_s_threshold_is_a_calibration_row_s_own_probability_to_the_bit() -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 50).astype(np.float32)
    labels = np.zeros(50, np.int64)
    fitted = fit_prediction_set(probabilities, labels, 0.9)
    assert fitted.threshold in probabilities[:, 0].astype(np.float64)
    assert np.sum(in_prediction_set(probabilities, fitted)[:, 0]) >= 46  # rank 46 of 50


@pytest.mark.parametrize(("count", "confidence", "rank"), [(100, 0.0, 91), (100, 0.95, 96), (4800, 0.95, 4355)])
def test_a_confidence_takes_the_first_rank_that_keeps_the_level_so_often(
    count: int, confidence: float, rank: int
) -> None:
    assert quantile(np.arange(1, count + 1), 0.9, confidence) == rank


def test_a_confidence_is_kept_over_calibrations() -> None:
    """What a calibration covers of uniform scores is the score at its rank: the level, in 95 of 100 calibrations."""
    random = np.random.default_rng(0)
    covered = np.array([quantile(random.uniform(size=200), 0.9, 0.95) for _ in range(4000)])
    assert np.mean(covered >= 0.9) == pytest.approx(0.96, abs=0.02)


def test_refuses_a_confidence_that_so_few_rows_cannot_give() -> None:
    with pytest.raises(ConfigError, match=r"level 0.9 with confidence 0.95 needs 29 calibration rows or more, got 28"):
        quantile(np.arange(28), 0.9, 0.95)
    assert quantile(np.arange(1, 30), 0.9, 0.95) == 29


def test_a_set_is_empty_where_the_model_is_sure_of_no_class() -> None:
    probabilities = np.array([[0.34, 0.33, 0.33], [0.2, 0.7, 0.1]], np.float32)
    fitted = fit_prediction_set(np.full((20, 1), 0.6, np.float32), np.zeros(20, np.int64), 0.9)
    assert in_prediction_set(probabilities, fitted).tolist() == [[False, False, False], [False, True, False]]
