"""Estimates against the truth: thousands of rows as a cloud."""

from typing import Any

import numpy as np
import numpy.typing as npt

from training.report.svg import axes, chart, dots, frame, legend, line

_WIDTH, _HEIGHT = 480, 460
_GRID = 4.0  # units of the chart: rows that fall on the same spot make it darker
_CROWDS = (1, 2, 4, 8)  # rows on a spot, from


def estimates_against_truth(truth: npt.NDArray[Any], estimates: npt.NDArray[Any], unit: str) -> str:
    """Truth (n,) across, estimates (n,) up; on the diagonal they agree."""
    low, high = float(min(truth.min(), estimates.min(), 0)), float(max(truth.max(), estimates.max()))
    x, y = frame((low, high), (low, high), width=_WIDTH, height=_HEIGHT)
    spots = [(_snap(x(float(t))), _snap(y(float(e)))) for t, e in zip(truth, estimates, strict=True)]
    unique, rows = np.unique(np.array(spots), axis=0, return_counts=True)
    crowd = np.digitize(rows, _CROWDS)
    parts = [dots(unique[crowd == i].tolist(), f"crowd-{i}") for i in range(1, len(_CROWDS) + 1)]
    return chart(
        "Estimates against the truth",
        f"{len(truth)} test rows. Their correlation is {np.corrcoef(truth, estimates)[0, 1]:.3f}.",
        axes(x, y, f"truth, {unit}", f"estimate, {unit}"),
        *parts,
        line(x(low), y(low), x(high), y(high), "reference"),
        legend([("reference", "as it is")], x.start, y.end - 14),
        width=_WIDTH,
        height=_HEIGHT,
    )


def _snap(position: float) -> float:
    return round(position / _GRID) * _GRID
