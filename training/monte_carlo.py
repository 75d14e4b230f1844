"""Monte Carlo dropout: many passes with dropout left on, whose mean and spread say what a network is unsure of.

Gal & Ghahramani 2016, arXiv 1506.02142. A signature of its own beside serving_default, which stays certain.
"""

from typing import Any

import keras
import tensorflow as tf

from training.models import Model, by_name, call_inputs

# The fixed point of SELU's negative side, -scale * alpha: what alpha dropout puts in place of a unit (Klambauer et al.
# 2017, arXiv 1706.02515, section "New Dropout Technique").
_SELU_LOW = -1.0507009873554805 * 1.6732632423543772

_DROPOUT = (keras.layers.Dropout, keras.layers.AlphaDropout)


class AlwaysDropout(keras.layers.Layer):  # type: ignore[misc] # Keras ships no types
    """Dropout that knows no inference, with TensorFlow's own random numbers: any shape -> the same.

    Keras's keeps a counter in a variable, which a served graph would have to write to.
    """

    def __init__(self, rate: float, *, alpha: bool, **options: Any) -> None:
        super().__init__(**options)
        self._rate, self._alpha = rate, alpha

    def call(self, values: Any) -> Any:
        """Any shape -> the same."""
        keep = tf.random.uniform(tf.shape(values)) >= self._rate
        if not self._alpha:
            return tf.where(keep, values / (1 - self._rate), 0.0)
        scale = ((1 - self._rate) * (1 + self._rate * _SELU_LOW**2)) ** -0.5
        return scale * (tf.where(keep, values, _SELU_LOW) - _SELU_LOW * self._rate)


def with_dropout_on(model: Model) -> Model:
    """The same model, on the same weights, that leaves out units at every call."""
    # A fresh one around the same layers: cloning what was compiled would clone its optimiser and its loss as well.
    is_chain = isinstance(model, keras.Sequential)  # whose output is that of its last call, not of its last layer
    uncompiled = keras.Model(*(model.inputs, model.outputs[0]) if is_chain else (model.input, model.output))
    return keras.models.clone_model(uncompiled, clone_function=_always_on)


def _always_on(layer: Any) -> Any:
    if isinstance(layer, _DROPOUT):
        alpha = isinstance(layer, keras.layers.AlphaDropout)
        return AlwaysDropout(layer.rate, alpha=alpha, name=layer.name)
    if isinstance(layer, keras.Model) and any(isinstance(inner, _DROPOUT) for inner in layer.layers):
        return with_dropout_on(layer)
    return layer


def mean_and_spread(model: Model, tensors: dict[str, Any], output: str, samples: int) -> dict[str, Any]:
    """Over so many passes of a model with dropout on: {output: mean, output_spread: standard deviation}.

    Args:
        tensors: by name, each (batch, ...); all passes are one batch, `samples` times as large.
    """
    repeated = {name: tf.repeat(tensor, samples, axis=0) for name, tensor in tensors.items()}
    answers = by_name(model(call_inputs(repeated), training=False), output)[output]
    passes = tf.reshape(answers, (-1, samples, answers.shape[-1]))  # (batch, samples, width)
    return {output: tf.reduce_mean(passes, axis=1), f"{output}_spread": tf.math.reduce_std(passes, axis=1)}
