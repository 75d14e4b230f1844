"""Layers for tables: features on their own quantiles, what lies nearby on the map, many members in one network.

Plain TensorFlow operations throughout, so that any model server runs them. Knows no data set.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

Table = npt.NDArray[np.float32]


class PiecewiseLinear(keras.layers.Layer):  # type: ignore[misc] # Keras ships no types
    """Each feature as its position on its own quantiles: (batch, features) -> (batch, features, bins), each 0..1.

    Gorishniy et al. 2022, arXiv 2203.05556, section 3.2; but clipped at both ends, so that an outlier stays harmless.
    """

    def __init__(self, rows: Table, bins: int, **options: Any) -> None:
        super().__init__(**options)
        self._edges = np.quantile(rows, np.linspace(0, 1, bins + 1), axis=0).T.astype(
            np.float32
        )  # (features, bins + 1)

    def build(self, _shape: Any) -> None:
        """Keep the bins with the weights."""
        # A feature with few values has edges that coincide: the bin between them becomes a step, but one not so steep
        # that another machine's rounding would climb it.
        widths = np.maximum(np.diff(self._edges), 1e-3)
        self._low = constant(self, "low", self._edges[:, :-1])
        self._inverse_width = constant(self, "inverse_width", 1 / widths)

    def call(self, rows: Any) -> Any:
        """(batch, features) -> (batch, features, bins)."""
        return tf.clip_by_value((rows[:, :, None] - self._low) * self._inverse_width, 0.0, 1.0)


class SmoothClip(keras.layers.Layer):  # type: ignore[misc] # Keras ships no types
    """Bends what is far out back to at most 3, and leaves what is near alone: x / sqrt(1 + (x / 3)^2).

    Holzmüller et al. 2024, arXiv 2407.04491 (RealMLP). Any shape.
    """

    def call(self, values: Any) -> Any:
        """Any shape -> the same."""
        return values * tf.math.rsqrt(1.0 + (values / 3.0) ** 2)


class Columns(keras.layers.Layer):  # type: ignore[misc]
    """Some columns of a table, in the order wanted: (batch, features) -> (batch, len(columns))."""

    def __init__(self, columns: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self._columns = list(columns)

    def call(self, rows: Any) -> Any:
        """(batch, features) -> (batch, len(columns))."""
        return tf.gather(rows, self._columns, axis=1)


class Diagonals(keras.layers.Layer):  # type: ignore[misc]
    """Appends sum and difference of two columns: (batch, features) -> (batch, features + 2).

    A line aslant on the map, as California's coast, then lies in few bins of one feature.
    """

    def __init__(self, place: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self._first, self._second = place

    def call(self, rows: Any) -> Any:
        """(batch, features) -> (batch, features + 2)."""
        first, second = rows[:, self._first], rows[:, self._second]
        return tf.concat([rows, (first + second)[:, None], (first - second)[:, None]], axis=1)


class Neighbours(keras.layers.Layer):  # type: ignore[misc]
    """What the nearest training rows on the map were worth: (batch, features) -> (batch, features + 5).

    A row that is in the training table itself never is its own neighbour, so that in training, too, the layer tells
    only what others are worth: without that, a network would learn to read its answer off.
    """

    def __init__(self, rows: Table, targets: Table, place: tuple[int, ...], count: int, **options: Any) -> None:
        """Rows (n, features) and targets (n,) to look up; place: the columns that say where a row is."""
        super().__init__(**options)
        self._place, self._count = list(place), count
        self._table = rows, targets

    def build(self, _shape: Any) -> None:
        """Keep the table with the weights."""
        self._rows, self._targets = constant(self, "rows", self._table[0]), constant(self, "targets", self._table[1])

    def call(self, rows: Any) -> Any:
        """Append target means of the nearest quarter and of all neighbours, by closeness, and the latter's distance."""
        here, there = tf.gather(rows, self._place, axis=1), tf.gather(self._rows, self._place, axis=1)
        squares = tf.add_n([(here[:, i, None] - there[None, :, i]) ** 2 for i in range(len(self._place))])
        negative, index = tf.math.top_k(-squares, k=self._count + 1)  # (batch, count + 1), nearest first
        others = tf.cast(tf.reduce_any(tf.gather(self._rows, index) != rows[:, None, :], axis=2), tf.float32)
        worth = tf.gather(self._targets, index)
        distance = tf.sqrt(-negative)
        few = _mean(worth, others * tf.cast(tf.range(self._count + 1) <= max(1, self._count // 4), tf.float32))
        close = _mean(worth, others / (distance + 0.01))  # degrees; the map's own rounding
        mean = _mean(worth, others)
        spread = tf.sqrt(_mean((worth - mean) ** 2, others))
        return tf.concat([rows, few, close, mean, spread, distance[:, -1:]], axis=1)


class Members(keras.layers.Layer):  # type: ignore[misc]
    """One row seen by many members, each at its own scales: (batch, width) -> (batch, members, width).

    TabM-mini's adapter (Gorishniy et al. 2024, arXiv 2410.24210): members share all weights but these and their heads.
    """

    def __init__(self, members: int, **options: Any) -> None:
        super().__init__(**options)
        self._members = members

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Draw the scales: around 1, where random signs, as in the paper, took three times the epochs to fit."""
        initializer = keras.initializers.RandomNormal(mean=1.0, stddev=0.5)
        self._scale = self.add_weight(shape=(self._members, shape[-1]), initializer=initializer, name="scale")

    def call(self, rows: Any) -> Any:
        """(batch, width) -> (batch, members, width)."""
        return rows[:, None, :] * self._scale


class MeanOfMembers(keras.layers.Layer):  # type: ignore[misc]
    """The members' mean answer: (batch, members, 1) -> (batch, 1).

    While training it adds their variance to the loss: the squared error of the mean plus the variance is the mean of
    the members' squared errors, which makes each member learn for itself.
    """

    def call(self, answers: Any, training: bool = False) -> Any:  # noqa: FBT001, FBT002 (Keras calls it so)
        """(batch, members, 1) -> (batch, 1)."""
        if training:
            self.add_loss(tf.reduce_mean(tf.math.reduce_variance(answers, axis=1)))
        return tf.reduce_mean(answers, axis=1)


def constant(layer: Any, name: str, values: Any) -> Any:
    """Numbers that a layer keeps with its weights; for its build(), where their names are told apart by its own."""
    return layer.add_weight(
        shape=values.shape, initializer=keras.initializers.Constant(values), trainable=False, name=name
    )


def _mean(values: Any, weights: Any) -> Any:
    """(batch, n), weights alike -> (batch, 1)."""
    return tf.reduce_sum(values * weights, axis=1, keepdims=True) / tf.reduce_sum(weights, axis=1, keepdims=True)
