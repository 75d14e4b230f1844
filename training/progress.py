"""Progress bars for what takes long: a line that moves in a terminal; in a log, one line an epoch of fitting."""

import math
import sys
import time
from typing import Any, TextIO

import keras

_WIDTH = 24  # characters
_REFRESH_S = 0.1  # ten times a second looks smooth


class ProgressBar(keras.callbacks.Callback):  # type: ignore[misc] # Keras ships no types
    """Shows the epoch, the share done, the loss so far and the time left; of predictions the last two."""

    def __init__(self, title: str, stream: TextIO | None = None, *, leaves_lines: bool = True) -> None:
        """With leaves_lines False it is for a terminal's eyes only, and wipes its line when it is done."""
        super().__init__()
        self._title, self._stream, self._leaves_lines = title, stream or sys.stdout, leaves_lines
        self._epoch, self._step, self._drawn_at = 0, 0, -math.inf
        self._done_before = 0.0  # more where a killed run goes on

    def on_train_begin(self, _logs: Any = None) -> None:
        """Start the clock."""
        self._started_at, self._is_first = time.monotonic(), True

    def on_epoch_begin(self, epoch: int, _logs: Any = None) -> None:
        """Count."""
        self._epoch, self._step = epoch, 0
        if self._is_first:
            self._done_before, self._is_first = epoch / self.params["epochs"], False

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Redraw, in a terminal, and not too often."""
        self._step = batch + 1
        if self._is_due():
            self._draw(logs, end="")

    def on_epoch_end(self, _epoch: int, logs: Any = None) -> None:
        """Leave one line an epoch behind."""
        self._step = self.params["steps"]
        if self._leaves_lines:
            self._draw(logs, end="\n")

    def on_train_end(self, _logs: Any = None) -> None:
        """Leave the terminal as it was, if that is wanted."""
        if not self._leaves_lines:
            self._wipe()

    def on_predict_begin(self, _logs: Any = None) -> None:
        """Start the clock."""
        self._started_at = time.monotonic()

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002 (Keras passes it by name)
        """Redraw, in a terminal, and not too often."""
        if self._is_due():
            self._show((batch + 1) / self.params["steps"], "", end="")

    def on_predict_end(self, _logs: Any = None) -> None:
        """Nothing stays: what was predicted is told by others."""
        self._wipe()

    def _is_due(self) -> bool:
        if not self._stream.isatty() or time.monotonic() - self._drawn_at < _REFRESH_S:
            return False
        self._drawn_at = time.monotonic()
        return True

    def _draw(self, logs: dict[str, float], end: str) -> None:
        epochs, steps = self.params["epochs"], self.params["steps"]
        figures = "".join(f"  {name} {value:.4f}" for name, value in logs.items())
        words = f"epoch {self._epoch + 1:>{len(str(epochs))}}/{epochs}  "
        self._show((self._epoch + self._step / steps) / epochs, words, figures, end=end)

    def _show(self, done: float, words: str, figures: str = "", *, end: str) -> None:
        left_s = (time.monotonic() - self._started_at) * (1 - done) / (done - self._done_before)
        bar = "█" * round(done * _WIDTH)
        start, erase = ("\r", "\x1b[K") if self._stream.isatty() else ("", "")
        self._stream.write(f"{start}{self._title}  {words}{bar:░<{_WIDTH}}{figures}  {left_s:.0f} s left{erase}{end}")
        self._stream.flush()

    def _wipe(self) -> None:
        if self._stream.isatty():
            self._stream.write("\r\x1b[K")
            self._stream.flush()
