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
    """The multilayer perceptron on standardised pixels, as deep ones need them."""
    ((tensor, shape),) = tensor_shapes(dataset.input).items()
    standardise = keras.layers.Normalization(axis=None, name="standardise")
    standardise.adapt(encode(dataset.input, dataset.train.instances)[tensor])
    return keras.Sequential(
        [
            keras.Input(shape, name=tensor),
            standardise,
            keras.layers.Flatten(name="flatten"),
            *hidden_layers(config),
            keras.layers.Dense(output_width(dataset.output), activation="softmax", name=dataset.output.tensor),
        ],
        name="deep_mlp_classifier",
    )


def cnn_classifier(config: TrainingConfig, dataset: Dataset) -> Model:
    """A small residual network: hidden_units are the filters of its blocks, each at half the resolution of the last.

    Made for CPUs: at full resolution, where a filter costs most, there is but one convolution, from one channel.
    """
    ((tensor, shape),) = tensor_shapes(dataset.input).items()
    pixels = keras.Input(shape, name=tensor)
    first, *others = config.hidden_units
    maps = keras.layers.Reshape((*shape, 1), name="channel")(pixels)
    maps = _convolution(config, first, "1", maps)
    for i, filters in enumerate(others, start=2):
        maps = keras.layers.MaxPooling2D(padding="same", name=f"pool_{i - 1}")(maps)
        maps = _convolution(config, filters, f"{i}a", maps)
        for number in range(1, config.convolutions + 1):
            added = _convolution(config, filters, f"{i}b{number}", maps)
            maps = keras.layers.Add(name=f"residual_{i}b{number}")([maps, added])
    hidden = keras.layers.GlobalAveragePooling2D(name="pool")(maps)
    hidden = keras.layers.Dropout(config.dropout, name="dropout")(hidden)
    output = keras.layers.Dense(output_width(dataset.output), activation="softmax", name=dataset.output.tensor)
    return keras.Model(pixels, output(hidden), name="cnn_classifier")


def _convolution(config: TrainingConfig, filters: int, name: str, maps: Any) -> Any:
    """3 x 3 over (batch, height, width, channels), normalised: (batch, height, width, filters)."""
    convolution = keras.layers.Conv2D(
        filters,
        3,
        padding="same",
        use_bias=False,  # the normalisation has one
        kernel_initializer=config.initializer,
        name=f"convolution_{name}",
    )
    normalised = keras.layers.BatchNormalization(name=f"normalization_{name}")(convolution(maps))
    return keras.layers.Activation(config.activation, name=f"activation_{name}")(normalised)
