"""Expected calibration error, and between which bounds a model's own error lies when so many rows show so much.

The mean of absolute gaps is never below 0, so chance alone makes an error, and resampling makes it again: bootstrap
intervals of it miss what is true, of a calibrated model always. The bounds here follow from what chance can do to a
bin, whatever the true gaps are:

    |gap seen| <= |true gap| + |noise|     so the error is at least what is seen less what noise alone comes to
    E |true gap + noise| >= |true gap|     so on average more is seen than is true, and only chance can hide some
"""

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from training.bootstrap import LEVEL, Interval
from training.row_figures import Figures

CALIBRATION_BINS = 15  # as Guo et al. 2017 have it

_DEVIATIONS = NormalDist().inv_cdf((1 + LEVEL) / 2)  # to either side: 1.96
# Of the absolute value of a standard normal variable.
_MEAN, _DEVIATION = math.sqrt(2 / math.pi), math.sqrt(1 - 2 / math.pi)


def equal_mass_bins(rows: int) -> npt.NDArray[np.intp]:
    """Where each of the bins begins when so many rows, in the order of their confidence, are dealt out evenly."""
    return np.unique(np.arange(CALIBRATION_BINS) * rows // CALIBRATION_BINS)


def calibration_error(figures: Figures) -> npt.NDArray[np.float64]:
    """How far the stated probability of the top class is from its share of hits: the mean over bins of equal mass.

    Columns (..., n) -> (...).
    """
    gaps = _gaps(figures)
    bins = np.add.reduceat(gaps, equal_mass_bins(gaps.shape[-1]), axis=-1)
    error: npt.NDArray[np.float64] = np.abs(bins).sum(axis=-1) / gaps.shape[-1]
    return error


def calibration_interval(figures: Figures) -> Interval:
    """Bounds of the error that these bins have over all rows like these. Columns (n,)."""
    gaps, rows = _gaps(figures), len(figures["confidence"])
    bins, error = equal_mass_bins(rows), float(calibration_error(figures))
    sums, counts = np.add.reduceat(gaps, bins), np.diff([*bins, rows])
    shown = np.add.reduceat(gaps**2, bins) - sums**2 / counts
    # A bin of hits alone shows hardly any variance: what it states of itself, p (1 - p) a row, is more.
    confidence = np.sort(figures["confidence"])
    stated = np.add.reduceat(confidence * (1 - confidence), bins)
    noise = np.sqrt(np.maximum(0, np.maximum(shown, stated))) / rows  # the standard deviation of each bin's share
    together = float(np.linalg.norm(noise))
    low = error - _MEAN * float(noise.sum()) - _DEVIATIONS * _DEVIATION * together
    return max(0.0, low), min(1.0, error + _DEVIATIONS * together)


def _gaps(figures: Figures) -> npt.NDArray[np.float64]:
    """Stated less happened, row by row, in the order of confidence."""
    confidence = figures["confidence"]
    order = np.argsort(confidence, axis=-1, kind="stable")
    return np.take_along_axis(confidence - figures["hit"], order, axis=-1)
