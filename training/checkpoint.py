"""Saves after each epoch all that the next one depends on: a killed run goes on to the very same weights.

That is every variable of the model (weights, statistics, the counters of its random layers) and of the optimiser, what
early stopping and the plateau schedule remember, and the figures so far. The batches of an epoch depend on the seed and
its number alone (pipeline.py). Keras's BackupAndRestore leaves out all but weights and optimiser.
"""

import dataclasses
import fcntl
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np

from training.config import TrainingConfig
from training.datasets import Dataset
from training.describe import library_versions
from training.errors import CheckpointUnreadable

# What a callback remembers from one epoch to the next, by its class.
_REMEMBERED = {
    "EarlyStopping": ("wait", "best", "best_epoch", "stopped_epoch"),
    "ReduceLROnPlateau": ("wait", "best", "cooldown_counter"),
}


def checkpoint_path(
    folder: Path, dataset: Dataset, config: TrainingConfig, seed: int, workers: int, *, begins_with: str = ""
) -> Path:
    """Where this very run keeps its checkpoint: another configuration, seed, data or library has another file.

    Args:
        begins_with: the digest of the version that it starts from; its number may be another one's in another store.
    """
    run = (dataset.name, dataset.digest, dataclasses.asdict(config), seed, workers, library_versions(), begins_with)
    fingerprint = hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()
    return folder / f"{dataset.name}-{fingerprint[:12]}.npz"


class Checkpoint(keras.callbacks.Callback):  # type: ignore[misc] # Keras ships no types
    """Restores what the file holds when training begins, replaces it whole after each epoch; keeps the figures."""

    def __init__(self, path: Path | None, callbacks: Sequence[Any], *, is_chief: bool = True) -> None:
        """The callbacks are those whose memory is saved; they must come before this one. No path: nothing is saved."""
        super().__init__()
        self._path, self._is_chief = path, is_chief
        self._callbacks = {type(callback).__name__: callback for callback in callbacks}
        self._arrays: Mapping[str, Any] = {}
        self.history: dict[str, list[float]] = {}
        self.epochs_done, self.has_stopped = 0, False
        if path and path.exists():
            self._read(path)

    def on_train_begin(self, _logs: Any = None) -> None:
        """Put everything back as it was, after the other callbacks have cleared their memory."""
        if not self._arrays:
            return
        self.model.optimizer.build(self.model.trainable_variables)
        for i, variable in enumerate(self._variables()):
            variable.assign(self._arrays[f"variable_{i}"])
        best = [self._arrays[f"best_{i}"] for i in range(len(self.model.weights)) if f"best_{i}" in self._arrays]
        for name, memory in self._memories.items():
            for attribute, value in memory.items():
                setattr(self._callbacks[name], attribute, value)
        if stopping := self._callbacks.get("EarlyStopping"):
            stopping.best_weights = best or None
        self._arrays = {}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Keep the figures; save."""
        for figure, value in (logs or {}).items():
            self.history.setdefault(figure, []).append(float(value))
        if self._path and self._is_chief:
            self._write(self._path, epoch + 1)

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.model.optimizer.variables]

    def _read(self, path: Path) -> None:
        try:
            with path.open("rb") as file, np.load(file) as arrays:
                self._arrays = dict(arrays)
            memory = json.loads(str(self._arrays["memory"]))
        except (OSError, EOFError, BadZipFile, ValueError, KeyError) as error:  # EOFError: an empty file
            raise CheckpointUnreadable(f"{path} cannot be read: {error}; remove it to begin anew") from error
        self.epochs_done, self.has_stopped, self.history = memory["epoch"], memory["stopped"], memory["history"]
        self._memories = memory["callbacks"]

    def _write(self, path: Path, epochs_done: int) -> None:
        memory = {
            "epoch": epochs_done,
            "stopped": self.model.stop_training,
            "history": self.history,
            "callbacks": {name: _memory(callback) for name, callback in self._callbacks.items()},
        }
        arrays = {f"variable_{i}": variable.numpy() for i, variable in enumerate(self._variables())}
        if stopping := self._callbacks.get("EarlyStopping"):
            arrays |= {f"best_{i}": weight for i, weight in enumerate(stopping.best_weights or [])}
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")  # one a run: what a killed one left of it is written over
        with (path.parent / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the same run may be under way twice
            with fresh.open("wb") as file:
                np.savez(file, memory=np.array(json.dumps(memory)), **arrays)
                file.flush()
                os.fsync(file.fileno())  # a rename must not outlive what it renamed
            fresh.replace(path)  # whole or not at all


def _memory(callback: Any) -> dict[str, Any]:
    """Numbers as JSON has them; float64 comes back to the bit."""
    values = {name: getattr(callback, name) for name in _REMEMBERED[type(callback).__name__]}
    return {name: value if value is None or isinstance(value, int) else float(value) for name, value in values.items()}
