"""Does 0.8 mean eight times in ten? The reliability diagram."""

import math
from collections.abc import Sequence

from training.classes import ReliabilityBin
from training.report.svg import axes, chart, element, frame, legend, line

_WIDTH, _HEIGHT = 480, 460


def reliability_diagram(bins: Sequence[ReliabilityBin], error: float) -> str:
    """Stated probability of the top class against its share of hits, bins of equal mass, with 95 % of chance."""
    low = math.floor(min(min(b.confidence, b.accuracy) for b in bins) * 10) / 10
    x, y = frame((low, 1), (low, 1), width=_WIDTH, height=_HEIGHT)
    parts = [axes(x, y, "stated probability", "share of hits"), line(x(low), y(low), x(1), y(1), "reference")]
    for b in bins:
        half = 1.96 * math.sqrt(b.accuracy * (1 - b.accuracy) / b.rows)
        ends = max(low, b.accuracy - half), min(1.0, b.accuracy + half)
        parts.append(line(x(b.confidence), y(ends[0]), x(b.confidence), y(ends[1]), "whisker"))
        parts.append(element("circle", cx=x(b.confidence), cy=y(b.accuracy), r=4.5, class_="mark"))
    parts.append(legend([("reference", "as stated")], x.start, y.end - 14))
    return chart(
        "Reliability diagram",
        f"{len(bins)} bins of equal mass. The mean distance from the diagonal, the calibration error, is {error:.4f}.",
        *parts,
        width=_WIDTH,
        height=_HEIGHT,
    )
