"""Where a regressor errs: its residuals on the map that the data's own coordinates draw."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.report.svg import Scale, chart, dots, element, text

Places = npt.NDArray[Any]  # (n, 2): latitude, longitude

# Classes of residuals, in root mean square errors: what is ordinary stays grey.
_STEPS = (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0)
_PADDING = 12


@dataclass(frozen=True)
class Residuals:
    """Errors (estimate minus truth) of test rows, where these are, and where all training rows are."""

    errors: npt.NDArray[np.float64]  # (n,)
    places: Places
    background: Places


def residual_map(title: str, residuals: Residuals, inside: npt.NDArray[np.bool_], height: float) -> str:
    """The test rows of a part of the map, coloured by how far and to which side the estimate is off."""
    errors, places = residuals.errors[inside], residuals.places[inside]
    rmse = float(np.sqrt(np.mean(residuals.errors**2)))
    x, y, width = _projection(places, height)
    low, high = places.min(axis=0), places.max(axis=0)
    around = np.all((residuals.background >= low) & (residuals.background <= high), axis=1)
    steps = np.digitize(errors / rmse, _STEPS)
    parts = [_dots(residuals.background[around], x, y, "ground")]
    # The ordinary first, so that the extraordinary lies on top.
    parts += [_dots(places[steps == i], x, y, f"residual-{i}") for i in (3, 2, 4, 1, 5, 0, 6)]
    described = (
        f"{len(errors)} test rows; mean error {errors.mean():+.3f}, root mean square error "
        f"{np.sqrt(np.mean(errors**2)):.3f}."
    )
    return chart(title, described, *parts, width=width, height=height)


def residual_legend(rmse: float, unit: str) -> str:
    """What the colours mean."""
    swatch, width = 68, 68 * 7 + 2
    parts = [
        element("rect", x=1 + i * swatch, y=4, width=swatch - 2, height=12, rx=3, class_=f"residual-{i}")
        for i in range(len(_STEPS) + 1)
    ]
    parts += [text(f"{step * rmse:+.2f}", (i + 1) * swatch, 32, class_="tick middle") for i, step in enumerate(_STEPS)]
    parts += [text("too low", 1, 50, class_="label"), text("too high", width - 1, 50, class_="label end")]
    parts += [text(unit, width / 2, 50, class_="tick middle")]
    return chart(
        "Estimate minus truth", "Blue: the estimate is too low. Orange: too high.", *parts, width=width, height=56
    )


def _projection(places: Places, height: float) -> tuple[Scale, Scale, float]:
    """A degree of longitude is shorter than one of latitude, by the cosine of the latitude."""
    (south, west), (north, east) = places.min(axis=0), places.max(axis=0)
    middle = np.cos(np.radians((south + north) / 2))
    width = 2 * _PADDING + (height - 2 * _PADDING) * (east - west) * middle / (north - south)
    x = Scale(float(west), float(east), _PADDING, float(width) - _PADDING)
    return x, Scale(float(south), float(north), height - _PADDING, _PADDING), float(width)


def _dots(places: Places, x: Scale, y: Scale, class_: str) -> str:
    return dots(((x(float(east)), y(float(north))) for north, east in places), class_)
