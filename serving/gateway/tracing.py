"""Traces that clients bring along (W3C Trace Context): passed on to the model server, and exported where configured.

Exporting is OpenTelemetry's, under its standard OTEL_ variables, and needs the extra `tracing`; see otel.py.
"""

import importlib.util
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from serving.environment import SettingError
from serving.gateway.spans import UNTRACED, Attributes, Kind, Span

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PACKAGES = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http")

# version-trace-parent-flags; ff and zeros alone are invalid, and later versions may go on after the flags.
TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.{0,64})?")
MAX_TRACESTATE = 512  # the characters that everybody must pass on

# A header's value by its name, or None.
Header = Callable[[str], str | None]


class Tracing(Protocol):
    """Where the spans of a process go."""

    def request(self, name: str, header: Header) -> AbstractContextManager[Span]:
        """The span of a request, continuing the client's trace if it has one."""

    def close(self) -> None:
        """Send what is not sent yet."""


@dataclass(frozen=True)
class PassedOn:
    """The client's own span, seen from here: nothing of ours is recorded. A Span."""

    trace_id: str
    headers: tuple[tuple[str, str], ...]

    def carried(self) -> tuple[tuple[str, str], ...]:
        """As they came: whoever is called works for the client's span."""
        return self.headers

    def child(self, _name: str, _kind: Kind) -> AbstractContextManager[Span]:
        """Itself."""
        return nullcontext(self)

    def note(self, attributes: Attributes) -> None:
        """Nobody would read it."""

    def fail(self, reason: str) -> None:
        """Nor that."""


class PassingOn:
    """A Tracing that exports nothing."""

    def request(self, _name: str, header: Header) -> AbstractContextManager[Span]:
        """The client's span, or none."""
        return nullcontext(passed_on(header))

    def close(self) -> None:
        """There is nothing to send."""


def passed_on(header: Header) -> Span:
    """The span that a client's headers name; none where they are missing or malformed."""
    traceparent = header("traceparent") or ""
    match = TRACEPARENT.fullmatch(traceparent)
    if match is None or (traceparent.startswith("00") and len(traceparent) > len("00-") + 32 + 1 + 16 + len("-00")):
        return UNTRACED
    tracestate = header("tracestate") or ""
    is_kept = 0 < len(tracestate) <= MAX_TRACESTATE and tracestate.isascii() and tracestate.isprintable()
    state = (("tracestate", tracestate),) if is_kept else ()
    return PassedOn(match[1], (("traceparent", traceparent), *state))


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Whether spans are to be exported."""
    is_disabled = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return any(environ.get(name) for name in ENDPOINTS) and not is_disabled


def check_packages(environ: Mapping[str, str]) -> None:
    """Refuse to start where spans are to be exported and cannot be."""
    if is_wanted(environ) and not all(map(_is_installed, PACKAGES)):
        names = " or ".join(name for name in ENDPOINTS if environ.get(name))
        raise SettingError(f"{names}: exporting traces needs the extra `tracing`, which is not installed")


def open_tracing(environ: Mapping[str, str]) -> Tracing:
    """As the environment says. Call it after a fork: an exporter has a thread."""
    if not is_wanted(environ):
        return PassingOn()
    from serving.gateway.otel import Exporting  # the packages are optional

    return Exporting(environ)


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # not even its parent
        return False
