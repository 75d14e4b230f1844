"""How far off a regressor tends to be, row by row: a small network learns it, conformal prediction corrects it."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from training.tabular import SmoothClip, constant

# Chosen on the validation error of the textbook network; the width of the intervals hardly depends on them.
_HIDDEN_UNITS = 32
_EPOCHS = 40
_BATCH_SIZE = 64
_LEARNING_RATE = 5e-3
_SMALLEST_SHARE = 0.05  # of the typical error: an interval never closes altogether


class IntervalAround(keras.layers.Layer):  # type: ignore[misc] # Keras ships no types
    """A value and its expected error to the ends of an interval: value -+ factor * (error + floor), each (batch, 1)."""

    def __init__(self, factor: float, floor: float, **options: Any) -> None:
        super().__init__(**options)
        self._values = factor, floor

    def build(self, _shapes: Any) -> None:
        """Keep both numbers with the weights."""
        self._factor, self._floor = (
            constant(self, name, np.float32(value))
            for name, value in zip(("factor", "floor"), self._values, strict=True)
        )

    def call(self, tensors: Any) -> Any:
        """[value, error] -> [low, high]."""
        value, error = tensors
        half_width = self._factor * (error + self._floor)
        return [value - half_width, value + half_width]


def fit_spread(
    rows: npt.NDArray[np.float32], errors: npt.NDArray[np.float32], level: float, callbacks: Sequence[Any] = ()
) -> Any:
    """A network that answers the `level` quantile of the absolute error (batch, 1) of rows like these.

    Args:
        rows: features and the model's own answer, (n, features + 1), which the model was not fitted to.
        errors: absolute, in the target's unit, (n,).
        callbacks: Keras's, told of the fit.
    """
    normalization = keras.layers.Normalization(name="spread_normalization")
    normalization.adapt(rows)
    start = float(np.quantile(errors, level))
    network = keras.Sequential(
        [
            keras.Input(rows.shape[1:], name="spread_input"),
            normalization,
            SmoothClip(name="spread_clip"),
            keras.layers.Dense(_HIDDEN_UNITS, activation="silu", name="spread_hidden"),
            keras.layers.Dense(
                1,
                activation="softplus",
                bias_initializer=keras.initializers.Constant(np.log(np.expm1(start))),  # softplus of it is start
                name="spread",
            ),
        ],
        name="spread_network",
    )
    network.compile(keras.optimizers.Adam(_LEARNING_RATE), loss=_pinball(level))
    network.fit(rows, errors[:, None], batch_size=_BATCH_SIZE, epochs=_EPOCHS, verbose=0, callbacks=[*callbacks])
    return network


def floor_of(errors: npt.NDArray[np.float32]) -> float:
    """What is added to every expected error."""
    return float(_SMALLEST_SHARE * np.median(errors))


def _pinball(level: float) -> Any:
    """The loss whose best answer is the quantile."""

    def loss(true: Any, answer: Any) -> Any:
        short = true - answer
        return keras.ops.maximum(level * short, (level - 1) * short)

    return loss
