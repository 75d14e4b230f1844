"""The catalogue: one readable function an architecture, chosen by name. A model's inputs bear its tensors' names.

Layers are named, so that weights keep their names whatever else was built in the process.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from training.config import TrainingConfig
from training.datasets import Dataset, Rows, encode, output_width, tensor_shapes
from training.errors import ConfigError

Model = Any  # keras.Model; Keras ships no types
Answers = Mapping[str, npt.NDArray[np.float32]]  # by output tensor


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


def _hidden_layers(config: TrainingConfig) -> list[Any]:
    return [
        keras.layers.Dense(units, activation=config.activation, name=f"hidden_{i}")
        for i, units in enumerate(config.hidden_units, start=1)
    ]


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
    {"classification": {"mlp": mlp_classifier}, "regression": {"mlp": mlp_regressor}}
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
