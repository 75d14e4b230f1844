"""Whether work may begin: no more at once than this process is meant for, and none that cannot end in time.

What is refused costs next to nothing, what begins ends: so under any load the process does about as much as it can.
Knows no transport.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from serving.errors import DeadlineExceeded, Overloaded

# Threads beyond those that work: to refuse with, and to answer probes, however much there is to do.
SPARE_THREADS = 8
# How far one new measurement moves the estimate. Good news is believed at once and bad news slowly: taking in too much
# costs an answer that comes too late, while a refusal without need is a failure that a client sees.
BETTER, WORSE = 0.5, 0.05

FULL = "the gateway has as many requests under way as it takes"
TOO_LATE = "the gateway has so much under way that the answer would come too late"


class Visit(NamedTuple):
    """One request's stay: from when, and how many were under way then, this one among them."""

    model: str
    began: float  # on the admission's clock
    company: int


class Admission:
    """Counts what is under way in this process, and remembers how long it takes."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`most`: requests under way at the same time."""
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._under_way = 0
        self._share_s: dict[str, float] = {}  # model -> seconds a request takes for each that is under way

    @property
    def is_full(self) -> bool:
        """Whether the next request would be refused, whatever its time."""
        return self._under_way >= self._most

    @contextmanager
    def admit(self, model: str, timeout_s: float) -> Iterator[None]:
        """One request's work.

        Raises:
            Overloaded: it must not begin.
        """
        visit = self.enter(model, timeout_s)
        try:
            yield
            self.learn(visit)
        except DeadlineExceeded:
            self.learn(visit, at_least=True)
            raise
        finally:
            self.leave()

    def enter(self, model: str, timeout_s: float) -> Visit:
        """A request's work begins; whoever enters must leave.

        Raises:
            Overloaded: it must not begin.
        """
        with self._lock:
            if self.is_full:
                raise Overloaded(FULL)
            # Where nothing is under way, something must be tried, or a bad estimate would stay for ever.
            if self._under_way and self._share_s.get(model, 0) * (self._under_way + 1) > timeout_s:
                raise Overloaded(TOO_LATE)
            self._under_way += 1
            return Visit(model, self._clock(), self._under_way)

    def leave(self) -> None:
        """One request's work is over."""
        with self._lock:
            self._under_way -= 1

    def learn(self, visit: Visit, *, at_least: bool = False) -> None:
        """The processors are shared: of n requests under way, each takes about n times what it would take alone.

        Args:
            at_least: it would have taken longer; and it may be of a model that there is not.
        """
        model, share_s = visit.model, (self._clock() - visit.began) / visit.company
        with self._lock:
            if at_least and share_s < self._share_s.get(model, math.inf):
                return
            known_s = self._share_s.get(model, share_s)
            weight = BETTER if share_s < known_s else WORSE
            self._share_s[model] = known_s + weight * (share_s - known_s)
