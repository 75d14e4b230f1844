"""Everything a run can be told: frozen dataclasses, presets in code, `--set key=value` on top.

The only part of training that reads the environment. Knows neither TensorFlow nor the data.
"""

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

from training.errors import ConfigError

# 42 is a habit of the field, nothing more; the quick gates hold for every seed that was tried.
DEFAULT_SEED = 42
# By their Keras names.
ACTIVATIONS = ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid")
OPTIMIZERS = ("sgd", "adagrad", "rmsprop", "adam", "nadam", "adamw")
SCHEDULES = ("constant", "cosine")


@dataclass(frozen=True)
class TrainingConfig:
    """How one model is trained. Every field can be set with `--set field=value`."""

    model: str  # architecture, by its name in the catalogue (models.py)
    hidden_units: tuple[int, ...]  # width of each hidden layer
    activation: str  # of the hidden layers
    optimizer: str
    learning_rate: float  # at the start
    schedule: str  # of the learning rate: "constant", or "cosine" (falls to 0 over all epochs)
    batch_size: int  # rows a step
    epochs: int  # at most; early stopping may end sooner
    patience: int  # epochs without a better validation loss before training stops
    validation_share: float  # of the rows that are not test rows
    calibration_share: float  # of them too; 0: no calibration, no intervals, no domain score
    level: float  # which share of true answers a prediction set or an interval is to hold
    gate: float  # worst test result that is published: accuracy (classifier) or RMSE (regressor)

    def __post_init__(self) -> None:
        for name in ("learning_rate", "batch_size", "epochs", "patience"):
            if not 0 < getattr(self, name) < math.inf:  # so put, it refuses NaN too
                raise ConfigError(f"{name} must be a number above 0, got {getattr(self, name)}")
        if not math.isfinite(self.gate):  # nothing would pass NaN, or everything
            raise ConfigError(f"gate must be a finite number, got {self.gate}")
        choices = {"activation": ACTIVATIONS, "optimizer": OPTIMIZERS, "schedule": SCHEDULES}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ConfigError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        if not 0 < self.validation_share < 1:
            raise ConfigError(f"validation_share must be between 0 and 1, got {self.validation_share}")
        if not 0 <= self.calibration_share < 1 - self.validation_share:
            raise ConfigError(
                f"calibration_share must be from 0 to what validation leaves, got {self.calibration_share}"
            )
        if not 0 < self.level < 1:
            raise ConfigError(f"level must be between 0 and 1, got {self.level}")
        if not self.hidden_units or min(self.hidden_units) < 1:
            raise ConfigError(f"hidden_units must be one or more widths above 0, got {self.hidden_units}")


_FASHION_QUICK = TrainingConfig(
    model="mlp",
    hidden_units=(300, 100),  # Géron, Hands-On Machine Learning, chapter 10
    activation="relu",
    optimizer="adam",
    learning_rate=2e-3,
    schedule="cosine",  # six epochs reach what a constant rate does not in eight
    batch_size=256,
    epochs=6,
    patience=3,
    validation_share=0.08,  # 4,800 of 60,000
    calibration_share=0.08,  # coverage then varies by 0.4 points between calibrations
    level=0.9,
    gate=0.87,
)
_HOUSING_QUICK = TrainingConfig(
    model="mlp",
    hidden_units=(128,),
    activation="relu",
    optimizer="adam",
    learning_rate=1e-2,
    schedule="cosine",
    batch_size=128,
    epochs=30,
    patience=10,
    validation_share=0.08,  # with a fifth held out for test: 64/16/20, where calibration takes
    calibration_share=0.12,  # most of the 16, for intervals that hold: 1,981 rows
    level=0.9,
    gate=0.62,
)
PRESETS: Mapping[str, Mapping[str, TrainingConfig]] = MappingProxyType(
    {
        "fashion": {
            "quick": _FASHION_QUICK,
            "default": dataclasses.replace(_FASHION_QUICK, epochs=20, patience=20, gate=0.88),
        },
        "housing": {
            "quick": _HOUSING_QUICK,
            "default": dataclasses.replace(
                _HOUSING_QUICK, hidden_units=(512,), learning_rate=5e-3, epochs=100, patience=100, gate=0.55
            ),
        },
    }
)
PRESET_NAMES = ("quick", "default")


def resolve(name: str, preset: str, settings: Sequence[str] = ()) -> TrainingConfig:
    """The preset of one model with `key=value` settings on top; `model.key=value` is for that model alone.

    Raises:
        ConfigError: names the setting that is unknown, malformed or of the wrong type.
    """
    changes: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {setting}: expected key=value")
        model, dot, field = key.rpartition(".")
        if dot and model not in PRESETS:
            raise ConfigError(f"--set {setting}: unknown model {model!r}; there are {', '.join(PRESETS)}")
        value = _parse(setting, field, text)
        if not dot or model == name:
            changes[field] = value
    return dataclasses.replace(PRESETS[name][preset], **changes)


def _parse(setting: str, field: str, text: str) -> Any:
    """The text of a setting as the type of its field."""
    hints = get_type_hints(TrainingConfig)
    if field not in hints:
        raise ConfigError(f"--set {setting}: unknown key {field!r}; there are {', '.join(hints)}")
    hint = hints[field]
    is_list = hint not in (str, int, float)
    scalar = get_args(hint)[0] if is_list else hint
    try:
        return tuple(scalar(item) for item in text.split(",")) if is_list else scalar(text)
    except ValueError:
        kind = {str: "text", int: "a whole number", float: "a number"}[scalar]
        wanted = f"{kind}, or several with commas between" if is_list else kind
        raise ConfigError(f"--set {setting}: {field} must be {wanted}, got {text!r}") from None


@dataclass(frozen=True)
class Folders:
    """Where a run reads and writes."""

    store: Path  # model store: <store>/<model>/<version>/
    data: Path  # downloads, kept between runs

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Folders":
        """ATELIER_STORE and ATELIER_DATA_DIR, else ./models and the user's cache folder."""
        cache = environ.get("XDG_CACHE_HOME") or "~/.cache"
        return cls(
            store=Path(environ.get("ATELIER_STORE") or "models"),
            data=Path(environ.get("ATELIER_DATA_DIR") or f"{cache}/atelier").expanduser(),
        )
