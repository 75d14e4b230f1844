"""What one network learned, another begins with; and dropout that is left on, to say what a network is unsure of."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from serving.contract import DEFAULT_SIGNATURE
from tests.training_data import config, houses, pictures
from training.calibrate import calibrate
from training.config import TrainingConfig
from training.datasets import Dataset, encode
from training.describe import describe
from training.digest import model_weights
from training.errors import ConfigError
from training.evaluate import evaluate
from training.export import MC_DROPOUT_SIGNATURE, export
from training.fit import fit, make_reproducible
from training.models import build_model, predict
from training.monte_carlo import AlwaysDropout
from training.verify import loaded, verify
from training.warm_start import warm_start


def published(dataset: Dataset, settings: TrainingConfig, folder: Path, *, calibrated: bool = False) -> Any:
    make_reproducible(1)
    model = build_model(settings, dataset)
    fit(model, dataset, settings)
    if calibrated:
        dataset = dataclasses.replace(dataset, calibration=dataset.validation)
        model, dataset = calibrate(model, dataset, settings.level)
    evaluation = evaluate(dataset, predict(model, dataset, dataset.test))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    contract = describe(model, dataset, settings, seed=1, evaluation=evaluation, now=now)
    folder.mkdir()
    export(model, contract, folder, mc_samples=settings.mc_samples)
    return model


# --- warm start --------------------------------------------------------------------------------------


def test_a_warm_start_takes_every_weight_that_fits_and_leaves_the_others(tmp_path: Path) -> None:
    dataset, settings = houses(), config(hidden_units=(4, 3))
    before = model_weights(published(dataset, settings, tmp_path / "1"))
    wider = config(hidden_units=(4, 5))
    make_reproducible(2)
    model = build_model(wider, dataset)
    fresh = model_weights(model)
    begun = warm_start(model, tmp_path / "1", dataset, wider, seed=1)
    assert (begun.fitting, begun.weights) == (6, 9)
    assert begun.digest == verify(tmp_path / "1").digest
    for name, weight in model_weights(model).items():
        fits = any(part in name for part in ("normalization:", "hidden_1:", "value:bias"))
        begins_as = before if fits else fresh
        np.testing.assert_array_equal(weight, begins_as[name])


def test_a_version_that_saw_other_rows_is_refused(tmp_path: Path) -> None:
    dataset, settings = houses(), config()
    published(dataset, settings, tmp_path / "1")
    model = build_model(settings, dataset)
    with pytest.raises(ConfigError, match=r"was fitted to other rows, .*; it must have the same seed$"):
        warm_start(model, tmp_path / "1", dataset, settings, seed=2)
    other = config(calibration_share=0.3)
    with pytest.raises(ConfigError, match="it must have the same calibration_share"):
        warm_start(model, tmp_path / "1", dataset, other, seed=1)


def test_a_version_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"warm_start: .*/9 cannot be read"):
        warm_start(build_model(config(), houses()), tmp_path / "9", houses(), config(), seed=1)


# --- Monte Carlo dropout -----------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [False, True])
def test_dropout_that_stays_on_keeps_mean_and_with_selu_variance(alpha: bool) -> None:
    tf.random.set_seed(1)
    values = np.random.default_rng(0).normal(size=(400, 500)).astype(np.float32)
    found = np.array(AlwaysDropout(0.3, alpha=alpha)(values))
    assert found.mean() == pytest.approx(values.mean(), abs=0.02)
    assert found.std() == pytest.approx(1.0 if alpha else np.sqrt(1 / 0.7), abs=0.02)
    assert (found != np.array(AlwaysDropout(0.3, alpha=alpha)(values))).any()


@pytest.mark.parametrize("activation", ["relu", "selu"])
@pytest.mark.parametrize("dataset", [houses(rows=330), pictures(rows=330)], ids=lambda dataset: dataset.name)
def test_the_signature_gives_mean_and_spread_and_the_default_stays_certain(
    dataset: Dataset, activation: str, tmp_path: Path
) -> None:
    settings = config(dropout=0.4, hidden_units=(32,), mc_samples=300, activation=activation, batch_norm=True)
    published(dataset, settings, tmp_path / "1", calibrated=True)
    verify(tmp_path / "1")
    output = dataset.output.tensor
    rows = encode(dataset.input, dataset.test.instances[:5])
    with loaded(tmp_path / "1") as run:
        first, again = (run(MC_DROPOUT_SIGNATURE, rows) for _ in range(2))
        certain, certainly = (run(DEFAULT_SIGNATURE, rows)[output] for _ in range(2))
    assert first.keys() == {output, f"{output}_spread"}
    assert first[output].shape == first[f"{output}_spread"].shape == certain.shape
    np.testing.assert_array_equal(certain, certainly)
    assert (first[output] != again[output]).any()
    assert (first[f"{output}_spread"] > 0).all()
    # The mean of 300 passes is known to a seventeenth of their spread; four times that is out of chance's reach.
    np.testing.assert_array_less(np.abs(first[output] - again[output]), 6 * first[f"{output}_spread"] / np.sqrt(300))


def test_without_the_option_there_is_no_such_signature(tmp_path: Path) -> None:
    published(houses(), config(dropout=0.4), tmp_path / "1")
    assert MC_DROPOUT_SIGNATURE not in tf.saved_model.load(str(tmp_path / "1")).signatures
