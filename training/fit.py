"""Fits a model to a data set's training rows; with patience, validation rows decide when to stop and what to keep."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from serving.contract import ImageInput
from training.checkpoint import Checkpoint
from training.config import DEFAULT_SEED, TrainingConfig
from training.datasets import Dataset, Rows, encode, output_width
from training.errors import TrainingDiverged, WorkerLost
from training.models import Model, call_inputs
from training.pipeline import steps_per_epoch, training_batches
from training.progress import ProgressBar
from training.strategy import OneDevice, Strategy

_LOSS = {"classification": "sparse_categorical_crossentropy", "regression": "mean_squared_error"}
_METRICS = {"classification": "accuracy", "regression": "mae"}
_AUXILIARY_WEIGHT = 0.1  # Géron, chapter 10; the main output has the rest


def make_reproducible(seed: int) -> None:
    """The same seed on the same machine gives the same weights from here on. Costs nothing measurable on a CPU."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def fit(
    model: Model,
    dataset: Dataset,
    config: TrainingConfig,
    *,
    seed: int = DEFAULT_SEED,
    strategy: Strategy | None = None,
    checkpoint: Path | None = None,
    callbacks: Sequence[Any] = (),
) -> Mapping[str, list[float]]:
    """Train the model in place; return the figures of each epoch.

    Args:
        seed: of the batches.
        checkpoint: saved here after each epoch; if it is there already, training goes on after its last epoch.
        callbacks: Keras's, beside our own.
    Raises:
        TrainingDiverged: the loss became NaN or infinite.
        CheckpointUnreadable: the file is there and is not what this run saved.
    """
    strategy = strategy or OneDevice()
    judges = _judges(config)
    saved = Checkpoint(checkpoint, judges, is_chief=strategy.share.worker == 0)
    strategy.check_alike("checkpoint's epochs", saved.epochs_done)
    steps = steps_per_epoch(len(dataset.train), config, strategy.share)
    with strategy.scope():
        _compile(model, dataset, config, make_optimizer(config, steps * config.epochs))
    others = strategy.join(model)
    batches = training_batches(
        *_tensors(model, dataset, dataset.train, config),
        config,
        seed=seed,
        first_epoch=saved.epochs_done,
        share=strategy.share,
        are_images=isinstance(dataset.input, ImageInput),
    )
    progress = [ProgressBar(dataset.name)] if strategy.share.worker == 0 else []
    try:
        model.fit(
            batches,
            steps_per_epoch=steps,
            initial_epoch=config.epochs if saved.has_stopped else saved.epochs_done,
            epochs=config.epochs,
            validation_data=_tensors(model, dataset, dataset.validation, config),
            validation_batch_size=500,  # bounds the memory, and changes no figure
            shuffle=False,  # the batches are
            verbose=0,
            callbacks=[*others, *progress, keras.callbacks.TerminateOnNaN(), *judges, *callbacks, saved],
        )
    except tf.errors.UnavailableError as error:
        raise WorkerLost(f"{dataset.name}: another worker no longer answers; start all again to go on") from error
    _check_finite(dataset.name, saved.history)
    return dict(saved.history)


def _judges(config: TrainingConfig) -> list[Any]:
    """Those who look at the validation loss, which without patience nobody does."""
    judges = []
    if config.patience:
        stopping = keras.callbacks.EarlyStopping("val_loss", patience=config.patience, restore_best_weights=True)
        judges.append(stopping)
    if config.schedule == "plateau":
        # Half the rate after half the patience that early stopping has: there are epochs left for it to help.
        half = max(1, config.patience // 2)
        judges.append(keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=half))
    return judges


def _compile(model: Model, dataset: Dataset, config: TrainingConfig, optimizer: Any) -> None:
    loss: Any = _LOSS[dataset.task]
    if dataset.task == "classification" and config.label_smoothing:
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=config.label_smoothing)
    metric, main = _METRICS[dataset.task], dataset.output.tensor
    if len(model.outputs) == 1:
        model.compile(optimizer=optimizer, loss=loss, metrics=[metric])
        return
    auxiliary = [name for name in model.output_names if name != main]
    weights = {main: 1 - _AUXILIARY_WEIGHT, **dict.fromkeys(auxiliary, _AUXILIARY_WEIGHT / len(auxiliary))}
    losses = dict.fromkeys(model.output_names, loss)
    model.compile(optimizer=optimizer, loss=losses, loss_weights=weights, metrics={main: [metric]})


def _tensors(model: Model, dataset: Dataset, rows: Rows, config: TrainingConfig) -> tuple[Any, Any]:
    """What to fit to what: every output of the model has the same target."""
    targets = rows.targets
    if dataset.task == "classification" and config.label_smoothing:
        targets = np.eye(output_width(dataset.output), dtype=np.float32)[targets]  # Keras smooths no class numbers
    by_output = targets if len(model.outputs) == 1 else dict.fromkeys(model.output_names, targets)
    return call_inputs(encode(dataset.input, rows.instances)), by_output


def make_optimizer(config: TrainingConfig, steps: int) -> Any:
    """The configured optimiser, its learning rate on schedule over so many steps."""
    options: dict[str, Any] = {"learning_rate": _schedule(config, steps)}
    if config.clip_norm:
        options["clipnorm"] = config.clip_norm
    if config.clip_value:
        options["clipvalue"] = config.clip_value
    if config.optimizer == "adamw":
        options["weight_decay"] = config.weight_decay
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
