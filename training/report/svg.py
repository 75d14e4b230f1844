"""Pieces of SVG: elements, scales, axes. Colours are CSS classes: light and dark are the style sheet's affair."""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape

Format = Callable[[float], str]

WIDTH, HEIGHT = 480, 300  # of a chart, in its own units; the page scales it
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 34, 46  # room for ticks and labels, and for a legend at the top


@dataclass(frozen=True)
class Scale:
    """A range of the data on a range of the chart, linearly."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where the value lies on the chart."""
        span = (self.high - self.low) or 1.0
        return self.start + (value - self.low) / span * (self.end - self.start)

    def ticks(self, about: int = 5) -> list[float]:
        """Round numbers inside the range: steps of 1, 2 or 5 times a power of ten."""
        rough = ((self.high - self.low) or 1.0) / about
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [i * step for i in range(first, last + 1)]


def plain_number(value: float) -> str:
    """0.25, 3, 12000: no more digits than the number needs."""
    return f"{value:.6g}"


def percent(value: float) -> str:
    """0.9 as 90 %."""
    return f"{value * 100:.6g} %"


def element(tag: str, *content: str, **attributes: object) -> str:
    """A tag around content that is markup already; class_ is class, stroke_width is stroke-width."""
    words = "".join(f' {_name(name)}="{escape(_value(value))}"' for name, value in attributes.items())
    return f"<{tag}{words}>{''.join(content)}</{tag}>"


def text(words: str, x: float, y: float, **attributes: object) -> str:
    """A line of words at a place."""
    return element("text", escape(words), x=x, y=y, **attributes)


def chart(title: str, description: str, *parts: str, width: float = WIDTH, height: float = HEIGHT) -> str:
    """A whole picture, with a name and a description for those who cannot see it."""
    key = re.sub(r"\W+", "-", title.lower())
    picture = element(
        "svg",
        element("title", escape(title), id=f"{key}-title"),
        element("desc", escape(description), id=f"{key}-desc"),
        *parts,
        viewBox=f"0 0 {_value(width)} {_value(height)}",
        role="img",
        aria_labelledby=f"{key}-title",
        aria_describedby=f"{key}-desc",
    )
    return element("figure", element("figcaption", escape(title)), picture, class_="chart")


def frame(
    x: tuple[float, float], y: tuple[float, float], *, width: float = WIDTH, height: float = HEIGHT
) -> tuple[Scale, Scale]:
    """The scales of a chart with axes to the left and below."""
    return Scale(*x, _LEFT, width - _RIGHT), Scale(*y, height - _BOTTOM, _TOP)


def axes(
    x: Scale, y: Scale, x_label: str, y_label: str, *, x_format: Format = plain_number, y_format: Format = plain_number
) -> str:
    """Grid lines, ticks and what they count."""
    middle_x, middle_y = (x.start + x.end) / 2, (y.start + y.end) / 2
    parts = [line(x.start, y(tick), x.end, y(tick), "grid") for tick in y.ticks()]
    parts += [text(y_format(tick), x.start - 8, y(tick) + 4, class_="tick end") for tick in y.ticks()]
    parts += [text(x_format(tick), x(tick), y.start + 18, class_="tick middle") for tick in x.ticks(6)]
    parts += [line(x.start, y.start, x.end, y.start, "axis")]
    parts += [text(x_label, middle_x, y.start + 38, class_="label middle")]
    turned = f"rotate(-90 14 {_value(middle_y)})"
    parts += [text(y_label, 14, middle_y, class_="label middle", transform=turned)]
    return "".join(parts)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def dots(points: Iterable[tuple[float, float]], class_: str) -> str:
    """Many round dots as one path: lines of no length with round ends; the style sheet gives their width."""
    unique = dict.fromkeys(f"M{_value(x)} {_value(y)}h0" for x, y in points)
    return element("path", d="".join(unique), class_=f"dots {class_}")


def legend(entries: Iterable[tuple[str, str]], x: float, y: float) -> str:
    """A row of (class, words), each after a swatch."""
    parts, at = [], x
    for class_, words in entries:
        parts.append(line(at, y - 4, at + 16, y - 4, class_) + text(words, at + 22, y, class_="tick"))
        at += 22 + 7 * len(words) + 18  # as wide as the letters, roughly
    return "".join(parts)


def _name(name: str) -> str:
    return name if name == "viewBox" else name.rstrip("_").replace("_", "-")


def _value(value: object) -> str:
    """Tenths of a unit are finer than any screen."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
