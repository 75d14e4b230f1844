"""What a thread is doing, as a trace sees it. Knows neither transport nor exporter, so any part may use it."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Literal, Protocol

# An internal span is work of ours, a client span a call to somebody else.
Kind = Literal["internal", "client"]
Attributes = Mapping[str, str | int | float]


class Span(Protocol):
    """One piece of work, from its beginning to its end."""

    @property
    def trace_id(self) -> str:
        """32 hex digits; empty where there is no trace."""

    def carried(self) -> tuple[tuple[str, str], ...]:
        """The headers (W3C Trace Context) that tell whoever is called that it works for this."""

    def child(self, name: str, kind: Kind) -> AbstractContextManager["Span"]:
        """A piece of this work; failed where an exception leaves it."""

    def note(self, attributes: Attributes) -> None:
        """What is worth knowing of it."""

    def fail(self, reason: str) -> None:
        """It did not do what it should."""


class Untraced:
    """No span: nobody asked for a trace. A Span."""

    trace_id = ""

    def carried(self) -> tuple[tuple[str, str], ...]:
        """Nothing."""
        return ()

    def child(self, _name: str, _kind: Kind) -> AbstractContextManager[Span]:
        """Itself."""
        return nullcontext(self)

    def note(self, attributes: Attributes) -> None:
        """Nobody would read it."""

    def fail(self, reason: str) -> None:
        """Nor that."""


UNTRACED = Untraced()
_current: ContextVar[Span] = ContextVar("span", default=UNTRACED)


def current() -> Span:
    """The span of what this thread is doing."""
    return _current.get()


@contextmanager
def inside(span: Span) -> Iterator[Span]:
    """Make it the current one."""
    before = _current.set(span)
    try:
        yield span
    finally:
        _current.reset(before)


@contextmanager
def child(name: str, kind: Kind = "internal") -> Iterator[Span]:
    """A piece of the current span, which is the current one meanwhile."""
    with current().child(name, kind) as span, inside(span):
        yield span
