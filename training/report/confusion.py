"""Who is taken for whom: the confusion matrix as a picture."""

from collections.abc import Sequence
from html import escape

from training.report.svg import chart, element, text

_CELL, _LEFT, _TOP = 46, 96, 84


def confusion_matrix(confusion: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """True classes down, predicted classes across."""
    worst = max((count for i, row in enumerate(confusion) for j, count in enumerate(row) if i != j), default=0)
    size = len(names) * _CELL
    parts = [_column(j, name) for j, name in enumerate(names)]
    for i, (name, row) in enumerate(zip(names, confusion, strict=True)):
        parts.append(text(name, _LEFT - 8, _TOP + (i + 0.5) * _CELL + 4, class_="tick end"))
        for j, count in enumerate(row):
            # Hits are shaded by their share of the row, misses by the worst: beside the hits no miss would show.
            shade = count / max(sum(row) if i == j else worst, 1)
            parts.append(_cell(i, j, count, shade, f"{name} taken for {names[j]}: {count} of {sum(row)}"))
    parts.append(text("predicted →", _LEFT - 8, _TOP - 26, class_="label end"))
    parts.append(text("true ↓", _LEFT - 8, _TOP - 8, class_="label end"))
    return chart(
        "Confusion matrix",
        f"Test rows by true class, down, and predicted class, across. {_worst_pair(confusion, names)}",
        *parts,
        width=_LEFT + size + 40,  # the last name leans out
        height=_TOP + size + 4,
    )


def _column(j: int, name: str) -> str:
    x, y = _LEFT + (j + 0.5) * _CELL, _TOP - 8
    return text(name, x, y, class_="tick", transform=f"rotate(-40 {x:.1f} {y})")


def _cell(i: int, j: int, count: int, shade: float, words: str) -> str:
    box = {"x": _LEFT + j * _CELL + 1, "y": _TOP + i * _CELL + 1, "width": _CELL - 2, "height": _CELL - 2, "rx": 4}
    parts = [
        element("title", escape(words)),
        element("rect", **box, class_="cell"),
        element("rect", **box, class_="hit" if i == j else "miss", fill_opacity=f"{shade:.2f}"),
    ]
    if count:
        strong = "strong" if shade > 0.55 else ""
        middle = _LEFT + (j + 0.5) * _CELL, _TOP + (i + 0.5) * _CELL + 4
        parts.append(text(str(count), *middle, class_=f"count middle {strong}"))
    return element("g", *parts)


def _worst_pair(confusion: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    pairs = [(count, i, j) for i, row in enumerate(confusion) for j, count in enumerate(row) if i != j and count]
    if not pairs:
        return "There is no mistake."
    count, i, j = max(pairs)
    return f"Most often {names[i]} is taken for {names[j]}: {count} times."
