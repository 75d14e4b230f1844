"""Ordinary predictions, answered by a door's own loop: no thread for any of them, and many in one call (ADR 12).

The lane is fast and knows no words: whatever fails or comes late, its door has explained elsewhere. All that a turn of
the loop brings, and all that comes while a call of the same version is under way, goes to the model server as one call
(ADR 6), or beside it once it is enough. When a call ends, the next may wait a moment for those who were answered
(ADR 18). Knows no transport.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from serving.errors import DeadlineExceeded, ServingError
from serving.gateway.company import Company
from serving.gateway.lane_calls import Line, Passage, Trip, depart, set_off
from serving.gateway.metrics import AnsweredSeries
from serving.gateway.model_server import Tensors, VersionGone
from serving.gateway.outputs import Outputs, check_outputs
from serving.gateway.parts import Parts
from serving.gateway.phases import Phase
from serving.gateway.predictor import Offer
from serving.gateway.tracing import PassingOn

log = logging.getLogger(__name__)

# The loop must not be held long by one request: reading as much as this takes it a millisecond.
MAX_BODY_BYTES = 160 * 1024
MAX_ROWS = 64
# Rows of one call: more of them gain nothing more, and keep the others waiting (ADR 12).
MAX_BATCH = 512
# Who waits for the end of a call waits for company. So many rows are company enough, and go beside the call.
ENOUGH_ROWS = 128
MAX_CALLS = 2


class Door(Protocol):
    """What a lane needs of its door, whose loop is the only one to use the lane."""

    OK: str  # how the metrics call it that a request was answered

    def returning(self, trip: Trip, callback: Callable[[Trip], None]) -> Callable[[], None]:
        """What, called once from any thread, has the loop call back with the trip."""

    def encode(self, offer: Offer, passages: Sequence[Passage], outputs: Outputs) -> Sequence[Any]:
        """A reply to each of these, whose rows of the outputs come one after the other."""

    def send(self, offer: Offer, passages: Sequence[Passage], replies: Sequence[Any]) -> None:
        """Log and send them."""

    def explain(self, passage: Passage) -> None:
        """Have it answered, or told why not, elsewhere."""


def has_lane(parts: Parts) -> bool:
    """Whether requests may go together, and without spans of their own."""
    return parts.settings.coalesce and isinstance(parts.tracing, PassingOn)


class Lane:
    """One a loop."""

    def __init__(self, parts: Parts, door: Door, clock: Callable[[], float] = time.perf_counter) -> None:
        """`clock` is the one that arrivals are told by."""
        settings = parts.settings
        self.clock = clock
        self.max_rows = min(MAX_ROWS, settings.max_instances, settings.max_model_server_batch)
        self._parts, self._door = parts, door
        self._max_batch = min(MAX_BATCH, settings.max_model_server_batch)
        self._enough_rows = min(ENOUGH_ROWS, (self._max_batch + 1) // 2)
        self._lines: dict[tuple[str, int], Line] = {}
        self._due: dict[Line, None] = {}  # somebody goes there, at the end of this turn or when company is here
        self._passages: set[Passage] = set()
        self._entered = 0  # not counted yet
        self._earliest = float("inf")  # nobody's time ends before
        self._series: dict[tuple[str, int, str], AnsweredSeries] = {}

    def pick(self, model: str, version: int | None) -> Offer | None:
        """That version, or the newest, where it is on offer."""
        return self._parts.offers.watches[model].snapshot.pick(version)

    def enter(self, asker: Any, verb: str, offer: Offer, inputs: Tensors, times: tuple[float, float]) -> None:
        """Take a request on, its instances checked; `times` are when it arrived and when it must be answered.

        Raises:
            Overloaded: it must not begin.
        """
        now, (arrived_at, expires_at) = self.clock(), times
        visit = self._parts.predictor.admission.enter(offer.contract.name, expires_at - now)
        rows = len(next(iter(inputs.values())))
        line = self._line(offer)
        passage = Passage(asker, verb, line, inputs, rows, arrived_at, now, expires_at, visit)
        self._entered += 1
        self._passages.add(passage)
        self._earliest = min(self._earliest, expires_at)
        line.join(passage)
        if not line.calls or self._may_go(line):
            self._due[line] = None

    def _line(self, offer: Offer) -> Line:
        """Where the requests for this version wait; lines of what is no longer on offer are forgotten."""
        name = (offer.contract.name, offer.version)
        line = self._lines.get(name)
        if line is None or line.offer is not offer:  # what is on offer is verified again and again
            self._lines = {
                (model, version): line
                for (model, version), line in self._lines.items()
                if self.pick(model, version) is line.offer
            }
            line = self._lines[name] = Line(offer, Company(self._parts.settings.coalesce_wait_s))
        return line

    @property
    def is_due(self) -> bool:
        """Somebody goes at the end of this turn."""
        return any(map(self._may_go, self._due))

    @property
    def patience_s(self) -> float:
        """Seconds until somebody goes who waits for company, or somebody's time may be up; infinite without either."""
        until = self._earliest
        for line in self._due:
            until = min(until, line.company.until)
        return max(0.0, until - self.clock())

    def end_turn(self) -> None:
        """Whoever came in this turn of the loop goes now, together."""
        self.count_entered()
        for line in self._due:
            self._send_all(line)
        self._due = {line: None for line in self._due if line.rows and not line.calls}
        if self.clock() >= self._earliest:
            self._give_up_late()

    def count_entered(self) -> None:
        """Those since the last time are in flight."""
        if self._entered:
            self._parts.metrics.in_flight.inc(self._entered)
            self._entered = 0

    def _may_go(self, line: Line) -> bool:
        if line.rows >= self._enough_rows:
            return line.calls < MAX_CALLS
        return line.rows > 0 and not line.calls and line.company.is_here(line.rows, self.clock())

    def _send_all(self, line: Line) -> None:
        """Whoever may go does."""
        while self._may_go(line):
            self._send(line)

    def _send(self, line: Line) -> None:
        trip = depart(line, self._max_batch, self.clock())
        self._parts.metrics.observe_batch(line.offer.contract.name, line.offer.version, len(trip.passages))
        back = self._door.returning(trip, self._arrive)
        set_off(trip, self._parts.server, self.clock, back)

    def _arrive(self, trip: Trip) -> None:
        """A call has ended: its requests are answered, or explained elsewhere, and the next one begins."""
        line = trip.line
        line.calls -= 1
        line.company.hope(line.rows, trip.rows)
        self._send_all(line)
        try:
            self._answer(trip)
        finally:
            line.company.count_from(self.clock())
            if line.rows and not line.calls:
                self._due[line] = None

    def _answer(self, trip: Trip) -> None:
        offer, passages = trip.line.offer, [passage for passage in trip.passages if not passage.is_over]
        try:
            outputs = self._outputs(trip)
            replies = self._door.encode(offer, passages, outputs)
        except (ServingError, VersionGone) as error:
            self._give_up(passages, late=isinstance(error, DeadlineExceeded))
        except Exception:
            log.exception("the lane failed")
            self._give_up(passages)
        else:
            self._count(trip, passages, outputs)  # before a client hears: it may ask for the metrics next
            self._leave(passages, has_ended=True)
            self._door.send(offer, passages, replies)

    def _outputs(self, trip: Trip) -> Outputs:
        """Those of who still wants an answer.

        Raises:
            what the trip ended with, or what is wrong with the outputs.
        """
        if isinstance(trip.outcome, Exception):
            raise trip.outcome
        assert trip.outcome is not None  # noqa: S101 (tells mypy what an end means)
        outputs = check_outputs(trip.line.offer.contract, trip.outcome, trip.rows)
        if not any(passage.is_over for passage in trip.passages):
            return outputs
        is_wanted = np.repeat([not passage.is_over for passage in trip.passages], [p.rows for p in trip.passages])
        return {name: tensor[is_wanted] for name, tensor in outputs.items()}

    def _count(self, trip: Trip, passages: Sequence[Passage], outputs: Outputs) -> None:
        """Requests answered now: what the model said, and what they asked, with where their time went."""
        offer, sizes = trip.line.offer, [passage.rows for passage in passages]
        self._parts.metrics.predictions.observe(offer.contract, offer.version, outputs, sizes)
        now, by_verb = self.clock(), dict[str, list[dict[Phase, float]]]()
        for passage in passages:
            by_verb.setdefault(passage.verb, []).append(trip.seconds(passage, now))
        for verb, seconds in by_verb.items():
            self._series_of(offer, verb).count(seconds)

    def _series_of(self, offer: Offer, verb: str) -> AnsweredSeries:
        model, version = offer.contract.name, offer.version
        if (model, version, verb) not in self._series:
            series = AnsweredSeries(self._parts.metrics, model, str(version), verb, self._door.OK)
            self._series[model, version, verb] = series
        return self._series[model, version, verb]

    def _give_up_late(self) -> None:
        now = self.clock()
        late = [passage for passage in self._passages if passage.expires_at <= now]
        for passage in late:
            passage.line.leave(passage)
        self._give_up(late, late=True)
        self._earliest = min((passage.expires_at for passage in self._passages), default=float("inf"))

    def _give_up(self, passages: Sequence[Passage], *, late: bool = False) -> None:
        unfinished = [passage for passage in passages if not passage.is_over]
        self._leave(unfinished, is_late=late)
        for passage in unfinished:
            self._door.explain(passage)

    def _leave(self, passages: Sequence[Passage], *, has_ended: bool = False, is_late: bool = False) -> None:
        admission = self._parts.predictor.admission
        for passage in passages:
            passage.is_over = True
            self._passages.discard(passage)
            if has_ended or is_late:
                admission.learn(passage.visit, at_least=is_late)
            admission.leave()
        self._parts.metrics.in_flight.dec(len(passages))
