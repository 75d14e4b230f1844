"""Every option of the configuration takes effect; every model of the catalogue learns, and sees what it should."""

import dataclasses
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training_data import config, houses, pictures
from training.config import ACTIVATIONS, INITIALIZERS, OPTIMIZERS, SCHEDULES
from training.datasets import Dataset
from training.fit import fit, make_optimizer, make_reproducible
from training.models import CATALOGUE, build_model, predict
from training.regressors import with_inputs_for
from training.tabular import (
    Columns,
    Diagonals,
    MeanOfMembers,
    Neighbours,
    PiecewiseLinear,
    SmoothClip,
)

MODELS = [(task, name) for task, models in CATALOGUE.items() for name in models]


def dataset_for(task: str) -> Dataset:
    return (
        pictures(rows=300)
        if task == "classification"
        else dataclasses.replace(houses(rows=300), place=("rooms", "age"))
    )


def hidden_layer(**changes: object) -> Any:
    return build_model(config(**changes), houses()).get_layer("hidden_1")


# --- the catalogue -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("task", "name"), MODELS)
def test_every_model_of_the_catalogue_learns(task: str, name: str) -> None:
    settings = config(model=name, hidden_units=(8, 8), epochs=15, patience=15)
    dataset = with_inputs_for(settings, dataset_for(task))
    make_reproducible(1)
    losses = fit(build_model(settings, dataset), dataset, settings)["val_loss"]
    assert min(losses) < 0.7 * losses[0]


def test_wide_and_deep_has_two_inputs_that_share_features_and_a_second_output() -> None:
    settings = config(model="wide_deep")
    dataset = with_inputs_for(settings, houses())
    model = build_model(settings, dataset)
    assert {tensor.name: tensor.shape for tensor in model.inputs} == {"wide": (None, 1), "deep": (None, 2)}
    assert set(model.output_names) == {"value", "auxiliary"}
    assert set(predict(model, dataset, dataset.test)) == {"value", "auxiliary"}


def test_the_auxiliary_output_weighs_a_tenth_of_the_loss() -> None:
    settings = config(model="wide_deep", epochs=1)
    dataset = with_inputs_for(settings, houses())
    model = build_model(settings, dataset)
    history = fit(model, dataset, settings)
    answers = predict(model, dataset, dataset.validation)
    errors = {name: np.mean((value[:, 0] - dataset.validation.targets) ** 2) for name, value in answers.items()}
    assert history["val_loss"][0] == pytest.approx(0.9 * errors["value"] + 0.1 * errors["auxiliary"], rel=1e-3)


def test_the_convolutional_network_has_the_filters_it_was_told_and_fewer_than_a_million_weights() -> None:
    model = build_model(config(model="cnn", hidden_units=(32, 64, 128)), _square_pictures())
    assert [layer.filters for layer in model.layers if isinstance(layer, keras.layers.Conv2D)] == [32, 64, 64, 128, 128]
    assert model.count_params() < 1_000_000


def _square_pictures() -> Dataset:
    dataset = pictures()
    return dataclasses.replace(dataset, input=dataclasses.replace(dataset.input, shape=(28, 28)))


@pytest.mark.parametrize("name", ["deep_mlp", "cnn"])
def test_pictures_are_flipped_while_training_alone(name: str) -> None:
    dataset = pictures()
    flip = build_model(config(model=name), dataset).get_layer("flip")
    image = np.arange(12, dtype=np.float32).reshape(1, 4, 3, 1).repeat(40, axis=0)
    np.testing.assert_array_equal(flip(image, training=False), image)
    flipped = np.array(flip(image, training=True))
    is_flipped = (flipped == image[:, :, ::-1]).all(axis=(1, 2, 3))
    assert 0 < is_flipped.sum() < 40
    assert ((flipped == image).all(axis=(1, 2, 3)) | is_flipped).all()


# --- layers for tables -------------------------------------------------------------------------------


def test_a_feature_s_bins_fill_up_from_the_left_and_stay_full() -> None:
    layer = PiecewiseLinear(np.array([[0.0], [1.0], [4.0]], np.float32), bins=2)
    rows = np.array([[-9], [0.5], [1], [2.5], [99]], np.float32)
    expected = [[[0, 0]], [[0.5, 0]], [[1, 0]], [[1, 0.5]], [[1, 1]]]
    np.testing.assert_allclose(layer(rows), expected)


def test_what_is_far_out_is_bent_back_and_what_is_near_left_alone() -> None:
    clipped = np.array(SmoothClip()(np.array([[0, 0.1, -1e9, 1e9]], np.float32)))
    np.testing.assert_allclose(clipped, [[0, 0.1, -3, 3]], rtol=1e-3)


def test_neighbours_are_the_nearest_rows_by_place_alone() -> None:
    rows = np.array([[0, 0, 7], [0, 1, 7], [0, 2, 7], [0, 50, 7], [0, 60, 7]], np.float32)
    targets = np.array([1, 2, 6, 100, 200], np.float32)
    asked = np.array([[0, 0.9, -1000]], np.float32)
    (answer,) = np.array(Neighbours(rows, targets, place=(0, 1), count=2)(asked))
    *same, few, _, mean, _, distance = answer
    np.testing.assert_array_equal(same, asked[0])
    assert few == 1.5  # of the nearest two
    assert mean == pytest.approx(3)  # of the nearest three: a row of the table itself would be one of them
    assert distance == pytest.approx(1.1)


def test_a_training_row_is_not_its_own_neighbour() -> None:
    """Whatever its own target is, it is told the same."""
    rows = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    targets = np.arange(30, dtype=np.float32)
    before = np.array(Neighbours(rows, targets, (0, 1), 4)(rows[:1]))
    targets[0] = 1e6
    np.testing.assert_array_equal(Neighbours(rows, targets, (0, 1), 4)(rows[:1]), before)


def test_another_row_at_the_same_place_is_a_neighbour() -> None:
    rows = np.array([[0, 0, 1], [0, 0, 2], [5, 5, 3], [6, 6, 3]], np.float32)
    answer = np.array(Neighbours(rows, np.array([10, 20, 0, 0], np.float32), (0, 1), 1)(rows[:1]))
    assert answer[0, 3] == 20


def test_columns_and_diagonals() -> None:
    rows = np.array([[1, 2, 5]], np.float32)
    np.testing.assert_array_equal(Columns([2, 0])(rows), [[5, 1]])
    np.testing.assert_array_equal(Diagonals((0, 2))(rows), [[1, 2, 5, 6, -4]])


def test_the_members_loss_is_the_mean_of_their_squared_errors() -> None:
    answers = np.random.default_rng(0).normal(size=(10, 4, 1)).astype(np.float32)
    layer = MeanOfMembers()
    mean = np.array(layer(answers, training=True))
    (variance,) = layer.losses
    assert np.mean((mean - 2) ** 2) + float(variance) == pytest.approx(np.mean((answers - 2) ** 2), rel=1e-5)


# --- options -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("initializer", INITIALIZERS)
def test_weights_begin_as_the_initialiser_says(initializer: str) -> None:
    layer = hidden_layer(initializer=initializer, hidden_units=(2000,))
    fan_in, fan_out = layer.kernel.shape
    scale = {"glorot": 2 / (fan_in + fan_out), "he": 2 / fan_in, "lecun": 1 / fan_in}[initializer.partition("_")[0]]
    assert float(np.std(layer.kernel)) == pytest.approx(np.sqrt(scale), rel=0.1)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_hidden_layers_have_the_activation(activation: str) -> None:
    assert hidden_layer(activation=activation).activation is keras.activations.get(activation)


def test_batch_normalisation_comes_between_a_layer_and_its_activation() -> None:
    model = build_model(config(batch_norm=True, activation="elu"), houses())
    names = [type(layer).__name__ for layer in model.layers]
    assert names == ["Normalization", "Dense", "BatchNormalization", "Activation", "Dense"]
    assert model.get_layer("hidden_1").activation is keras.activations.linear


@pytest.mark.parametrize(("activation", "kind"), [("relu", keras.layers.Dropout), ("selu", keras.layers.AlphaDropout)])
def test_dropout_suits_the_activation(activation: str, kind: Any) -> None:
    layer = build_model(config(dropout=0.4, activation=activation), houses()).get_layer("dropout_1")
    assert isinstance(layer, kind)
    assert layer.rate == 0.4


def test_penalties_are_added_to_the_loss() -> None:
    for changes, penalty in (
        ({"l1": 0.1}, lambda w: 0.1 * np.abs(w).sum()),
        ({"l2": 0.1}, lambda w: 0.1 * (w**2).sum()),
    ):
        model = build_model(config(**changes), houses())
        (loss,) = model.losses
        assert float(loss) == pytest.approx(penalty(model.get_layer("hidden_1").kernel.numpy()), rel=1e-4)


def test_max_norm_bounds_every_unit_s_weights() -> None:
    settings = config(max_norm=0.3, learning_rate=0.5)
    model = build_model(settings, houses())
    fit(model, houses(), settings)
    assert np.linalg.norm(model.get_layer("hidden_1").kernel, axis=0).max() <= 0.3 + 1e-5


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimisers_are_what_they_are_called(name: str) -> None:
    optimizer = make_optimizer(config(optimizer=name), 10)
    if name in ("momentum", "nesterov"):
        assert isinstance(optimizer, keras.optimizers.SGD)
        assert (optimizer.momentum, optimizer.nesterov) == (0.9, name == "nesterov")
    else:
        assert type(optimizer).__name__.lower() == name


@pytest.mark.parametrize(("option", "largest"), [("clip_value", 1e-3), ("clip_norm", 1e-3)])
def test_gradients_are_clipped(option: str, largest: float) -> None:
    """Plain gradient descent at rate 1 moves a weight by its gradient."""
    weight = keras.Variable([1.0, 1.0])
    optimizer = make_optimizer(config(optimizer="sgd", learning_rate=1.0, **{option: largest}), 10)
    optimizer.apply([tf.constant([30.0, 40.0])], [weight])
    moved = 1 - weight.numpy()
    expected = [largest, largest] if option == "clip_value" else [0.6 * largest, 0.8 * largest]
    np.testing.assert_allclose(moved, expected, rtol=1e-2)


RATES = {  # at the start, at half time, at the end of 100 steps
    "constant": (0.01, 0.01, 0.01),
    "cosine": (0.01, 0.005, 0.0),
    "power": (0.01, 0.01 / 6, 0.01 / 11),
    "exponential": (0.01, 0.001, 0.0001),
    "piecewise": (0.01, 0.01, 0.0001),
    "1cycle": (0.0004, 0.008117, 0.0),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_learning_rate_follows_its_schedule(schedule: str) -> None:
    optimizer = make_optimizer(config(schedule=schedule, learning_rate=0.01), 100)
    rates = []
    for step in (0, 50, 100):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    assert rates == pytest.approx(RATES[schedule], rel=1e-3, abs=1e-8)


def test_stops_early_when_the_validation_loss_no_longer_falls() -> None:
    settings = config(optimizer="sgd", learning_rate=1e-12, epochs=50, patience=2)
    epochs = fit(build_model(settings, houses()), houses(), settings)["val_loss"]
    assert len(epochs) < 50
