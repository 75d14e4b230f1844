"""The lane's calls to the model server: who waits for one, who is in one, and the making of it. Knows no HTTP."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from serving.errors import DeadlineExceeded
from serving.gateway.admission import Visit
from serving.gateway.batches import join
from serving.gateway.model_server import SignatureRunner, Tensors
from serving.gateway.plain_requests import Plain
from serving.gateway.predictor import Offer


@dataclass(slots=True, eq=False)
class Passage:
    """One request on its way through the lane. Times are the lane's clock's."""

    connection: Any
    plain: Plain
    line: "Line"
    inputs: Tensors
    rows: int
    arrived_at: float
    validated_at: float
    expires_at: float
    visit: Visit
    is_over: bool = False  # it is answered, or a thread's


@dataclass(slots=True, eq=False)
class Line:
    """The requests for one version: who waits, and whether a call is under way."""

    offer: Offer
    waiting: deque[Passage] = field(default_factory=deque)
    is_busy: bool = False


@dataclass(slots=True, eq=False)
class Trip:
    """One call to the model server, and what came of it."""

    line: Line
    passages: list[Passage]
    sent_at: float
    ended_at: float = 0.0
    outcome: Tensors | Exception | None = None

    @property
    def rows(self) -> int:
        """Of all its requests together."""
        return sum(passage.rows for passage in self.passages)


def depart(line: Line, max_rows: int, now: float) -> Trip:
    """Those of a line that have waited longest, as many as may go together."""
    passages: list[Passage] = []
    rows = 0
    while line.waiting and rows + line.waiting[0].rows <= max_rows:
        passages.append(line.waiting.popleft())
        rows += passages[-1].rows
    line.is_busy = True
    return Trip(line, passages, now)


def make_call(trip: Trip, server: SignatureRunner, clock: Callable[[], float], then: Callable[[Trip], None]) -> None:
    """In a thread: ask, for as long as the one with most time has."""
    offer = trip.line.offer
    try:
        left_s = max(passage.expires_at for passage in trip.passages) - clock()
        if left_s <= 0:
            raise DeadlineExceeded("the time for these requests ran out")
        inputs = join([passage.inputs for passage in trip.passages])
        trip.outcome = server.predict(offer.contract.name, offer.version, inputs, left_s)
    except Exception as error:  # noqa: BLE001 (raised again by the lane)
        trip.outcome = error
    trip.ended_at = clock()
    then(trip)
