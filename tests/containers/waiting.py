"""Waiting for a condition, for as long as a busy machine may need."""

import time
from collections.abc import Callable


def wait_until(
    condition: Callable[[], bool], tell: Callable[[], str] = lambda: "waited in vain", timeout_s: float = 900
) -> None:
    """Return once it holds; fail with what `tell` says when the time is up."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, tell()
        time.sleep(0.3)
