"""The figures' names as a reader knows them, and how each is written."""

from collections.abc import Mapping
from types import MappingProxyType

from training.estimate import Estimate
from training.report.svg import percent, plain_number

# name -> (what a reader calls it, is it a share)
_WORDS: Mapping[str, tuple[str, bool]] = MappingProxyType(
    {
        "accuracy": ("Accuracy", True),
        "loss": ("Log loss", False),
        "ece": ("Calibration error", True),
        "rmse": ("RMSE", False),
        "mae": ("MAE", False),
        "r2": ("R²", False),
        "rmse_uncapped": ("RMSE, uncapped", False),
        "coverage": ("Coverage", True),
        "mean_set_size": ("Classes in a set", False),
        "mean_interval_width": ("Interval width", False),
        "out_of_domain": ("Out of domain", True),
    }
)

OF_CALIBRATION_ERROR = (
    "The calibration error's interval holds the model's own error, by what chance can do to each bin: "
    "chance alone makes much of what is seen."
)


def words_for(metric: str) -> str:
    """What a reader calls it."""
    return _WORDS[metric][0] if metric in _WORDS else metric.replace("_", " ")


def figure(metric: str, value: float) -> str:
    """Shares in per cent, to a tenth; the others to three decimals."""
    if metric in _WORDS and _WORDS[metric][1]:
        return percent(round(value, 3))
    return plain_number(round(value, 3))


def interval(metric: str, estimate: Estimate) -> str:
    """From where to where."""
    low, high = figure(metric, estimate.low), figure(metric, estimate.high)
    return f"{low.removesuffix(' %')}–{high}" if estimate.low >= 0 else f"{low} to {high}"
