"""Every option of the configuration takes effect; every model of the catalogue learns, and sees what it should."""

import dataclasses
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training_data import config, houses, pictures
from training.config import ACTIVATIONS, INITIALIZERS, OPTIMIZERS, SCHEDULES
from training.datasets import Dataset, Rows
from training.errors import ConfigError
from training.fit import fit, make_optimizer, make_reproducible
from training.models import CATALOGUE, build_model, predict
from training.presets import PRESETS
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
    losses = fit(build_model(settings, dataset), dataset, settings)["loss"]
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
    for preset, convolutions in (("default", [32, *[64] * 3, *[128] * 3]), ("best", [40, *[80] * 3, *[160] * 3])):
        model = build_model(PRESETS["fashion"][preset], _square_pictures())
        filters = [layer.filters for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
        assert filters == convolutions
        assert model.get_layer("residual_3b2").output.shape == (None, 7, 7, convolutions[-1])
        assert model.count_params() < 1_000_000


def _square_pictures() -> Dataset:
    dataset = pictures()
    return dataclasses.replace(dataset, input=dataclasses.replace(dataset.input, shape=(28, 28)))


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
    "plateau": (0.01, 0.01, 0.01),  # falls by what validation says, not by steps
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


def test_without_patience_the_last_epoch_s_weights_are_kept() -> None:
    dataset = houses()
    dearer = Rows(dataset.train.instances, dataset.train.targets + 10)  # what is learned of these is wrong elsewhere
    dataset = dataclasses.replace(dataset, train=dearer)
    for patience in (0, 6):
        settings = config(optimizer="sgd", learning_rate=0.02, epochs=6, patience=patience)
        model = build_model(settings, dataset)
        losses = fit(model, dataset, settings)["val_loss"]
        errors = predict(model, dataset, dataset.validation)["value"][:, 0] - dataset.validation.targets
        assert losses[0] < losses[-1] / 2  # or nothing would be shown
        assert np.mean(errors**2) == pytest.approx(min(losses) if patience else losses[-1], rel=1e-4)


def test_on_a_plateau_the_learning_rate_is_halved() -> None:
    settings = config(optimizer="sgd", learning_rate=1e-12, schedule="plateau", epochs=5, patience=4)
    rates = fit(build_model(settings, houses()), houses(), settings)["learning_rate"]
    assert rates == pytest.approx([1e-12, 1e-12, 1e-12, 5e-13, 5e-13])


def test_weight_decay_shrinks_weights_that_no_gradient_moves() -> None:
    weight = keras.Variable([1.0])
    make_optimizer(config(optimizer="adamw", learning_rate=0.1, weight_decay=0.5), 10).apply([tf.zeros(1)], [weight])
    assert float(weight.numpy()[0]) == pytest.approx(0.95)


def test_smoothed_labels_keep_a_classifier_from_being_certain() -> None:
    dataset = pictures(rows=300)
    certain = []
    for share in (0.0, 0.5):
        settings = config(label_smoothing=share, hidden_units=(16,), epochs=30, patience=30)
        make_reproducible(1)
        model = build_model(settings, dataset)
        fit(model, dataset, settings)
        certain.append(predict(model, dataset, dataset.test)["probabilities"].max(axis=1).mean())
    assert certain[1] < 0.75 < 0.85 < certain[0]  # half of the target is spread over three classes: 0.67 at most


def test_a_frozen_layer_stays_as_it_begins_and_the_others_learn() -> None:
    settings = config(hidden_units=(4, 4), frozen=("hidden_1",))
    model = build_model(settings, houses())
    before = {layer.name: [weight.numpy() for weight in layer.weights] for layer in model.layers}
    fit(model, houses(), settings)
    moved = {
        layer.name
        for layer in model.layers
        if any((old != new.numpy()).any() for old, new in zip(before[layer.name], layer.weights, strict=True))
    }
    assert moved == {"hidden_2", "value"}


def test_a_layer_to_freeze_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="frozen: no layers hidden_9; there are normalization, hidden_1, value"):
        build_model(config(frozen=("hidden_9",)), houses())
