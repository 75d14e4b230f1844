"""How unlike the training data an instance is: a score in the graph, the same for every model of a data set.

Each view of an instance measures one kind of strangeness; a view's distance is divided by what 99.5 % of the validation
rows stay below, and the score is the largest of them. The threshold is set so that 1 % of calibration rows exceed it.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from training.tabular import Columns, constant

Table = npt.NDArray[np.float32]

SHARE_OUTSIDE = 0.01  # of instances like the training data's: one false alarm in a hundred
_VIEW_QUANTILE = 0.995  # two views at this level raise about one alarm in a hundred together
_COMPONENTS = 64  # of 784: nine tenths of Fashion-MNIST's variance
# Images to compare statistics with. Four times as many find hardly more (docs/training.md), and take as long as a
# small network.
_REFERENCES = 1000

_BLOCK = 4096  # references to compare with at a time: for a batch of 32, what that takes stays in the processor's cache


class Standardise(keras.layers.Layer):  # type: ignore[misc] # Keras ships no types
    """Columns by their median and interquartile range, tails drawn in by asinh: an outlier stays one, at any scale."""

    def __init__(self, rows: Table, **options: Any) -> None:
        super().__init__(**options)
        low, self._centre, high = np.quantile(rows, [0.25, 0.5, 0.75], axis=0).astype(np.float32)
        self._width = np.maximum(high - low, 1e-3)

    def build(self, _shape: Any) -> None:
        """Keep both with the weights."""
        self._centre_weight, self._width_weight = (
            constant(self, "centre", self._centre),
            constant(self, "width", self._width),
        )

    def call(self, rows: Any) -> Any:
        """(batch, width) -> the same."""
        return tf.math.asinh((rows - self._centre_weight) / self._width_weight)


class Nearest(keras.layers.Layer):  # type: ignore[misc]
    """The distance to the nearest of the reference rows: (batch, width) -> (batch, 1)."""

    def __init__(self, references: Table, **options: Any) -> None:
        super().__init__(**options)
        self._values = references

    def build(self, _shape: Any) -> None:
        """Keep the references with the weights, in blocks (width, rows)."""
        blocks = np.array_split(self._values.T, math.ceil(len(self._values) / _BLOCK), axis=1)
        self._blocks = [constant(self, f"references_{i}", block) for i, block in enumerate(blocks)]

    def call(self, rows: Any) -> Any:
        """(batch, width) -> (batch, 1)."""
        columns = tf.split(rows, self._values.shape[1], axis=1)
        nearness = tf.concat([_nearness(columns, block) for block in self._blocks], axis=1)
        return tf.sqrt(tf.abs(tf.reduce_max(nearness, axis=1, keepdims=True)))


class Components(keras.layers.Layer):  # type: ignore[misc]
    """An image's principal components, each with variance 1, and the size of what they leave out.

    (batch, ...) -> (batch, 2): the components' root mean square, and the residual's.
    """

    def __init__(self, images: Table, **options: Any) -> None:
        super().__init__(**options)
        flat = images.reshape(len(images), -1)
        self._mean = flat.mean(axis=0)
        variances, vectors = np.linalg.eigh(np.cov(flat - self._mean, rowvar=False))
        count = min(_COMPONENTS, len(variances))
        self._vectors = vectors[:, -count:].astype(np.float32)
        self._deviations = np.sqrt(np.maximum(variances[-count:], 1e-6)).astype(np.float32)

    def build(self, _shape: Any) -> None:
        """Keep the components with the weights."""
        self._mean_weight = constant(self, "mean", self._mean)
        self._vectors_weight = constant(self, "vectors", self._vectors)
        self._deviations_weight = constant(self, "deviations", self._deviations)

    def call(self, images: Any) -> Any:
        """(batch, ...) -> (batch, 2)."""
        centred = tf.reshape(images, (-1, self._mean.size)) - self._mean_weight
        components = centred @ self._vectors_weight
        residual = centred - components @ tf.transpose(self._vectors_weight)
        return tf.stack([_rms(components / self._deviations_weight), _rms(residual)], axis=1)


class Statistics(keras.layers.Layer):  # type: ignore[misc]
    """An image's mean, deviation, largest value, border's mean, and roughness: (batch, h, w) -> (batch, 5)."""

    def call(self, images: Any) -> Any:
        """(batch, height, width) -> (batch, 5)."""
        border = [images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]]
        across, down = images[:, :, 1:] - images[:, :, :-1], images[:, 1:] - images[:, :-1]
        return tf.stack(
            [
                tf.reduce_mean(images, axis=(1, 2)),
                tf.math.reduce_std(images, axis=(1, 2)),
                tf.reduce_max(images, axis=(1, 2)),
                tf.reduce_mean(tf.concat(border, axis=1), axis=1),
                tf.reduce_mean(tf.abs(across), axis=(1, 2)) + tf.reduce_mean(tf.abs(down), axis=(1, 2)),
            ],
            axis=1,
        )


class LargestShare(keras.layers.Layer):  # type: ignore[misc]
    """Distances by what is usual for each, and of these the largest: (batch, views) -> (batch, 1)."""

    def __init__(self, usual: Table, **options: Any) -> None:
        super().__init__(**options)
        self._value = usual

    def build(self, _shape: Any) -> None:
        """Keep what is usual with the weights."""
        self._usual = constant(self, "usual", self._value)

    def call(self, distances: Any) -> Any:
        """(batch, views) -> (batch, 1)."""
        return tf.reduce_max(distances / self._usual, axis=1, keepdims=True)


def image_score(train: Table, validation: Table) -> Any:
    """A model (batch, height, width) -> score (batch, 1) from images as the network sees them."""
    image = keras.Input(train.shape[1:], name="domain_image")
    statistics = Statistics(name="domain_statistics")
    references = statistics(train[:_REFERENCES]).numpy()
    standardise = Standardise(references, name="domain_standardise")
    nearest = Nearest(standardise(references).numpy(), name="domain_nearest")
    components = Components(train, name="domain_components")(image)
    return _score(image, [components, nearest(standardise(statistics(image)))], validation)


def feature_score(train: Table, validation: Table, groups: Sequence[Sequence[int]]) -> Any:
    """A model (batch, features) -> score (batch, 1): each group of columns is a view, by its nearest training row."""
    row = keras.Input(train.shape[1:], name="domain_row")
    views = []
    for i, group in enumerate(groups):
        columns = Columns(group, name=f"domain_columns_{i}")
        standardise = Standardise(columns(train).numpy(), name=f"domain_standardise_{i}")
        references = standardise(columns(train)).numpy()
        views.append(Nearest(references, name=f"domain_nearest_{i}")(standardise(columns(row))))
    return _score(row, views, validation)


def _score(instance: Any, views: list[Any], validation: Table) -> Any:
    distances = keras.layers.Concatenate(name="domain_views")(views) if len(views) > 1 else views[0]
    measured = keras.Model(instance, distances).predict(validation, batch_size=500, verbose=0)
    usual = np.maximum(np.quantile(measured, _VIEW_QUANTILE, axis=0), 1e-6).astype(np.float32)
    return keras.Model(instance, LargestShare(usual, name="domain_score")(distances), name="domain_network")


def _nearness(columns: Sequence[Any], references: Any) -> Any:
    """Columns (batch, 1) of rows, references (width, n) -> (batch, 1): the least square distance, negative."""
    # Column by column, not by a matrix product: that would lose small distances, on a GPU above all.
    nearness = tf.zeros((1, 1))  # then (batch, n)
    for here, there in zip(columns, tf.split(references, len(columns)), strict=True):
        # As a difference: a sum becomes AddN, which adds up in whatever order it finds buffers free in.
        nearness -= tf.math.squared_difference(here, there)
    return tf.reduce_max(nearness, axis=1, keepdims=True)


def _rms(values: Any) -> Any:
    return tf.sqrt(tf.reduce_mean(values**2, axis=1))
