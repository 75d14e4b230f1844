"""The hidden layers of a multilayer perceptron, with everything the configuration can ask of them."""

from typing import Any

import keras

from training.config import TrainingConfig


def hidden_layers(config: TrainingConfig) -> list[Any]:
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
