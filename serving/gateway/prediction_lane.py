"""Ordinary predictions, answered by the worker's loop itself: no thread, no Flask, and many in one call (ADR 12).

The lane is fast and knows no words: whatever is not surely an ordinary prediction with an ordinary answer, whatever
fails or comes late, goes to a thread and the application, which explains it. All that a turn of the loop brings, and
all that comes while a call of the same version is under way, goes to the model server as one call (ADR 6).
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import orjson

from serving.contract import ModelContract
from serving.errors import DeadlineExceeded, InvalidInput, Overloaded, ServingError, TooManyRequests
from serving.gateway.batching import MAX_COALESCED_BATCH
from serving.gateway.instances import PixelBlock, accept_instances, accept_text, check_batch, split_block
from serving.gateway.lane_answers import LaneAnswers
from serving.gateway.lane_calls import Line, Passage, Trip, depart, make_call
from serving.gateway.model_server import Tensors, VersionGone
from serving.gateway.parts import Parts
from serving.gateway.plain_requests import Media, Plain
from serving.gateway.predictor import TASK_OF_VERB, Offer
from serving.gateway.tracing import PassingOn

log = logging.getLogger(__name__)

# The loop must not be held long by one request: reading as much as this takes it a millisecond.
MAX_BODY_BYTES = 160 * 1024
MAX_ROWS = 64


class Loop(Protocol):
    """What the lane needs of a worker's loop."""

    def defer(self, callback: Callable[[Trip], None], trip: Trip) -> None:
        """Have it called by the loop; from any thread."""

    def answer(self, connection: Any, answer: bytes, *, is_last: bool) -> None:
        """Send a whole answer."""

    def hand_to_thread(self, connection: Any) -> None:
        """Have the application answer."""


def has_lane(parts: Parts) -> bool:
    """Whether requests may go together, and without spans of their own."""
    return parts.settings.coalesce and isinstance(parts.tracing, PassingOn)


class PredictionLane:
    """One a worker, used by its loop alone."""

    def __init__(self, parts: Parts, loop: Loop, clock: Callable[[], float] = time.perf_counter) -> None:
        """`clock` is the one that the loop's connections have their times of."""
        settings = parts.settings
        self._parts, self._loop, self._clock = parts, loop, clock
        self._answers = LaneAnswers(parts.metrics, clock, tls=settings.speaks_tls)
        self._max_rows = min(MAX_ROWS, settings.max_instances, settings.max_model_server_batch)
        self._max_batch = min(MAX_COALESCED_BATCH, settings.max_model_server_batch)
        self._lines: dict[tuple[str, int], Line] = {}
        self._due: dict[Line, None] = {}  # somebody waits there, and no call is under way
        self._passages: set[Passage] = set()
        self._entered = 0  # in this turn
        self._earliest = float("inf")  # nobody's time ends before
        self._callers = ThreadPoolExecutor(thread_name_prefix="lane")

    def close(self) -> None:
        """Make no more calls."""
        self._callers.shutdown(wait=False, cancel_futures=True)

    def take(self, connection: Any) -> bool:
        """Answer its request, later; False where that is for a thread, now."""
        request = connection.request
        plain: Plain | None = request.plain
        offer = None if plain is None else self._parts.offers.watches[plain.model].snapshot.pick(plain.version)
        if plain is None or offer is None or TASK_OF_VERB[plain.verb] not in (None, offer.contract.task):
            return False
        if plain.key is not None and not self._count_for_key(request, plain.key):
            return False
        inputs = read(plain.media, request.body.getvalue(), offer.contract, self._max_rows)
        if inputs is None:
            return False
        now = self._clock()
        expires_at = connection.handed_over_at + min(plain.timeout_s, self._parts.settings.request_timeout_s)
        try:
            visit = self._parts.predictor.admission.enter(plain.model, expires_at - now)
        except Overloaded:
            return False
        rows = len(next(iter(inputs.values())))
        line = self._line(offer)
        passage = Passage(connection, plain, line, inputs, rows, connection.handed_over_at, now, expires_at, visit)
        self._enter(passage)
        return True

    def _count_for_key(self, request: Any, key: int) -> bool:
        assert self._parts.keys is not None  # noqa: S101 (tells mypy what a key means)
        try:
            request.key_name = self._parts.keys.take(key)
        except TooManyRequests:
            return False
        return True

    def _line(self, offer: Offer) -> Line:
        """Where the requests for this version wait; lines of what is no longer on offer are forgotten."""
        name = (offer.contract.name, offer.version)
        line = self._lines.get(name)
        if line is None or line.offer is not offer:  # what is on offer is verified again and again
            watches = self._parts.offers.watches
            self._lines = {
                (model, version): line
                for (model, version), line in self._lines.items()
                if watches[model].snapshot.pick(version) is line.offer
            }
            line = self._lines[name] = Line(offer)
        return line

    def _enter(self, passage: Passage) -> None:
        self._entered += 1
        self._passages.add(passage)
        self._earliest = min(self._earliest, passage.expires_at)
        passage.line.waiting.append(passage)
        if not passage.line.is_busy:
            self._due[passage.line] = None

    @property
    def patience_s(self) -> float:
        """Seconds until somebody's time may be up."""
        return max(0.0, self._earliest - self._clock())

    def end_turn(self) -> None:
        """Whoever came in this turn of the loop goes now, together."""
        if self._entered:
            self._parts.metrics.in_flight.inc(self._entered)
            self._entered = 0
        for line in self._due:
            self._send(line)
        self._due.clear()
        if self._clock() >= self._earliest:
            self._give_up_late()

    def _send(self, line: Line) -> None:
        trip = depart(line, self._max_batch, self._clock())
        self._parts.metrics.observe_batch(line.offer.contract.name, line.offer.version, len(trip.passages))
        self._callers.submit(make_call, trip, self._parts.server, self._clock, self._on_end)

    def _on_end(self, trip: Trip) -> None:
        """In the thread that made the call."""
        self._loop.defer(self._arrive, trip)

    def _arrive(self, trip: Trip) -> None:
        """A call has ended: the next one begins, and this one's requests are answered, or explained by threads."""
        trip.line.is_busy = False
        if trip.line.waiting:
            self._send(trip.line)
        try:
            answered = self._answers.read(trip)
        except (ServingError, VersionGone) as error:
            self._give_up(trip.passages, late=isinstance(error, DeadlineExceeded))
        except Exception:
            log.exception("the lane failed")
            self._give_up(trip.passages)
        else:
            encoded = [self._answers.encode(trip, passage, answers) for passage, answers in answered]
            self._answers.count(trip, encoded)
            self._leave([one.passage for one in encoded], has_ended=True)
            for one in encoded:
                self._loop.answer(one.passage.connection, one.answer, is_last=one.is_last)

    def _give_up_late(self) -> None:
        now = self._clock()
        late = [passage for passage in self._passages if passage.expires_at <= now]
        for passage in late:
            if passage in passage.line.waiting:
                passage.line.waiting.remove(passage)
        self._give_up(late, late=True)
        self._earliest = min((passage.expires_at for passage in self._passages), default=float("inf"))

    def _give_up(self, passages: list[Passage], *, late: bool = False) -> None:
        unfinished = [passage for passage in passages if not passage.is_over]
        self._leave(unfinished, is_late=late)
        for passage in unfinished:
            self._loop.hand_to_thread(passage.connection)

    def _leave(self, passages: list[Passage], *, has_ended: bool = False, is_late: bool = False) -> None:
        admission = self._parts.predictor.admission
        for passage in passages:
            passage.is_over = True
            self._passages.discard(passage)
            if has_ended or is_late:
                admission.learn(passage.visit, at_least=is_late)
            admission.leave()
        self._parts.metrics.in_flight.dec(len(passages))


def read(media: Media, body: bytes, contract: ModelContract, max_rows: int) -> Tensors | None:
    """The input tensors that a body means; None where it is larger than usual, or it takes words to say."""
    if len(body) > MAX_BODY_BYTES:
        return None
    if media == "json" and (tensors := accept_text(contract, body, max_rows)) is not None:
        return tensors
    try:
        instances = PixelBlock(body) if media == "pixels" else _instances(body)
        batch = check_batch(split_block(contract, instances), max_rows)
    except (InvalidInput, orjson.JSONDecodeError):
        return None
    assert type(batch) is list  # noqa: S101 (tells mypy that these media bring no tensors)
    no_booleans = media == "pixels" or (b"true" not in body and b"false" not in body)
    return accept_instances(contract, batch, no_booleans=no_booleans)


def _instances(body: bytes) -> Any:
    document = orjson.loads(body)
    return document["instances"] if type(document) is dict and list(document) == ["instances"] else None
