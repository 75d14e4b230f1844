"""Regressors on named features: one readable function an architecture. Inputs and outputs bear their tensors' names.

Layers are named, so that weights keep their names whatever else was built in the process.
"""

import dataclasses
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from serving.contract import FeatureInput, FeatureTensor
from training.config import TrainingConfig
from training.datasets import Dataset, encode, output_width, tensor_shapes
from training.hidden_layers import hidden_layers
from training.tabular import Diagonals, MeanOfMembers, Members, Neighbours, PiecewiseLinear, SmoothClip

Model = Any  # keras.Model; Keras ships no types

_EMBEDDING_WIDTH = 16  # of each feature, as in TabM's paper


def mlp_regressor(config: TrainingConfig, dataset: Dataset) -> Model:
    """Hidden layers between a normalisation, learned from the training rows, and one linear output."""
    ((tensor, shape),) = tensor_shapes(dataset.input).items()
    normalization = keras.layers.Normalization(name="normalization")
    normalization.adapt(encode(dataset.input, dataset.train.instances)[tensor])
    return keras.Sequential(
        [
            keras.Input(shape, name=tensor),
            normalization,
            *hidden_layers(config),
            keras.layers.Dense(output_width(dataset.output), name=dataset.output.tensor),
        ],
        name="mlp_regressor",
    )


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
    for layer in hidden_layers(config):
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
