"""Fits a model to a data set's training rows; the validation rows decide when to stop and which weights to keep."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from training.config import TrainingConfig
from training.datasets import Dataset, Rows, encode
from training.errors import TrainingDiverged
from training.models import Model, call_inputs
from training.progress import ProgressBar

_LOSS = {"classification": "sparse_categorical_crossentropy", "regression": "mean_squared_error"}
_METRICS = {"classification": "accuracy", "regression": "mae"}
_AUXILIARY_WEIGHT = 0.1  # Géron, chapter 10; the main output has the rest


def make_reproducible(seed: int) -> None:
    """The same seed on the same machine gives the same weights from here on. Costs nothing measurable on a CPU."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def fit(
    model: Model, dataset: Dataset, config: TrainingConfig, *, callbacks: Sequence[Any] = ()
) -> Mapping[str, list[float]]:
    """Train the model in place; return the figures of each epoch.

    Args:
        callbacks: Keras's, who want to watch.
    Raises:
        TrainingDiverged: the loss became NaN or infinite.
    """
    steps = math.ceil(len(dataset.train) / config.batch_size) * config.epochs
    _compile(model, dataset, make_optimizer(config, steps))
    instances, targets = _tensors(model, dataset, dataset.train)
    history = model.fit(
        instances,
        targets,
        validation_data=_tensors(model, dataset, dataset.validation),
        batch_size=config.batch_size,
        epochs=config.epochs,
        verbose=0,
        callbacks=[
            ProgressBar(dataset.name),
            keras.callbacks.TerminateOnNaN(),
            keras.callbacks.EarlyStopping("val_loss", patience=config.patience, restore_best_weights=True),
            *callbacks,
        ],
    ).history
    _check_finite(dataset.name, history)
    return dict(history)


def _compile(model: Model, dataset: Dataset, optimizer: Any) -> None:
    loss, metric, main = _LOSS[dataset.task], _METRICS[dataset.task], dataset.output.tensor
    if len(model.outputs) == 1:
        model.compile(optimizer=optimizer, loss=loss, metrics=[metric])
        return
    auxiliary = [name for name in model.output_names if name != main]
    weights = {main: 1 - _AUXILIARY_WEIGHT, **dict.fromkeys(auxiliary, _AUXILIARY_WEIGHT / len(auxiliary))}
    losses = dict.fromkeys(model.output_names, loss)
    model.compile(optimizer=optimizer, loss=losses, loss_weights=weights, metrics={main: [metric]})


def _tensors(model: Model, dataset: Dataset, rows: Rows) -> tuple[Any, Any]:
    """What to fit to what: every output of the model has the same target."""
    targets = rows.targets if len(model.outputs) == 1 else dict.fromkeys(model.output_names, rows.targets)
    return call_inputs(encode(dataset.input, rows.instances)), targets


def make_optimizer(config: TrainingConfig, steps: int) -> Any:
    """The configured optimiser, its learning rate on schedule over so many steps."""
    options: dict[str, Any] = {"learning_rate": _schedule(config, steps)}
    if config.clip_norm:
        options["clipnorm"] = config.clip_norm
    if config.clip_value:
        options["clipvalue"] = config.clip_value
    if config.optimizer in ("momentum", "nesterov"):
        return keras.optimizers.SGD(momentum=0.9, nesterov=config.optimizer == "nesterov", **options)
    return keras.optimizers.get({"class_name": config.optimizer, "config": options})


def _schedule(config: TrainingConfig, steps: int) -> Any:
    """Géron's chapter 11 has them all."""
    rate, schedules = config.learning_rate, keras.optimizers.schedules
    match config.schedule:
        case "cosine":
            return schedules.CosineDecay(rate, decay_steps=steps)
        case "power":
            return schedules.InverseTimeDecay(rate, decay_steps=max(1, steps // 10), decay_rate=1.0)
        case "exponential":
            return schedules.ExponentialDecay(rate, decay_steps=max(1, steps // 2), decay_rate=0.1)
        case "piecewise":
            return schedules.PiecewiseConstantDecay([steps // 2, steps * 3 // 4], [rate, rate / 10, rate / 100])
        case "1cycle":
            rise = max(1, steps * 3 // 10)
            return schedules.CosineDecay(rate / 25, max(1, steps - rise), warmup_target=rate, warmup_steps=rise)
        case _:
            return rate


def _check_finite(name: str, history: Mapping[str, list[float]]) -> None:
    for figure, values in history.items():
        for epoch, value in enumerate(values, start=1):
            if not math.isfinite(value):
                raise TrainingDiverged(
                    f"{name}: {figure} became {value} in epoch {epoch}; nothing was published. "
                    "A lower learning rate often helps: --set learning_rate=…"
                )
