"""The page's building blocks: sections, columns, tiles."""

from html import escape

from training.report.svg import element


def section(title: str, words: str, *content: str) -> str:
    """A headed part of the page."""
    return element("section", element("h2", escape(title)), element("p", escape(words)), *content)


def beside(*parts: str) -> str:
    """Things that stand side by side where there is room."""
    return element("div", *(element("div", part, class_="card") for part in parts if part), class_="columns")


def tile(name: str, value: str, small: str) -> str:
    """One figure, large."""
    words = element("span", escape(name)), element("strong", escape(value)), element("small", escape(small))
    return element("div", *words, class_="tile")


def aside(words: str) -> str:
    """A remark."""
    return element("p", escape(words), class_="aside")
