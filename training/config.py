"""Everything a run can be told: frozen dataclasses. What is not set is switched off.

The only part of training that reads the environment. Knows neither TensorFlow nor the data.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from training.errors import ConfigError

# 42 is a habit of the field, nothing more; the quick gates hold for every seed that was tried.
DEFAULT_SEED = 42
LARGEST_SEED = 2**32 - 1  # Keras takes no other
# By their Keras names.
ACTIVATIONS = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid")
OPTIMIZERS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "nadam", "adamw")
INITIALIZERS = ("glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal")
# Falling to 0 along a cosine; by powers of 1/t; tenfold; in three steps; by half whenever the validation loss rests;
# up and down again (Smith 2018, arXiv 1803.09820).
SCHEDULES = ("constant", "cosine", "power", "exponential", "piecewise", "plateau", "1cycle")

_CHOICES = {
    "activation": ACTIVATIONS,
    "initializer": INITIALIZERS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
}
_ABOVE_0 = ("learning_rate", "batch_size", "epochs", "convolutions", "members", "bins")
_FROM_0 = (
    *("l1", "l2", "max_norm", "clip_norm", "clip_value", "neighbours", "weight_decay"),
    *("patience", "shift", "erase", "warm_start", "mc_samples", "margin"),
)
_SHARES = ("dropout", "label_smoothing", "confidence")


@dataclass(frozen=True)
class TrainingConfig:
    """How one model is trained. Every field can be set with `--set field=value`."""

    model: str  # architecture, by its name in the catalogue (models.py)
    hidden_units: tuple[int, ...]  # width of each hidden layer; of cnn: filters of each block
    gate: float  # worst test result that is published: accuracy (classifier) or RMSE (regressor)
    margin: float = 0.01  # by how much it may be worse than the published version's, where chance explains as much
    activation: str = "relu"  # of the hidden layers
    initializer: str = "glorot_uniform"  # of their weights; Keras's own default
    batch_norm: bool = False  # between a hidden layer and its activation
    dropout: float = 0.0  # share of hidden units left out at each step; alpha dropout with selu
    l1: float = 0.0  # penalty on the hidden layers' weights; 0: none
    l2: float = 0.0
    max_norm: float = 0.0  # bound on the norm of a hidden unit's weights; 0: none
    convolutions: int = 1  # of cnn: residual convolutions in each block after the first
    members: int = 1  # of tabm: networks in one
    bins: int = 1  # of tabm and wide_deep: quantiles a feature is embedded by
    neighbours: int = 0  # of tabm: training rows nearby that it looks up; 0: none
    flip: bool = False  # of images, while training: every other one mirrored
    shift: int = 0  # of images, while training: moved by up to so many pixels each way
    erase: int = 0  # of images, while training: a square of so many pixels a side made black in every other one
    label_smoothing: float = 0.0  # share of a classifier's target that all classes have alike
    optimizer: str = "adam"
    learning_rate: float = 1e-3  # at the start; of 1cycle: at its peak
    schedule: str = "constant"  # of the learning rate, over all epochs
    weight_decay: float = 0.004  # of adamw: share of a weight that it loses a step, times the rate; Keras's own default
    clip_norm: float = 0.0  # bound on the norm of each weight's gradient; 0: none
    clip_value: float = 0.0  # bound on each element of a gradient; 0: none
    batch_size: int = 256  # rows a step
    epochs: int = 10  # at most; early stopping may end sooner
    patience: int = (
        10  # epochs without a better validation loss before training stops; 0: it keeps the last epoch's weights
    )
    warm_start: int = 0  # published version whose weights training begins with; 0: none
    frozen: tuple[str, ...] = ()  # layers whose weights stay as they begin
    mc_samples: int = 0  # passes of the Monte Carlo dropout signature; 0: no such signature
    validation_share: float = 0.08  # of the rows that are not test rows
    calibration_share: float = 0.08  # of them too; 0: no calibration, no intervals, no domain score
    level: float = 0.9  # which share of true answers a prediction set or an interval is to hold
    confidence: float = 0.0  # in which share of calibrations it is to hold as much; 0: on average over them

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_shares()
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ConfigError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        if not self.hidden_units or min(self.hidden_units) < 1:
            raise ConfigError(f"hidden_units must be one or more widths above 0, got {self.hidden_units}")
        if self.mc_samples and not self.dropout:
            raise ConfigError("mc_samples needs dropout above 0: without it every pass gives the same answer")
        if self.clip_norm and self.clip_value:
            raise ConfigError(f"clip_norm {self.clip_norm} and clip_value {self.clip_value}: one of them must be 0")
        if self.schedule == "plateau" and not self.patience:
            raise ConfigError("schedule plateau needs patience above 0: it halves the rate after half of that")

    def _check_numbers(self) -> None:
        for name in _ABOVE_0:
            if not 0 < getattr(self, name) < math.inf:  # so put, it refuses NaN too
                raise ConfigError(f"{name} must be a number above 0, got {getattr(self, name)}")
        for name in _FROM_0:
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be a number from 0 up, got {getattr(self, name)}")
        if not math.isfinite(self.gate):  # nothing would pass NaN, or everything
            raise ConfigError(f"gate must be a finite number, got {self.gate}")

    def _check_shares(self) -> None:
        for name in _SHARES:
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 0 and less than 1, got {getattr(self, name)}")
        if not 0 < self.validation_share < 1:
            raise ConfigError(f"validation_share must be between 0 and 1, got {self.validation_share}")
        if not 0 <= self.calibration_share < 1 - self.validation_share:
            raise ConfigError(
                f"calibration_share must be from 0 to what validation leaves, got {self.calibration_share}"
            )
        if not 0 < self.level < 1:
            raise ConfigError(f"level must be between 0 and 1, got {self.level}")


def has_cluster(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether TF_CONFIG says who the workers are; TensorFlow reads it itself, and without it would train alone."""
    return bool(environ.get("TF_CONFIG"))


def store_root(text: str) -> Path | str:
    """A path, or a URL as it is: Path would make one slash of two. Of nothing it would make the folder one is in."""
    if not text:
        raise ConfigError("expected a folder or a URL, got nothing")
    return text if "://" in text else Path(text)


@dataclass(frozen=True)
class Folders:
    """Where a run reads and writes."""

    store: Path | str  # model store: <store>/<model>/<version>/; text where it is a URL
    data: Path  # downloads, kept between runs
    runs: Path = Path("runs")  # checkpoints of unfinished runs

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Folders":
        """ATELIER_STORE, ATELIER_DATA_DIR and ATELIER_RUNS_DIR, else ./models, the user's cache folder and ./runs."""
        cache = environ.get("XDG_CACHE_HOME") or "~/.cache"
        return cls(
            store=store_root(environ.get("ATELIER_STORE") or "models"),
            data=Path(environ.get("ATELIER_DATA_DIR") or f"{cache}/atelier").expanduser(),
            runs=Path(environ.get("ATELIER_RUNS_DIR") or "runs"),
        )
