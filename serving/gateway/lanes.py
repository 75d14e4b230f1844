"""Small calls go to the model server together, as in coalescing.py, but who waits for company holds no thread.

Whoever finds a lane free drives it: sends what waits there, tells each caller what became of it, and goes on until
nobody waits. Knows no transport.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from contextvars import Context
from dataclasses import dataclass

from serving.errors import DeadlineExceeded, ModelServerFault
from serving.gateway import phases
from serving.gateway.batches import cut, join
from serving.gateway.coalescing import Kind, Send
from serving.gateway.model_server import Tensor, Tensors
from serving.gateway.spans import Span, current

log = logging.getLogger(__name__)

Outcome = dict[str, Tensor] | Exception


@dataclass(eq=False)
class Rider:
    """One caller's rows."""

    inputs: Tensors
    rows: int
    expires: float  # on the lanes' clock
    context: Context  # the caller's own, in which whatever is done for it is done
    tell: Callable[[Outcome], None]
    waiting: AbstractContextManager[Span] | None = None

    def wait(self) -> None:
        """Its trace shows how long."""
        self.waiting = self.context.run(current).child("wait for the model server's other calls", "internal")
        self.waiting.__enter__()

    def depart(self, at: float) -> None:
        """Its rows go out now."""
        if self.waiting is not None:
            self.waiting.__exit__(None, None, None)
        self.context.run(phases.lap, "waiting", at)


class Lanes:
    """A lane for each kind of call, one batch at a time in each. The lock is held for moments, never during a call."""

    def __init__(
        self,
        max_rows: int,
        clock: Callable[[], float] = time.monotonic,
        observe: Callable[[Kind, int], None] = lambda _kind, _calls: None,
    ) -> None:
        """`max_rows`: most rows in one batch; no rider may have more. `observe` hears of the riders in each batch."""
        self._max_rows = max_rows
        self._clock = clock
        self._observe = observe
        self._lock = threading.Lock()
        self._lanes: dict[Kind, deque[Rider]] = {}  # those with a driver -> who waits

    def join(self, kind: Kind, rider: Rider, send: Send) -> None:
        """The rider is told its outcome: before this returns, or later by the thread that drives now."""
        rider.wait()
        with self._lock:
            if kind in self._lanes:
                self._lanes[kind].append(rider)
                return
            self._lanes[kind] = deque((rider,))
        while batch := self._next(kind):
            self._drive(kind, batch, send)

    def _next(self, kind: Kind) -> list[Rider]:
        """Who goes next, longest waiting first; where nobody waits, the lane is free again."""
        batch: list[Rider] = []
        rows = 0
        with self._lock:
            waiting = self._lanes[kind]
            while waiting and rows + waiting[0].rows <= self._max_rows:
                batch.append(waiting.popleft())
                rows += batch[-1].rows
            if not batch:
                del self._lanes[kind]
        return batch

    def _drive(self, kind: Kind, batch: list[Rider], send: Send) -> None:
        now, at = self._clock(), time.perf_counter()
        for rider in batch:
            rider.depart(at)
        in_time = [rider for rider in batch if rider.expires > now]
        for rider in batch:
            if rider.expires <= now:
                _tell(rider, DeadlineExceeded("the time for this request ran out while others were answered"))
        if in_time:
            self._observe(kind, len(in_time))
            for rider, outcome in zip(in_time, self._outcomes(in_time, send), strict=True):
                _tell(rider, outcome)

    def _outcomes(self, batch: list[Rider], send: Send) -> Sequence[Outcome]:
        outcomes = self._sent(batch, send)
        if len(batch) > 1 and any(isinstance(outcome, ModelServerFault) for outcome in outcomes):
            # Whose rows it was, nobody knows: the others must not suffer for them.
            return [self._sent([rider], send)[0] for rider in batch]
        return outcomes

    def _sent(self, batch: list[Rider], send: Send) -> Sequence[Outcome]:
        # Who has most time leads: a batch is then cut short for nobody.
        leader = max(batch, key=lambda rider: rider.expires)
        left_s = leader.expires - self._clock()
        if left_s <= 0:
            return [DeadlineExceeded("the time for this request ran out")] * len(batch)
        try:
            outputs = leader.context.run(send, join([rider.inputs for rider in batch]), left_s)
            return cut(outputs, [rider.rows for rider in batch])
        except Exception as error:  # noqa: BLE001 (told to whom it concerns)
            return [error] * len(batch)


def _tell(rider: Rider, outcome: Outcome) -> None:
    """A bug in hearing it must not end the driving."""
    try:
        rider.context.run(rider.tell, outcome)
    except Exception:
        log.exception("a caller could not be told its outcome")
