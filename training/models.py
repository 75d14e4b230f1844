"""The catalogue: architectures by name, and how a model is called, whatever its inputs and outputs."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from training.classifiers import cnn_classifier, deep_mlp_classifier, mlp_classifier
from training.config import TrainingConfig
from training.datasets import Dataset, Rows, encode
from training.errors import ConfigError
from training.progress import ProgressBar
from training.regressors import mlp_regressor, tabm_regressor, wide_deep_regressor

Model = Any  # keras.Model; Keras ships no types
Answers = Mapping[str, npt.NDArray[np.float32]]  # by output tensor


def call_inputs(tensors: Mapping[str, Any]) -> Any:
    """Tensors by name as Keras wants them: the tensor itself where there is but one."""
    return next(iter(tensors.values())) if len(tensors) == 1 else dict(tensors)


def symbolic_inputs(model: Model) -> Any:
    """The model's own inputs, as one calls it."""
    return call_inputs({tensor.name: tensor for tensor in model.inputs})


def by_name(answers: Any, tensor: str) -> dict[str, Any]:
    """What calling a model gave, by tensor name; a model with one output gives it without its name."""
    return answers if isinstance(answers, dict) else {tensor: answers}


def predict(model: Model, dataset: Dataset, rows: Rows, title: str = "predicting") -> Answers:
    """The model's answers to rows, by output tensor: each (n, width). The title is what a terminal shows meanwhile."""
    inputs = call_inputs(encode(dataset.input, rows.instances))
    progress = ProgressBar(f"{dataset.name}  {title}", leaves_lines=False)
    # 500 rows a batch bound the memory, and change no figure.
    return by_name(model.predict(inputs, batch_size=500, verbose=0, callbacks=[progress]), dataset.output.tensor)


CATALOGUE: Mapping[str, Mapping[str, Callable[[TrainingConfig, Dataset], Model]]] = MappingProxyType(
    {
        "classification": {"mlp": mlp_classifier, "deep_mlp": deep_mlp_classifier, "cnn": cnn_classifier},
        "regression": {"mlp": mlp_regressor, "wide_deep": wide_deep_regressor, "tabm": tabm_regressor},
    }
)


def build_model(config: TrainingConfig, dataset: Dataset) -> Model:
    """The model that the configuration names, for this data set.

    Raises:
        ConfigError: the catalogue has no such model for the task, or the model no such layer to freeze.
    """
    models = CATALOGUE[dataset.task]
    if config.model not in models:
        raise ConfigError(f"no {dataset.task} model {config.model!r}; there are {', '.join(models)}")
    model = models[config.model](config, dataset)
    _freeze(model, config.frozen)
    return model


def _freeze(model: Model, names: Sequence[str]) -> None:
    layers = {layer.name: layer for layer in model.layers}
    if unknown := [name for name in names if name not in layers]:
        raise ConfigError(f"frozen: no layers {', '.join(unknown)}; there are {', '.join(layers)}")
    for name in names:
        layers[name].trainable = False
