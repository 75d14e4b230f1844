"""Few threads compute at a time: those that answer requests take turns, and give theirs up while they wait for others.

The interpreter runs one thread at a time anyway. But where thirty want to, each system call of the worker's loop, which
receives, sends and refuses, waits for many of them: under overload it could not even refuse in time (ADR 10).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue

# More than one, since decoding a picture lets others run meanwhile.
MOST = 2

_free: SimpleQueue[None] = SimpleQueue()
for _ in range(MOST):
    _free.put(None)
_thread = threading.local()


@contextmanager
def taken() -> Iterator[None]:
    """Compute only when it is this thread's turn."""
    _free.get()
    _thread.has_turn = True
    try:
        yield
    finally:
        _thread.has_turn = False
        _free.put(None)


@contextmanager
def given_up() -> Iterator[None]:
    """Wait for something: whoever has a turn lets another compute meanwhile."""
    if not getattr(_thread, "has_turn", False):
        yield
        return
    _free.put(None)
    try:
        yield
    finally:
        _free.get()
