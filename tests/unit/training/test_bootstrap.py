import numpy as np
import pytest

from training.bootstrap import RESAMPLES, bootstrap
from training.metrics import metrics_of


def test_the_interval_of_a_share_is_as_wide_as_theory_has_it() -> None:
    """Normal approximation: 1.96 standard errors to either side."""
    hit = np.repeat([1.0, 0.0], [900, 100])
    ((low, high),) = bootstrap(metrics_of, {"hit": hit}).values()
    half = 1.96 * np.sqrt(0.9 * 0.1 / 1000)
    assert (low, high) == (pytest.approx(0.9 - half, abs=0.003), pytest.approx(0.9 + half, abs=0.003))


def test_nineteen_of_twenty_intervals_hold_the_truth() -> None:
    random = np.random.default_rng(1)
    intervals = [bootstrap(metrics_of, {"hit": (random.random(200) < 0.8) * 1.0})["accuracy"] for _ in range(200)]
    held = np.mean([low <= 0.8 <= high for low, high in intervals])
    assert 0.90 < held < 0.99


def test_the_same_figures_have_the_same_interval() -> None:
    error = np.random.default_rng(0).normal(size=50)
    assert bootstrap(metrics_of, {"error": error}) == bootstrap(metrics_of, {"error": error})


def test_columns_are_drawn_together() -> None:
    """A row is drawn whole: what is always equal stays equal."""
    column = np.random.default_rng(0).normal(size=50)
    found = bootstrap(
        lambda figures: {"gap": np.abs(figures["a"] - figures["b"]).sum(axis=-1)}, {"a": column, "b": column}
    )
    assert found["gap"] == (0, 0)


@pytest.mark.parametrize("rows", [1, 7, 2000])
def test_any_number_of_rows_gets_its_resamples_a_chunk_at_a_time(rows: int) -> None:
    drawn = []

    def count(figures: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        drawn.append(figures["a"].shape)
        return {"mean": figures["a"].mean(axis=-1)}

    bootstrap(count, {"a": np.arange(rows, dtype=np.float64)})
    assert sum(resamples for resamples, _ in drawn) == RESAMPLES
    assert {width for _, width in drawn} == {rows}
