"""Fits a model to a data set's training rows; the validation rows decide when to stop and which weights to keep."""

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from training.config import TrainingConfig
from training.datasets import Dataset, Rows, encode
from training.errors import TrainingDiverged
from training.models import Model, call_inputs
from training.progress import ProgressBar

_LOSS = {"classification": "sparse_categorical_crossentropy", "regression": "mean_squared_error"}
_METRICS = {"classification": ["accuracy"], "regression": ["mae"]}


def make_reproducible(seed: int) -> None:
    """The same seed on the same machine gives the same weights from here on. Costs nothing measurable on a CPU."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def fit(model: Model, dataset: Dataset, config: TrainingConfig) -> Mapping[str, list[float]]:
    """Train the model in place; return the figures of each epoch.

    Raises:
        TrainingDiverged: the loss became NaN or infinite.
    """
    steps = math.ceil(len(dataset.train) / config.batch_size) * config.epochs
    model.compile(optimizer=_optimizer(config, steps), loss=_LOSS[dataset.task], metrics=_METRICS[dataset.task])
    instances, targets = _tensors(dataset, dataset.train)
    history = model.fit(
        instances,
        targets,
        validation_data=_tensors(dataset, dataset.validation),
        batch_size=config.batch_size,
        epochs=config.epochs,
        verbose=0,
        callbacks=[
            ProgressBar(dataset.name),
            keras.callbacks.TerminateOnNaN(),
            keras.callbacks.EarlyStopping("val_loss", patience=config.patience, restore_best_weights=True),
        ],
    ).history
    _check_finite(dataset.name, history)
    return dict(history)


def _tensors(dataset: Dataset, rows: Rows) -> tuple[Any, Any]:
    return call_inputs(encode(dataset.input, rows.instances)), rows.targets


def _optimizer(config: TrainingConfig, steps: int) -> Any:
    rate: Any = config.learning_rate
    if config.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(config.learning_rate, decay_steps=steps)
    return keras.optimizers.get({"class_name": config.optimizer, "config": {"learning_rate": rate}})


def _check_finite(name: str, history: Mapping[str, list[float]]) -> None:
    for figure, values in history.items():
        for epoch, value in enumerate(values, start=1):
            if not math.isfinite(value):
                raise TrainingDiverged(
                    f"{name}: {figure} became {value} in epoch {epoch}; nothing was published. "
                    "A lower learning rate often helps: --set learning_rate=…"
                )
