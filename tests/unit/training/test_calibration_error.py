"""How sure a calibration error is: simulated models whose true error is known."""

import numpy as np
import pytest

from training.calibration_error import calibration_interval
from training.estimate import estimated_metrics
from training.row_figures import Figures

# By how much the stated probability of the top class is off, over all rows: none, a little, much.
GAPS = [0.0, 0.01, 0.05]


def answers(random: np.random.Generator, rows: int, gap: float) -> Figures:
    """Top classes stated with 0.55 to 0.95; less true than stated by the gap, whatever is stated."""
    confidence = random.uniform(0.55, 0.95, rows)
    return {"confidence": confidence, "hit": (random.random(rows) < confidence - gap) * 1.0}


@pytest.mark.parametrize("rows", [60, 1000])
@pytest.mark.parametrize("gap", GAPS)
def test_nineteen_of_twenty_intervals_hold_the_true_calibration_error(rows: int, gap: float) -> None:
    random = np.random.default_rng(1)
    intervals = [calibration_interval(answers(random, rows, gap)) for _ in range(400)]
    assert np.mean([low <= gap <= high for low, high in intervals]) > 0.95


def test_an_interval_is_no_wider_than_chance_is() -> None:
    """Of 20,000 rows a bin's share of hits is known to 0.01, the error of 15 of them to a few thousandths."""
    low, high = calibration_interval(answers(np.random.default_rng(1), 20_000, 0.05))
    assert 0.03 < low < 0.05 < high < 0.06


@pytest.mark.parametrize("rows", [1, 2, 14, 15, 16, 1000])
def test_the_value_lies_in_its_interval(rows: int) -> None:
    for seed in range(20):
        found = estimated_metrics(answers(np.random.default_rng(seed), rows, 0.0))["ece"]
        assert 0 <= found.low <= found.value <= found.high <= 1


def test_bins_of_hits_alone_tell_no_more_than_what_they_state() -> None:
    """Thirty times 0.9 and thirty hits: by chance once in 24 times, so that no error of 0.1 is proven."""
    low, _ = calibration_interval({"confidence": np.full(30, 0.9), "hit": np.ones(30)})
    assert low == 0


def test_certainty_that_is_right_has_no_error_and_nothing_to_doubt() -> None:
    sure = np.ones(30) + 1e-7  # as float32 has it
    assert calibration_interval({"confidence": sure, "hit": np.ones(30)}) == pytest.approx((0, 0), abs=1e-6)
