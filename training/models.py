"""The catalogue: one readable function an architecture, chosen by name. A model's inputs bear its tensors' names.

Layers are named, so that weights keep their names whatever else was built in the process.
"""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from serving.contract import FeatureInput, FeatureTensor
from training.config import TrainingConfig
from training.datasets import Dataset, Rows, encode, output_width, tensor_shapes
from training.errors import ConfigError
from training.tabular import Diagonals, MeanOfMembers, Members, Neighbours, PiecewiseLinear, SmoothClip

Model = Any  # keras.Model; Keras ships no types
Answers = Mapping[str, npt.NDArray[np.float32]]  # by output tensor

_EMBEDDING_WIDTH = 16  # of each feature, as in TabM's paper


def mlp_classifier(config: TrainingConfig, dataset: Dataset) -> Model:
    """A plain multilayer perceptron on an image: flatten, hidden layers, softmax."""
    ((tensor, shape),) = tensor_shapes(dataset.input).items()
    return keras.Sequential(
        [
            keras.Input(shape, name=tensor),
            keras.layers.Flatten(name="flatten"),
            *_hidden_layers(config),
            keras.layers.Dense(output_width(dataset.output), activation="softmax", name=dataset.output.tensor),
        ],
        name="mlp_classifier",
    )


def mlp_regressor(config: TrainingConfig, dataset: Dataset) -> Model:
    """Hidden layers between a normalisation, learned from the training rows, and one linear output."""
    ((tensor, shape),) = tensor_shapes(dataset.input).items()
    normalization = keras.layers.Normalization(name="normalization")
    normalization.adapt(encode(dataset.input, dataset.train.instances)[tensor])
    return keras.Sequential(
        [
            keras.Input(shape, name=tensor),
            normalization,
            *_hidden_layers(config),
            keras.layers.Dense(output_width(dataset.output), name=dataset.output.tensor),
        ],
        name="mlp_regressor",
    )


def deep_mlp_classifier(config: TrainingConfig, dataset: Dataset) -> Model:
    """The multilayer perceptron with what deep ones need: standardised pixels, images flipped while training."""
    ((tensor, shape),) = tensor_shapes(dataset.input).items()
    standardise = keras.layers.Normalization(axis=None, name="standardise")
    standardise.adapt(encode(dataset.input, dataset.train.instances)[tensor])
    return keras.Sequential(
        [
            keras.Input(shape, name=tensor),
            standardise,
            keras.layers.Reshape((*shape, 1), name="channel"),
            keras.layers.RandomFlip("horizontal", name="flip"),
            keras.layers.Flatten(name="flatten"),
            *_hidden_layers(config),
            keras.layers.Dense(output_width(dataset.output), activation="softmax", name=dataset.output.tensor),
        ],
        name="deep_mlp_classifier",
    )


def cnn_classifier(config: TrainingConfig, dataset: Dataset) -> Model:
    """A small convolutional network: hidden_units are the filters of its blocks, each of half the size of the last."""
    ((tensor, shape),) = tensor_shapes(dataset.input).items()
    first, *others = config.hidden_units
    return keras.Sequential(
        [
            keras.Input(shape, name=tensor),
            keras.layers.Reshape((*shape, 1), name="channel"),
            keras.layers.RandomFlip("horizontal", name="flip"),
            *_convolution(config, first, "1a"),
            keras.layers.MaxPooling2D(padding="same", name="pool_1"),
            *(layer for i, filters in enumerate(others, start=2) for layer in _block(config, filters, i)),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dropout(config.dropout, name="dropout"),
            keras.layers.Dense(128, activation=config.activation, name="hidden"),
            keras.layers.Dropout(config.dropout, name="dropout_hidden"),
            keras.layers.Dense(output_width(dataset.output), activation="softmax", name=dataset.output.tensor),
        ],
        name="cnn_classifier",
    )


def _block(config: TrainingConfig, filters: int, number: int) -> list[Any]:
    convolutions = [layer for part in "ab" for layer in _convolution(config, filters, f"{number}{part}")]
    return [*convolutions, keras.layers.MaxPooling2D(padding="same", name=f"pool_{number}")]


def _convolution(config: TrainingConfig, filters: int, name: str) -> list[Any]:
    return [
        keras.layers.Conv2D(
            filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=f"convolution_{name}"
        ),
        keras.layers.BatchNormalization(name=f"normalization_{name}"),
        keras.layers.Activation(config.activation, name=f"activation_{name}"),
    ]


def tabm_regressor(config: TrainingConfig, dataset: Dataset) -> Model:
    """Many members in one network (TabM), on piecewise-linear embeddings of the features and of what lies nearby."""
    ((tensor, shape),) = tensor_shapes(dataset.input).items()
    features = keras.Input(shape, name=tensor)
    lookups = _map_layers(config, dataset)
    embedded = _embed(config, features, dataset.train.instances, lookups)
    hidden = Members(config.members, name="members")(embedded)  # (batch, members, width)
    for i, units in enumerate(config.hidden_units, start=1):
        hidden = keras.layers.Dense(units, activation=config.activation, name=f"hidden_{i}")(hidden)
        hidden = keras.layers.Dropout(config.dropout, name=f"dropout_{i}")(hidden)
    heads = keras.layers.EinsumDense("nkd,kdo->nko", output_shape=(config.members, 1), bias_axes="ko", name="heads")(
        hidden
    )
    return keras.Model(features, MeanOfMembers(name=dataset.output.tensor)(heads), name="tabm_regressor")


def wide_deep_regressor(config: TrainingConfig, dataset: Dataset) -> Model:
    """Wide & Deep (Cheng et al. 2016, arXiv 1606.07792): a linear path beside a deep one, and a second output.

    The auxiliary output, from the deep path alone, keeps that one honest while training; nobody serves it.
    """
    rows = encode(dataset.input, dataset.train.instances)
    wide, deep = (keras.Input(shape, name=name) for name, shape in tensor_shapes(dataset.input).items())
    normalization = keras.layers.Normalization(name="wide_normalization")
    normalization.adapt(rows["wide"])
    hidden = _embed(config, deep, rows["deep"], [])
    for layer in _hidden_layers(config):
        hidden = layer(hidden)
    joined = keras.layers.Concatenate(name="joined")([SmoothClip(name="wide_clip")(normalization(wide)), hidden])
    outputs = {
        dataset.output.tensor: keras.layers.Dense(1, name=dataset.output.tensor)(joined),
        "auxiliary": keras.layers.Dense(1, name="auxiliary")(hidden),
    }
    return keras.Model({"wide": wide, "deep": deep}, outputs, name="wide_deep_regressor")


def with_inputs_for(config: TrainingConfig, dataset: Dataset) -> Dataset:
    """The data set with the input tensors that the model wants; only wide_deep wants other than one."""
    if config.model != "wide_deep" or not isinstance(dataset.input, FeatureInput):
        return dataset
    names = tuple(feature.name for feature in dataset.input.features)
    # Géron's split gives the deep path six of eight features; with all of them it can tell where an income is earned.
    tensors = (FeatureTensor("wide", names[: (len(names) + 1) * 5 // 8]), FeatureTensor("deep", names))
    return dataclasses.replace(dataset, input=dataclasses.replace(dataset.input, tensors=tensors))


def _map_layers(config: TrainingConfig, dataset: Dataset) -> list[Any]:
    """What a place on the map tells, for a data set whose rows have one."""
    if not (dataset.place and config.neighbours and isinstance(dataset.input, FeatureInput)):
        return []
    names = [feature.name for feature in dataset.input.features]
    place = tuple(names.index(name) for name in dataset.place)
    rows = dataset.train
    neighbours = Neighbours(rows.instances, rows.targets, place, config.neighbours, name="neighbours")
    return [neighbours, Diagonals(place, name="diagonals")]


def _embed(config: TrainingConfig, features: Any, rows: npt.NDArray[np.float32], lookups: list[Any]) -> Any:
    """Features and what is looked up for them, each embedded piecewise-linearly: (batch, columns * width)."""
    for layer in lookups:
        features = layer(features)
        rows = np.concatenate([layer(part).numpy() for part in np.array_split(rows, len(rows) // 1000 + 1)])
    binned = PiecewiseLinear(rows, config.bins, name="bins")(features)
    embedded = keras.layers.EinsumDense(
        "nfb,fbd->nfd",
        output_shape=(rows.shape[1], _EMBEDDING_WIDTH),
        bias_axes="fd",
        activation="relu",
        name="embedding",
    )(binned)
    return keras.layers.Flatten(name="embedded")(embedded)


def _hidden_layers(config: TrainingConfig) -> list[Any]:
    """Dense layers as the configuration wants them: plain ones, or with batch normalisation and dropout."""
    return [layer for i, units in enumerate(config.hidden_units, start=1) for layer in _hidden_layer(config, units, i)]


def _hidden_layer(config: TrainingConfig, units: int, number: int) -> list[Any]:
    activation = None if config.batch_norm else config.activation
    layers = [
        keras.layers.Dense(
            units,
            activation=activation,
            kernel_initializer=config.initializer,
            kernel_regularizer=keras.regularizers.L1L2(config.l1, config.l2) if config.l1 or config.l2 else None,
            kernel_constraint=keras.constraints.MaxNorm(config.max_norm) if config.max_norm else None,
            name=f"hidden_{number}",
        )
    ]
    if config.batch_norm:
        layers.append(keras.layers.BatchNormalization(name=f"normalization_{number}"))
        layers.append(keras.layers.Activation(config.activation, name=f"activation_{number}"))
    if config.dropout:
        # Alpha dropout keeps mean and variance, which SELU's self-normalisation lives on.
        dropout = keras.layers.AlphaDropout if config.activation == "selu" else keras.layers.Dropout
        layers.append(dropout(config.dropout, name=f"dropout_{number}"))
    return layers


def call_inputs(tensors: Mapping[str, Any]) -> Any:
    """Tensors by name as Keras wants them: the tensor itself where there is but one."""
    return next(iter(tensors.values())) if len(tensors) == 1 else dict(tensors)


def symbolic_inputs(model: Model) -> Any:
    """The model's own inputs, as one calls it."""
    return call_inputs({tensor.name: tensor for tensor in model.inputs})


def by_name(answers: Any, tensor: str) -> dict[str, Any]:
    """What calling a model gave, by tensor name; a model with one output gives it without its name."""
    return answers if isinstance(answers, dict) else {tensor: answers}


def predict(model: Model, dataset: Dataset, rows: Rows) -> Answers:
    """The model's answers to rows, by output tensor: each (n, width)."""
    inputs = call_inputs(encode(dataset.input, rows.instances))
    # 500 rows a batch bound the memory, and change no figure.
    return by_name(model.predict(inputs, batch_size=500, verbose=0), dataset.output.tensor)


CATALOGUE: Mapping[str, Mapping[str, Callable[[TrainingConfig, Dataset], Model]]] = MappingProxyType(
    {
        "classification": {"mlp": mlp_classifier, "deep_mlp": deep_mlp_classifier, "cnn": cnn_classifier},
        "regression": {"mlp": mlp_regressor, "wide_deep": wide_deep_regressor, "tabm": tabm_regressor},
    }
)


def build_model(config: TrainingConfig, dataset: Dataset) -> Model:
    """The model that the configuration names, for this data set.

    Raises:
        ConfigError: the catalogue has no such model for the task.
    """
    models = CATALOGUE[dataset.task]
    if config.model not in models:
        raise ConfigError(f"no {dataset.task} model {config.model!r}; there are {', '.join(models)}")
    return models[config.model](config, dataset)
