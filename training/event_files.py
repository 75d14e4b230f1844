"""Training's figures as TensorBoard reads them, on request.

TensorFlow writes the files; TensorBoard itself, which Keras's own callback asks for, is only needed to look at them.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

_HELD_OUT = "val_"  # Keras's prefix
# What tf.summary.scalar writes: TensorBoard shows it as a curve.
_SCALAR = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"),
)


def event_folder(root: Path, model: str) -> Path:
    """A folder of its own for each run, in the order in which they began."""
    return root / model / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")


class EventFiles(keras.callbacks.Callback):  # type: ignore[misc] # Keras ships no types
    """Every epoch's figures and learning rate, in folders train and validation, named as Keras names them."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def on_train_begin(self, _logs: Any = None) -> None:
        """Open the files."""
        parts = ("train", "validation")
        self._writers = {part: tf.summary.create_file_writer(str(self._folder / part)) for part in parts}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """One point a curve."""
        figures = {**(logs or {}), "learning_rate": float(self.model.optimizer.learning_rate)}
        for name, value in figures.items():
            part = "validation" if name.startswith(_HELD_OUT) else "train"
            with self._writers[part].as_default():
                tf.summary.write(
                    f"epoch_{name.removeprefix(_HELD_OUT)}", tf.constant(value, tf.float32), epoch, _SCALAR
                )
        for writer in self._writers.values():
            writer.flush()  # so that a killed run's curves are there

    def on_train_end(self, _logs: Any = None) -> None:
        """Close them."""
        for writer in self._writers.values():
            writer.close()
