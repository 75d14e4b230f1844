"""Where the time of a request goes: each phase from the end of the one before, so that they add up. Knows no transport.

A thread that answers no request (a watch, checking goldens) has no phases, and its laps are nobody's.
"""

import time
from contextvars import ContextVar
from typing import Literal, get_args

# Validation is all from the arrival to the model's tensors, encoding all from its outputs to the answer. Waiting is for
# a thread, and for the calls to the model server before ours.
Phase = Literal["validation", "waiting", "model_server", "encoding"]
PHASES: tuple[Phase, ...] = get_args(Phase)


class Laps:
    """One request's."""

    def __init__(self, waited_s: float) -> None:
        self.seconds: dict[Phase, float] = {"waiting": waited_s}
        self.last = time.perf_counter()


_laps: ContextVar[Laps | None] = ContextVar("laps", default=None)


def begin(waited_s: float = 0.0) -> None:
    """This thread begins a request, which has waited for it so long."""
    _laps.set(Laps(waited_s))


def lap(phase: Phase, at: float | None = None) -> None:
    """What went on until now, or until that time of the performance counter, was this."""
    laps = _laps.get()
    if laps is not None:
        now = time.perf_counter() if at is None else at
        laps.seconds[phase] = laps.seconds.get(phase, 0.0) + now - laps.last
        laps.last = now


def end() -> dict[Phase, float]:
    """The request is answered: seconds by phase, none if none began."""
    lap("encoding")
    laps = _laps.get()
    _laps.set(None)
    return laps.seconds if laps else {}
