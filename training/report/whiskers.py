"""Figures side by side, each a dot with its interval: where parts of the data fare better or worse than the whole."""

from collections.abc import Sequence

from training.estimate import Estimate
from training.report.svg import WIDTH, Format, Scale, chart, element, line, plain_number, text

_ROW, _TOP, _RIGHT = 30, 26, 62


def whiskers(
    title: str,
    rows: Sequence[tuple[str, Estimate]],
    reference: float,
    reference_words: str,
    *,
    value_format: Format = plain_number,
) -> str:
    """One line a name: the figure, its 95 % interval, and a vertical line that all are held against."""
    left = 16 + 6.3 * max(len(name) for name, _ in rows)
    ends = [end for _, estimate in rows for end in (estimate.low, estimate.high)] + [reference]
    room = (max(ends) - min(ends)) * 0.06 or 0.01
    x = Scale(min(ends) - room, max(ends) + room, left, WIDTH - _RIGHT)
    bottom = _TOP + _ROW * len(rows)
    parts = [line(x(tick), _TOP, x(tick), bottom, "grid") for tick in x.ticks(4)]
    parts += [text(value_format(tick), x(tick), bottom + 18, class_="tick middle") for tick in x.ticks(4)]
    parts += [line(x(reference), _TOP - 4, x(reference), bottom, "reference")]
    parts += [text(reference_words, x(reference), _TOP - 10, class_="tick middle")]
    for i, (name, estimate) in enumerate(rows):
        parts += _line(name, estimate, _TOP + (i + 0.5) * _ROW, x, value_format)
    described = "; ".join(f"{name}: {value_format(estimate.value)}" for name, estimate in rows)
    return chart(title, f"{described}. {reference_words}.", *parts, height=bottom + 26)


def _line(name: str, estimate: Estimate, y: float, x: Scale, value_format: Format) -> list[str]:
    return [
        text(name, x.start - 10, y + 4, class_="tick end"),
        line(x(estimate.low), y, x(estimate.high), y, "whisker"),
        element("circle", cx=x(estimate.value), cy=y, r=4.5, class_="mark"),
        text(value_format(estimate.value), WIDTH - 4, y + 4, class_="tick end number"),
    ]
