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
OPTIMIZERS = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "nadam", "adamw")
INITIALIZERS = ("glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal")
# Falling to 0 along a cosine; by powers of 1/t; tenfold; in three steps; up and down again (Smith 2018, 1803.09820).
SCHEDULES = ("constant", "cosine", "power", "exponential", "piecewise", "1cycle")


@dataclass(frozen=True)
class TrainingConfig:
    """How one model is trained. Every field can be set with `--set field=value`."""

    model: str  # architecture, by its name in the catalogue (models.py)
    hidden_units: tuple[int, ...]  # width of each hidden layer
    activation: str  # of the hidden layers
    initializer: str  # of their weights
    batch_norm: bool  # between a hidden layer and its activation
    dropout: float  # share of hidden units left out at each step; alpha dropout with selu
    l1: float  # penalty on the hidden layers' weights; 0: none
    l2: float
    max_norm: float  # bound on the norm of a hidden unit's weights; 0: none
    members: int  # of tabm: networks in one
    bins: int  # of tabm and wide_deep: quantiles a feature is embedded by
    neighbours: int  # of tabm: training rows nearby that it looks up; 0: none
    optimizer: str
    learning_rate: float  # at the start; of 1cycle: at its peak
    schedule: str  # of the learning rate, over all epochs
    clip_norm: float  # bound on the norm of each weight's gradient; 0: none
    clip_value: float  # bound on each element of a gradient; 0: none
    batch_size: int  # rows a step
    epochs: int  # at most; early stopping may end sooner
    patience: int  # epochs without a better validation loss before training stops
    validation_share: float  # of the rows that are not test rows
    calibration_share: float  # of them too; 0: no calibration, no intervals, no domain score
    level: float  # which share of true answers a prediction set or an interval is to hold
    gate: float  # worst test result that is published: accuracy (classifier) or RMSE (regressor)
    margin: float  # by how much it may be worse than the published version's, where chance explains as much

    def __post_init__(self) -> None:
        for name in ("learning_rate", "batch_size", "epochs", "patience", "members", "bins"):
            if not 0 < getattr(self, name) < math.inf:  # so put, it refuses NaN too
                raise ConfigError(f"{name} must be a number above 0, got {getattr(self, name)}")
        if not math.isfinite(self.gate):  # nothing would pass NaN, or everything
            raise ConfigError(f"gate must be a finite number, got {self.gate}")
        for name in ("l1", "l2", "max_norm", "clip_norm", "clip_value", "neighbours", "margin"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be a number from 0 up, got {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be at least 0 and less than 1, got {self.dropout}")
        choices = {
            "activation": ACTIVATIONS,
            "initializer": INITIALIZERS,
            "optimizer": OPTIMIZERS,
            "schedule": SCHEDULES,
        }
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
    initializer="glorot_uniform",
    batch_norm=False,
    dropout=0.0,
    l1=0.0,
    l2=0.0,
    max_norm=0.0,
    members=1,
    bins=1,
    neighbours=0,
    optimizer="adam",
    learning_rate=2e-3,
    clip_norm=0.0,
    clip_value=0.0,
    schedule="cosine",  # six epochs reach what a constant rate does not in eight
    batch_size=256,
    epochs=6,
    patience=3,
    validation_share=0.08,  # 4,800 of 60,000
    calibration_share=0.08,  # coverage then varies by 0.4 points between calibrations
    level=0.9,
    gate=0.87,
    margin=0.01,  # twice and more what seeds differ by
)
_HOUSING_QUICK = TrainingConfig(
    model="mlp",
    hidden_units=(128,),
    activation="relu",
    initializer="glorot_uniform",
    batch_norm=False,
    dropout=0.0,
    l1=0.0,
    l2=0.0,
    max_norm=0.0,
    members=1,
    bins=1,
    neighbours=0,
    optimizer="adam",
    learning_rate=1e-2,
    clip_norm=0.0,
    clip_value=0.0,
    schedule="cosine",
    batch_size=128,
    epochs=30,
    patience=10,
    validation_share=0.08,  # with a fifth held out for test: 64/16/20, where calibration takes
    calibration_share=0.12,  # most of the 16, for intervals that hold: 1,981 rows
    level=0.9,
    gate=0.62,
    margin=0.02,  # likewise: four seeds lie within 0.011
)
PRESETS: Mapping[str, Mapping[str, TrainingConfig]] = MappingProxyType(
    {
        "fashion": {
            "quick": _FASHION_QUICK,
            "default": dataclasses.replace(
                _FASHION_QUICK,
                model="deep_mlp",
                hidden_units=(400, 200, 100),
                activation="silu",
                initializer="he_normal",
                batch_norm=True,
                dropout=0.2,
                optimizer="nadam",
                learning_rate=5e-3,
                schedule="1cycle",
                epochs=14,
                patience=14,
                gate=0.885,
            ),
        },
        "housing": {
            "quick": _HOUSING_QUICK,
            "default": dataclasses.replace(
                _HOUSING_QUICK,
                model="tabm",
                hidden_units=(256, 256, 256),
                members=8,
                bins=48,
                neighbours=8,
                optimizer="adamw",
                clip_norm=1.0,
                learning_rate=1e-3,  # without dropout: a tenth of it costs 0.015, a fifth 0.08
                batch_size=256,
                epochs=16,
                patience=16,
                gate=0.47,
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
    if hint is bool:
        return _parse_bool(setting, field, text)
    is_list = hint not in (str, int, float)
    scalar = get_args(hint)[0] if is_list else hint
    try:
        return tuple(scalar(item) for item in text.split(",")) if is_list else scalar(text)
    except ValueError:
        kind = {str: "text", int: "a whole number", float: "a number"}[scalar]
        wanted = f"{kind}, or several with commas between" if is_list else kind
        raise ConfigError(f"--set {setting}: {field} must be {wanted}, got {text!r}") from None


def _parse_bool(setting: str, field: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise ConfigError(f"--set {setting}: {field} must be true or false, got {text!r}")
    return text == "true"


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
