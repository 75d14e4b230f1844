"""How long until 0.886, the textbook's accuracy on Fashion-MNIST: our recipe for its network beside the textbook's own.

    python -m tests.bench.time_to_accuracy

Both stop at the end of the first epoch whose accuracy on the test images reaches it; nothing is chosen by them.
"""

import dataclasses
import resource
import time
from typing import Any

import keras

from training.config import DEFAULT_SEED, Folders, TrainingConfig
from training.datasets import Dataset, load_dataset
from training.fit import fit, make_reproducible
from training.models import build_model
from training.presets import PRESETS

TARGET = 0.886  # Géron's notebook 10: 0.8864 on the test images after 30 epochs
OURS = PRESETS["fashion"]["mlp"]
TEXTBOOK = TrainingConfig(
    model="mlp",
    hidden_units=(300, 100),
    optimizer="sgd",
    learning_rate=0.01,
    batch_size=32,
    epochs=30,
    patience=30,
    gate=0,
)


class StopAtTarget(keras.callbacks.Callback):
    """Ends the fit; remembers what it took, in seconds and in seconds of processor time."""

    def on_train_begin(self, logs: Any = None) -> None:
        self._started, self._cpu = time.monotonic(), cpu_s()
        self.reached = False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs, self.accuracy = epoch + 1, logs["val_accuracy"]
        self.wall_s, self.cpu_s = time.monotonic() - self._started, cpu_s() - self._cpu
        self.reached = self.accuracy >= TARGET
        self.model.stop_training |= self.reached


def main() -> None:
    """Fit both, print what each took."""
    dataset = load_dataset("fashion", Folders.from_env().data, 0.08, DEFAULT_SEED, report=print, calibration_share=0.0)
    judged = dataclasses.replace(dataset, validation=dataset.test)
    ours, textbook = (took(config, judged) for config in (OURS, TEXTBOOK))
    print(f"ours took {ours.wall_s / textbook.wall_s:.2f} of the time, {ours.cpu_s / textbook.cpu_s:.2f} on processors")


def took(config: TrainingConfig, dataset: Dataset) -> StopAtTarget:
    """Fit until the target, or to the end."""
    make_reproducible(DEFAULT_SEED)
    stop = StopAtTarget()
    fit(build_model(config, dataset), dataset, config, callbacks=[stop])
    verdict = "reached" if stop.reached else "not reached"
    print(
        f"{config.optimizer}, batches of {config.batch_size}: {TARGET} {verdict} ({stop.accuracy:.4f}) after "
        f"{stop.epochs} epochs, {stop.wall_s:.0f} s, {stop.cpu_s:.0f} s of processor time"
    )
    return stop


def cpu_s() -> float:
    """Seconds of processor time that this process has taken."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
