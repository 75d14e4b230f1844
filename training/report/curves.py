"""How training went: the figures of each epoch, of training rows and of validation rows."""

import math
from collections.abc import Mapping, Sequence

from training.report.svg import Scale, axes, chart, element, frame, legend, text

_HELD_OUT = "val_"  # Keras's prefix


def training_curves(history: Mapping[str, Sequence[float]], kept_epoch: int) -> list[str]:
    """One chart a figure; the loss first, with the epoch whose weights were kept."""
    names = sorted((name for name in history if not name.startswith(_HELD_OUT)), key=lambda name: name != "loss")
    return [_chart(name, history[name], history.get(_HELD_OUT + name), kept_epoch) for name in names]


def _chart(name: str, fitted: Sequence[float], held_out: Sequence[float] | None, kept_epoch: int) -> str:
    values = [value for value in (*fitted, *(held_out or ())) if math.isfinite(value)]
    low, high = min(values), max(values)
    room = (high - low) * 0.08 or 0.1
    x, y = frame((1, max(2, len(fitted))), (low - room, high + room))
    words = name.replace("_", " ")
    parts = [axes(x, y, "epoch", words), _line(fitted, x, y, "series-1")]
    entries = [("series-1", "training rows")]
    description = f"From {fitted[0]:.4g} in the first epoch to {fitted[-1]:.4g} in epoch {len(fitted)}"
    if held_out:
        parts += [_line(held_out, x, y, "series-2"), _mark(kept_epoch, held_out, x, y) if name == "loss" else ""]
        entries += [("series-2", "validation rows")]
        description += f"; on validation rows from {held_out[0]:.4g} to {held_out[-1]:.4g}"
    return chart(f"{words} by epoch", f"{description}.", *parts, legend(entries, x.start, y.end - 14))


def _line(values: Sequence[float], x: Scale, y: Scale, class_: str) -> str:
    points = " ".join(f"{x(epoch):.1f},{y(value):.1f}" for epoch, value in enumerate(values, start=1))
    return element("polyline", points=points, class_=class_)


def _mark(epoch: int, values: Sequence[float], x: Scale, y: Scale) -> str:
    value = values[epoch - 1]
    words = text(f"kept: epoch {epoch}, {value:.4g}", x.end, y.end - 14, class_="tick end")
    return element("circle", cx=x(epoch), cy=y(value), r=4, class_="mark") + words
