"""The lane's calls to the model server: who waits for one, who is in one, and its start. Knows no transport."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from serving.errors import DeadlineExceeded
from serving.gateway.admission import Visit
from serving.gateway.company import Company
from serving.gateway.model_server import ModelServer, Tensors
from serving.gateway.phases import Phase
from serving.gateway.predictor import Offer


@dataclass(slots=True, eq=False)
class Passage:
    """One request on its way through the lane. Times are the lane's clock's."""

    asker: Any  # its door's own; the lane does not look at it
    verb: str
    line: "Line"
    inputs: Tensors
    rows: int
    arrived_at: float
    validated_at: float
    expires_at: float
    visit: Visit
    is_over: bool = False  # it is answered, or explained elsewhere


@dataclass(slots=True, eq=False)
class Line:
    """The requests for one version: who waits, with how many rows, and how many calls are under way."""

    offer: Offer
    company: Company
    waiting: deque[Passage] = field(default_factory=deque)
    rows: int = 0
    calls: int = 0

    def join(self, passage: Passage) -> None:
        """Wait, behind all others."""
        self.waiting.append(passage)
        self.rows += passage.rows

    def leave(self, passage: Passage) -> None:
        """Wait no longer, if it still does."""
        if passage in self.waiting:
            self.waiting.remove(passage)
            self.rows -= passage.rows


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

    def seconds(self, passage: Passage, now: float) -> dict[Phase, float]:
        """Where the time of one of its requests went, which is answered now."""
        return {
            "validation": passage.validated_at - passage.arrived_at,
            "waiting": self.sent_at - passage.validated_at,
            "model_server": self.ended_at - self.sent_at,
            "encoding": now - self.ended_at,
        }


def depart(line: Line, max_rows: int, now: float) -> Trip:
    """Those of a line that have waited longest, as many as may go together."""
    passages: list[Passage] = []
    rows = 0
    line.company.learn(line.rows, now)
    while line.waiting and rows + line.waiting[0].rows <= max_rows:
        passages.append(line.waiting.popleft())
        rows += passages[-1].rows
    line.rows -= rows
    line.calls += 1
    return Trip(line, passages, now)


def set_off(trip: Trip, server: ModelServer, clock: Callable[[], float], back: Callable[[], None]) -> None:
    """Ask, for as long as the one with most time has; `back` is called when it has ended, from any thread."""

    def end(outcome: Tensors | Exception) -> None:
        trip.outcome, trip.ended_at = outcome, clock()
        back()

    contract, version = trip.line.offer.contract, trip.line.offer.version
    try:
        left_s = max(passage.expires_at for passage in trip.passages) - clock()
        if left_s <= 0:
            raise DeadlineExceeded("the time for these requests ran out")
        batches = [passage.inputs for passage in trip.passages]
        server.start_predict(contract.name, version, batches, left_s, end, signature=contract.signature)
    except Exception as error:  # noqa: BLE001 (raised again by the lane)
        end(error)
