"""How often what came: a histogram of few values."""

from collections.abc import Mapping

from training.report.svg import Scale, chart, element, line, text

_WIDTH, _ROW, _LEFT, _RIGHT = 480, 30, 96, 110


def bars(title: str, counts: Mapping[str, int]) -> str:
    """One bar a name, with its count and share."""
    total = sum(counts.values())
    x = Scale(0, max(counts.values()), _LEFT, _WIDTH - _RIGHT)
    parts = []
    for i, (name, count) in enumerate(counts.items()):
        y = 6 + i * _ROW
        parts += [
            text(name, _LEFT - 10, y + 17, class_="tick end"),
            element("rect", x=_LEFT, y=y + 3, width=x(count) - _LEFT, height=_ROW - 10, rx=3, class_="bar"),
            text(f"{count:,} · {count / total:.1%}", x(count) + 8, y + 17, class_="tick number"),
        ]
    height = 6 + _ROW * len(counts)
    described = "; ".join(f"{name}: {count}" for name, count in counts.items())
    return chart(title, f"{described}.", *parts, line(_LEFT, 2, _LEFT, height, "axis"), width=_WIDTH, height=height + 4)
