"""Temperature scaling (Guo et al. 2017, arXiv 1706.04599): one number that makes probabilities mean what they say."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from training.tabular import constant

_TINIEST = 1e-30  # below it a float32 probability has no logarithm worth having
# Networks are found between 0.5 and 5; far beyond that something else is wrong.
_COLDEST, _HOTTEST = 0.05, 20.0
_SEARCH_STEPS = 60  # each leaves two thirds of the range: more precision than a float32 has


class Temperature(keras.layers.Layer):  # type: ignore[misc] # Keras ships no types
    """Class probabilities at another temperature: softmax(log p / T), which is softmax(logits / T); the order stays."""

    def __init__(self, temperature: float, **options: Any) -> None:
        super().__init__(**options)
        self._value = temperature

    def build(self, _shape: Any) -> None:
        """Keep the temperature with the weights."""
        self.temperature = constant(self, "temperature", np.float32(self._value))

    def call(self, probabilities: Any) -> Any:
        """(batch, classes) -> (batch, classes)."""
        return tf.nn.softmax(tf.math.log(tf.maximum(probabilities, _TINIEST)) / self.temperature)


def fit_temperature(probabilities: npt.NDArray[np.float32], labels: npt.NDArray[Any]) -> float:
    """The temperature with the smallest negative log-likelihood. Probabilities (n, classes), labels (n,)."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), _TINIEST))
    low, high = 1 / _HOTTEST, 1 / _COLDEST
    for _ in range(_SEARCH_STEPS):  # the loss is convex in 1 / T: a third of the range can always be left out
        first, second = low + (high - low) / 3, high - (high - low) / 3
        if _loss(logits * first, labels) < _loss(logits * second, labels):
            high = second
        else:
            low = first
    return 2 / (low + high)


def _loss(logits: npt.NDArray[np.float64], labels: npt.NDArray[Any]) -> float:
    of_label = logits[np.arange(len(labels)), labels]
    top = logits.max(axis=1)
    return float(np.mean(top + np.log(np.exp(logits - top[:, None]).sum(axis=1)) - of_label))
