"""Image classifiers: one readable function an architecture. The input bears its tensor's name, the output too.

Layers are named, so that weights keep their names whatever else was built in the process.
"""

from typing import Any

import keras

from training.config import TrainingConfig
from training.datasets import Dataset, encode, output_width, tensor_shapes
from training.hidden_layers import hidden_layers

Model = Any  # keras.Model; Keras ships no types


def mlp_classifier(config: TrainingConfig, dataset: Dataset) -> Model:
    """A plain multilayer perceptron on an image: flatten, hidden layers, softmax."""
    ((tensor, shape),) = tensor_shapes(dataset.input).items()
    return keras.Sequential(
        [
            keras.Input(shape, name=tensor),
            keras.layers.Flatten(name="flatten"),
            *hidden_layers(config),
            keras.layers.Dense(output_width(dataset.output), activation="softmax", name=dataset.output.tensor),
        ],
        name="mlp_classifier",
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
            *hidden_layers(config),
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
