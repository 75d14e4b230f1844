"""A progress bar for fitting: one line that moves in a terminal, one line an epoch in a log."""

import math
import sys
import time
from typing import Any, TextIO

import keras

_WIDTH = 24  # characters
_REFRESH_S = 0.1  # ten times a second looks smooth


class ProgressBar(keras.callbacks.Callback):  # type: ignore[misc] # Keras ships no types
    """Shows the epoch, the share done, the loss so far and the time left."""

    def __init__(self, title: str, stream: TextIO | None = None) -> None:
        super().__init__()
        self._title, self._stream = title, stream or sys.stdout
        self._epoch, self._step, self._drawn_at = 0, 0, -math.inf

    def on_train_begin(self, _logs: Any = None) -> None:
        """Start the clock."""
        self._started_at = time.monotonic()

    def on_epoch_begin(self, epoch: int, _logs: Any = None) -> None:
        """Count."""
        self._epoch, self._step = epoch, 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Redraw, in a terminal, and not too often."""
        self._step = batch + 1
        if self._stream.isatty() and time.monotonic() - self._drawn_at >= _REFRESH_S:
            self._drawn_at = time.monotonic()
            self._draw(logs, end="")

    def on_epoch_end(self, _epoch: int, logs: Any = None) -> None:
        """Leave one line an epoch behind."""
        self._step = self.params["steps"]
        self._draw(logs, end="\n")

    def _draw(self, logs: dict[str, float], end: str) -> None:
        epochs, steps = self.params["epochs"], self.params["steps"]
        done = (self._epoch + self._step / steps) / epochs
        left_s = (time.monotonic() - self._started_at) * (1 - done) / done
        bar = "█" * round(done * _WIDTH)
        figures = "  ".join(f"{name} {value:.4f}" for name, value in logs.items())
        start, erase = ("\r", "\x1b[K") if self._stream.isatty() else ("", "")
        line = f"{self._title}  epoch {self._epoch + 1:>{len(str(epochs))}}/{epochs}  {bar:░<{_WIDTH}}  {figures}"
        self._stream.write(f"{start}{line}  {left_s:.0f} s left{erase}{end}")
        self._stream.flush()
