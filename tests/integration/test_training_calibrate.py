"""Calibration with the real Keras: what it adds to a model, that it is right, and that the exported artefact has it."""

import dataclasses
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from serving.contract import DEFAULT_SIGNATURE, ClassOutput, FeatureInput, FeatureTensor, ValueOutput
from tests.training_data import config, houses, pictures
from training.calibrate import calibrate, check_enough_rows
from training.datasets import Dataset, Rows, encode
from training.describe import describe
from training.domain import Nearest, image_score
from training.errors import ConfigError
from training.evaluate import evaluate
from training.export import export
from training.fit import fit, make_reproducible
from training.models import build_model, predict
from training.temperature import Temperature, fit_temperature
from training.verify import loaded, verify


def quarters(dataset: Dataset) -> Dataset:
    """The data set split in four: to fit, to validate, to calibrate, to test."""
    parts = (dataset.train, dataset.validation, dataset.test)
    rows = Rows(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("instances", "targets")))
    train, validation, calibration, test = (rows.take(part) for part in np.array_split(np.arange(len(rows)), 4))
    return dataclasses.replace(dataset, train=train, validation=validation, calibration=calibration, test=test)


def noisy(dataset: Dataset) -> Dataset:
    """Houses whose price is the less certain the more rooms they have; pictures a quarter of which is mislabelled."""

    def disturb(rows: Rows, seed: int) -> Rows:
        random = np.random.default_rng(seed)
        if dataset.task == "classification":
            wrong = (rows.targets + random.integers(1, 3, len(rows))) % 3
            return Rows(rows.instances, np.where(random.random(len(rows)) < 0.25, wrong, rows.targets))
        noise = random.normal(size=len(rows)) * 0.02 * rows.instances[:, 0]
        return Rows(rows.instances, (rows.targets + noise).astype(np.float32))

    names = ("train", "validation", "calibration", "test")
    return dataclasses.replace(dataset, **{name: disturb(getattr(dataset, name), i) for i, name in enumerate(names)})


def fitted(dataset: Dataset, **changes: object) -> Any:
    settings = config(**{"epochs": 10, "patience": 10, **changes})
    make_reproducible(1)
    model = build_model(settings, dataset)
    fit(model, dataset, settings)
    return model


@pytest.fixture(scope="module")
def pictured() -> tuple[Any, Any, Dataset]:
    """A classifier as fitted, the same calibrated, and its data set with what the outputs mean."""
    dataset = noisy(quarters(pictures(rows=4000)))
    model = fitted(dataset)
    return model, *calibrate(model, dataset, 0.9)


@pytest.fixture(scope="module")
def housed() -> tuple[Any, Any, Dataset]:
    """The same for a regressor."""
    dataset = noisy(quarters(houses(rows=4000)))
    model = fitted(dataset, learning_rate=0.05)
    return model, *calibrate(model, dataset, 0.9)


# --- what the outputs are ----------------------------------------------------------------------------


def test_calibration_changes_no_class_and_lowers_the_loss_on_the_validation_rows(pictured: Any) -> None:
    model, calibrated, dataset = pictured
    before, after = (predict(m, dataset, dataset.validation)["probabilities"] for m in (model, calibrated))
    np.testing.assert_array_equal(before.argmax(axis=1), after.argmax(axis=1))
    np.testing.assert_allclose(after.sum(axis=1), 1, rtol=1e-5)
    labels = dataset.validation.targets
    losses = [-np.log(p[np.arange(len(labels)), labels]).mean() for p in (before, after)]
    assert losses[1] < losses[0]


def test_an_interval_lies_around_the_value_that_the_model_gave_before(housed: Any) -> None:
    model, calibrated, dataset = housed
    answers = predict(calibrated, dataset, dataset.test)
    np.testing.assert_array_equal(answers["value"], predict(model, dataset, dataset.test)["value"])
    np.testing.assert_allclose((answers["low"] + answers["high"]) / 2, answers["value"], atol=1e-5)
    assert np.all(answers["low"] < answers["high"])


def test_the_coverage_on_the_test_rows_is_the_level(pictured: Any, housed: Any) -> None:
    for _, calibrated, dataset in (pictured, housed):
        rows = len(dataset.test)
        tolerance = 3 * np.sqrt(2 * 0.9 * 0.1 / rows)  # of calibration rows and of as many test rows
        metrics = evaluate(dataset, predict(calibrated, dataset, dataset.test)).metrics
        assert metrics["coverage"] == pytest.approx(0.9, abs=tolerance)


def test_intervals_are_wider_where_the_model_errs_more(housed: Any) -> None:
    _, calibrated, dataset = housed
    answers = predict(calibrated, dataset, dataset.test)
    width, rooms = (answers["high"] - answers["low"])[:, 0], dataset.test.instances[:, 0]
    assert width[rooms > 8].mean() > 2 * width[rooms < 3].mean()


def test_a_hotter_or_colder_network_gets_the_temperature_that_undoes_it() -> None:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(4), 20_000)
    labels = np.array([random.choice(4, p=row) for row in probabilities])
    for temperature in (0.5, 1.0, 3.0):
        heated = probabilities**temperature
        heated = (heated / heated.sum(axis=1, keepdims=True)).astype(np.float32)
        assert fit_temperature(heated, labels) == pytest.approx(temperature, rel=0.05)
        cooled = keras.ops.convert_to_numpy(Temperature(temperature)(heated))
        np.testing.assert_allclose(cooled, probabilities, atol=1e-4)


# --- what is out of domain ---------------------------------------------------------------------------


def flagged(calibrated: Any, dataset: Dataset, instances: Any) -> Any:
    answers = predict(calibrated, dataset, Rows(instances, np.zeros(len(instances))))
    assert dataset.domain is not None
    return answers[dataset.domain.tensor][:, 0] > dataset.domain.threshold


@pytest.mark.parametrize("width", [1, 5])
def test_the_nearest_reference_is_found_to_the_last_bit(width: int) -> None:
    """Whatever the graph does to be fast: a row that is a reference is at no distance at all."""
    random = np.random.default_rng(0)
    references, rows = (random.normal(size=(n, width)).astype(np.float32) for n in (5001, 40))
    rows[:2] = references[[7, -7]]
    squares = np.zeros((40, 5001), np.float32)
    for i in range(width):
        squares += (rows[:, i, None] - references[:, i]) ** 2
    expected = np.sqrt(squares.min(axis=1, keepdims=True))
    layer = Nearest(references)
    assert keras.ops.convert_to_numpy(layer(rows)).tobytes() == expected.tobytes()
    row = keras.Input((width,))
    assert keras.Model(row, layer(row)).predict(rows, verbose=0).tobytes() == expected.tobytes()
    assert not expected[:2].any()


def test_few_test_rows_and_all_rows_far_away_are_out_of_domain(housed: Any) -> None:
    _, calibrated, dataset = housed
    assert flagged(calibrated, dataset, dataset.test.instances).mean() < 0.03
    far = dataset.test.instances[:5].copy()
    far[:, 1] = 500
    assert flagged(calibrated, dataset, far).all()


def test_a_strange_place_is_out_of_domain_however_usual_all_else_is() -> None:
    dataset = dataclasses.replace(quarters(houses(rows=1600)), place=("age",))
    calibrated, promised = calibrate(fitted(dataset, epochs=1), dataset, 0.9)
    strange = dataset.test.instances.copy()
    strange[:, 1] = 53  # three years beyond the oldest
    assert flagged(calibrated, promised, strange).all()
    assert promised.domain is not None
    assert "age" in promised.domain.description


def test_blank_inverted_and_noisy_pictures_score_higher_than_test_pictures() -> None:
    """Pictures with a black border and a bright thing in the middle, as Fashion-MNIST's."""
    random = np.random.default_rng(0)
    images = np.zeros((1200, 12, 12), np.float32)
    images[:, 3:9, 3:9] = random.uniform(0.4, 1, (1200, 1, 1)) + random.normal(0, 0.03, (1200, 6, 6))
    train, validation, test = np.split(images, 3)
    network = image_score(train, validation)
    usual = network.predict(test, verbose=0).max()
    blank, inverted, noise = np.zeros((1, 12, 12)), 1 - test[:20], random.uniform(0, 1, (20, 12, 12))
    for strange in (blank, np.ones((1, 12, 12)), inverted, noise):
        assert network.predict(strange.astype(np.float32), verbose=0).min() > 1.5 * usual


# --- the artefact ------------------------------------------------------------------------------------


def test_the_artefact_answers_with_every_output_that_its_contract_names(
    pictured: Any, housed: Any, tmp_path: Path
) -> None:
    for i, (_, calibrated, dataset) in enumerate((pictured, housed)):
        evaluation = evaluate(dataset, predict(calibrated, dataset, dataset.test))
        now = datetime(2026, 1, 1, tzinfo=UTC)
        contract = describe(calibrated, dataset, config(), seed=1, evaluation=evaluation, now=now)
        version = tmp_path / str(i)
        version.mkdir()
        export(calibrated, contract, version)
        assert verify(version).digest == contract.digest
        with loaded(version) as run:
            answers = run(DEFAULT_SIGNATURE, encode(dataset.input, dataset.test.instances))
        assert set(answers) == set(contract.goldens[0].answer)
        assert "domain_score" in answers
        assert evaluate(dataset, answers).metrics == pytest.approx(contract.evaluation.metrics, abs=0.01)


def test_the_contract_says_what_the_outputs_mean(pictured: Any, housed: Any) -> None:
    classes, value = pictured[2].output, housed[2].output
    assert isinstance(classes, ClassOutput)
    assert isinstance(value, ValueOutput)
    assert classes.prediction_set is not None
    assert classes.prediction_set.level == 0.9
    assert value.interval is not None
    assert (value.interval.level, value.interval.low, value.interval.high) == (0.9, "low", "high")


def test_calibrates_a_model_with_several_input_tensors_as_one_with_a_single_one() -> None:
    """Tensors that share a feature, in another order than the contract's."""
    dataset = quarters(houses(rows=1600))
    assert isinstance(dataset.input, FeatureInput)
    tensors = (FeatureTensor("deep", ("age", "rooms")), FeatureTensor("wide", ("age",)))
    split = dataclasses.replace(dataset, input=dataclasses.replace(dataset.input, tensors=tensors))
    scores = []
    for data in (dataset, split):
        inputs = {t.name: keras.Input((len(t.features),), name=t.name) for t in data.input.tensors}
        joined = keras.layers.Concatenate()(list(inputs.values())) if len(inputs) > 1 else inputs["features"]
        value = keras.layers.Dense(1)(joined)
        calibrated, promised = calibrate(
            keras.Model(list(inputs.values()) if len(inputs) == 1 else inputs, value), data, 0.9
        )
        answers = predict(calibrated, promised, data.test)
        assert evaluate(promised, answers).metrics["coverage"] > 0.8
        scores.append(answers["domain_score"])
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-5)


def test_too_few_calibration_rows_for_the_level_are_refused() -> None:
    dataset = quarters(houses(rows=60))
    with pytest.raises(ConfigError, match=r"level 0\.99 needs 99 calibration rows or more, got 15"):
        calibrate(fitted(dataset, epochs=1), dataset, 0.99)


@pytest.mark.parametrize(
    ("dataset", "level", "confidence", "words"),
    [
        (houses(40), 0.99, 0.0, "houses: calibration_share is too small for the intervals: level 0.99 needs 99 "),
        (pictures(40), 0.9, 0.95, "pictures: calibration_share is too small for the prediction sets: level 0.9 with "),
        (houses(40), 0.5, 0.0, "houses: calibration_share is too small for the domain score: level 0.99 needs 99 "),
        (pictures(392), 0.9, 0.0, "pictures: calibration_share is too small for the domain score: level 0.99 needs "),
    ],
)
def test_what_too_few_calibration_rows_cannot_promise_is_known_without_a_model(
    dataset: Dataset, level: float, confidence: float, words: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(words) + r".*calibration rows or more, got \d+$"):
        check_enough_rows(quarters(dataset), level, confidence)
    check_enough_rows(quarters(houses(396)), level, confidence)  # 99
