"""The HTTP door's lane (ADR 12): which requests are surely ordinary predictions, and their answers.

Whatever is not goes to a thread and the application, which answers or explains it as it always did.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import orjson

from serving.contract import ModelContract
from serving.errors import InvalidInput, Overloaded, TooManyRequests
from serving.gateway.access_log import Answered, log_answered
from serving.gateway.access_log import log as access_log
from serving.gateway.answer_texts import answer_texts
from serving.gateway.http_api import answer_document
from serving.gateway.http_scope import json_bytes
from serving.gateway.instances import PixelBlock, accept_instances, accept_text, check_batch, split_block
from serving.gateway.lane import MAX_BODY_BYTES, Lane
from serving.gateway.lane_calls import Passage, Trip
from serving.gateway.model_server import Tensors
from serving.gateway.outputs import Outputs
from serving.gateway.parts import Parts
from serving.gateway.plain_answers import plain_answer
from serving.gateway.plain_requests import Media, Plain
from serving.gateway.predictor import TASK_OF_VERB, Offer
from serving.gateway.request_ids import request_id


class Loop(Protocol):
    """What the lane needs of a worker's loop."""

    def defer(self, callback: Callable[[Trip], None], trip: Trip) -> None:
        """Have it called by the loop; from any thread."""

    def answer(self, connection: Any, answer: bytes, *, is_last: bool) -> None:
        """Send a whole answer."""

    def hand_to_thread(self, connection: Any) -> None:
        """Have the application answer."""


class Reply(NamedTuple):
    """A whole response."""

    request_id: str
    answer: bytes
    body_bytes: int  # as they are sent


class HttpLane:
    """One a worker, used by its loop alone. A lane's Door; who asks is a connection."""

    OK = "200"

    def __init__(self, parts: Parts, loop: Loop, clock: Callable[[], float] = time.perf_counter) -> None:
        """`clock` is the one that the loop's connections have their times of."""
        self._parts, self._loop, self._clock = parts, loop, clock
        self._lane = Lane(parts, self, clock)
        self._tls = parts.settings.speaks_tls

    @property
    def patience_s(self) -> float:
        """Seconds until the lane has something to do, whether anything comes or not."""
        return self._lane.patience_s

    def end_turn(self) -> None:
        """Whoever came in this turn of the loop goes now, together."""
        self._lane.end_turn()

    def take(self, connection: Any) -> bool:
        """Answer its request, later; False where that is for a thread, now."""
        request = connection.request
        plain: Plain | None = request.plain
        offer = None if plain is None else self._lane.pick(plain.model, plain.version)
        if plain is None or offer is None or TASK_OF_VERB[plain.verb] not in (None, offer.contract.task):
            return False
        if plain.key is not None and not self._count_for_key(request, plain.key):
            return False
        inputs = read(plain.media, request.body.getvalue(), offer.contract, self._lane.max_rows)
        if inputs is None:
            return False
        arrived_at = connection.handed_over_at
        expires_at = arrived_at + min(plain.timeout_s, self._parts.settings.request_timeout_s)
        try:
            self._lane.enter(connection, plain.verb, offer, inputs, (arrived_at, expires_at))
        except Overloaded:
            return False
        return True

    def _count_for_key(self, request: Any, key: int) -> bool:
        assert self._parts.keys is not None  # noqa: S101 (tells mypy what a key means)
        try:
            request.key_name = self._parts.keys.take(key)
        except TooManyRequests:
            return False
        return True

    def returning(self, trip: Trip, callback: Callable[[Trip], None]) -> Callable[[], None]:
        """By the loop's queue."""
        return partial(self._loop.defer, callback, trip)

    def explain(self, passage: Passage) -> None:
        """In a thread."""
        self._loop.hand_to_thread(passage.asker)

    def encode(self, offer: Offer, passages: Sequence[Passage], outputs: Outputs) -> list[Reply]:
        """All as the application would have done."""
        texts = answer_texts(offer.contract, outputs, [passage.rows for passage in passages])
        return [self._reply(offer, passage, answers) for passage, answers in zip(passages, texts, strict=True)]

    def _reply(self, offer: Offer, passage: Passage, answers: orjson.Fragment) -> Reply:
        request = passage.asker.request
        identifier = request_id(request.request_id)
        body = json_bytes(answer_document(offer, answers))
        takes_gzip, is_last = request.plain.takes_gzip, request.is_last
        answer, size = plain_answer(body, identifier, takes_gzip=takes_gzip, is_last=is_last, tls=self._tls)
        return Reply(identifier, answer, size)

    def send(self, offer: Offer, passages: Sequence[Passage], replies: Sequence[Reply]) -> None:
        """Log and send them."""
        if not access_log.disabled:
            for passage, reply in zip(passages, replies, strict=True):
                self._log(offer, passage, reply)
        for passage, reply in zip(passages, replies, strict=True):
            connection = passage.asker
            self._loop.answer(connection, reply.answer, is_last=connection.request.is_last)

    def _log(self, offer: Offer, passage: Passage, reply: Reply) -> None:
        request = passage.asker.request
        log_answered(
            Answered(
                request_id=reply.request_id,
                call=f"POST {request.plain.path}",
                verb=passage.verb,
                code=self.OK,
                milliseconds=(self._clock() - passage.arrived_at) * 1e3,
                model=offer.contract.name,
                version=str(offer.version),
                key=request.key_name,
                request_bytes=len(request.body.getbuffer()),
                response_bytes=reply.body_bytes,
            )
        )


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
