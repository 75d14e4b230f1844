"""Concurrent calls of one kind, sent as one: a group commit, as databases do it with their logs.

Nobody waits for company. A call goes out at once while fewer than MAX_IN_FLIGHT of its kind are under way; those that
come meanwhile wait for the first of these to end, and go out together. So a call waits for one other at most, as long
as all that wait fit in one batch (docs/adr/0006). Knows arrays and deadlines, but no wire and no contract.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.errors import DeadlineExceeded, ModelServerFault
from serving.gateway import phases, spans, turns
from serving.gateway.batches import cut, join
from serving.gateway.model_server import Tensor, Tensors

# Calls of one kind under way at a time, in one process.
MAX_IN_FLIGHT = 1

# What calls must share to go together: model, version, and more.
Kind = tuple[Any, ...]
# Sends one batch, given the seconds it may take.
Send = Callable[[Tensors, float], dict[str, Tensor]]


@dataclass(eq=False)
class Call:
    """One caller's rows, and how it stands with them."""

    inputs: Tensors
    rows: int
    expires: float  # on the coalescer's clock
    # When it goes out: whose rows go together, and which of these calls sends them.
    batch: "tuple[Call, ...]" = ()
    leader: "Call | None" = None
    sent_at: float = 0.0  # performance counter's seconds; of the first call of a batch
    outcome: dict[str, Tensor] | Exception | None = None
    # Set when it is to lead, or when another that led has its outcome.
    turn: threading.Event = field(default_factory=threading.Event)


@dataclass
class Lane:
    """The calls of one kind: how many are under way, and who waits."""

    in_flight: int = 0
    waiting: list[Call] = field(default_factory=list)


class Coalescer:
    """Used by many threads; the lock is held for moments, never during a call."""

    def __init__(
        self,
        max_rows: int,
        clock: Callable[[], float] = time.monotonic,
        observe: Callable[[Kind, int], None] = lambda _kind, _calls: None,
    ) -> None:
        """`max_rows`: most rows in one batch; no call may have more. `observe` hears of the calls in each batch."""
        self._observe = observe
        self._max_rows = max_rows
        self._clock = clock
        self._lock = threading.Lock()
        self._lanes: dict[Kind, Lane] = {}  # only those in use

    def run(self, kind: Kind, inputs: Tensors, rows: int, timeout_s: float, send: Send) -> dict[str, Tensor]:
        """The outputs for these rows, perhaps sent together with others of the same kind.

        Raises:
            DeadlineExceeded, or whatever `send` raises.
        """
        call = Call(inputs, rows, self._clock() + timeout_s)
        self._line_up(kind, call)
        with spans.child("wait for the model server's other calls"), turns.given_up():
            call.turn.wait(timeout_s)
        if not self._has_turn(kind, call):
            raise DeadlineExceeded("the time for this request ran out while others were answered")
        if call.leader is call:
            self._lead(kind, call.batch, send)
        phases.lap("waiting", call.batch[0].sent_at)
        if isinstance(call.outcome, ModelServerFault) and len(call.batch) > 1:
            # Whose rows it was, nobody knows: the others must not suffer for them.
            return send(inputs, self._left_s(call))
        if isinstance(call.outcome, Exception):
            raise call.outcome
        assert call.outcome is not None  # noqa: S101 (tells mypy what a turn means)
        return call.outcome

    def _line_up(self, kind: Kind, call: Call) -> None:
        """Go at once if there is room, else wait behind the others."""
        with self._lock:
            lane = self._lanes.setdefault(kind, Lane())
            lane.waiting.append(call)
            if lane.in_flight < MAX_IN_FLIGHT:
                lane.in_flight += 1
                self._send_off(lane)

    def _has_turn(self, kind: Kind, call: Call) -> bool:
        """False if the time ran out first; then the call is no longer waiting."""
        with self._lock:
            if call.leader is None:
                self._lanes[kind].waiting.remove(call)
                return False
            return call.turn.is_set()

    def _send_off(self, lane: Lane) -> None:
        """Make a batch of who waits longest, and wake the one to lead it. The lock is held."""
        batch: list[Call] = []
        rows = 0
        while lane.waiting and rows + lane.waiting[0].rows <= self._max_rows:
            batch.append(lane.waiting.pop(0))
            rows += batch[-1].rows
        # Who has most time leads: a batch is then cut short for nobody, and nobody is held beyond their own time.
        leader = max(batch, key=lambda call: call.expires)
        for call in batch:
            call.batch, call.leader = tuple(batch), leader
        leader.turn.set()

    def _lead(self, kind: Kind, batch: tuple[Call, ...], send: Send) -> None:
        """Send a batch, let the next one go, and give everybody their rows."""
        leader = batch[0].leader
        assert leader is not None  # noqa: S101 (as above)
        batch[0].sent_at = time.perf_counter()
        self._observe(kind, len(batch))
        outcomes: Sequence[dict[str, Tensor] | Exception]
        try:
            outputs = send(join([call.inputs for call in batch]), self._left_s(leader))
            outcomes = cut(outputs, [call.rows for call in batch])
        except Exception as error:  # noqa: BLE001 (raised again by every call of the batch)
            outcomes = [error] * len(batch)
        finally:
            self._next(kind)
        for call, outcome in zip(batch, outcomes, strict=True):
            call.outcome = outcome
            call.turn.set()

    def _next(self, kind: Kind) -> None:
        """A call has ended: who waits goes out in its place."""
        with self._lock:
            lane = self._lanes[kind]
            if lane.waiting:
                self._send_off(lane)
                return
            lane.in_flight -= 1
            if not lane.in_flight:
                del self._lanes[kind]

    def _left_s(self, call: Call) -> float:
        left = call.expires - self._clock()
        if left <= 0:
            raise DeadlineExceeded("the time for this request ran out")
        return left
