"""Tables of the page."""

from collections.abc import Mapping, Sequence
from html import escape

from training.estimate import Estimate
from training.report.svg import element


def table(caption: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows of words and figures, the first of each its name; cells may be markup."""
    head = element("thead", element("tr", *(element("th", escape(header), scope="col") for header in headers)))
    body = [
        element("tr", element("th", name, scope="row"), *(element("td", cell) for cell in cells))
        for name, *cells in rows
    ]
    inner = element("caption", escape(caption)), head if headers else "", element("tbody", *body)
    return element("div", element("table", *inner), class_="scroll")


def facts(caption: str, values: Mapping[str, object]) -> str:
    """Names and what they are."""
    rows = [[escape(name), element("code", escape(str(value)))] for name, value in values.items()]
    return table(caption, [], rows)


def with_interval(estimate: Estimate, digits: int = 3) -> str:
    """A figure, and its interval in small."""
    interval = f"{estimate.low:.{digits}f}–{estimate.high:.{digits}f}"
    return f"{estimate.value:.{digits}f} {element('small', interval)}"
