"""What the lane answers, and what it counts and logs of that: all as the application would have done."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from serving.gateway.access_log import Answered, log_answered
from serving.gateway.access_log import log as access_log
from serving.gateway.answers import Answer, to_answers
from serving.gateway.http_api import answer_document
from serving.gateway.http_scope import json_bytes
from serving.gateway.lane_calls import Passage, Trip
from serving.gateway.metrics import AnsweredSeries, Metrics
from serving.gateway.outputs import Outputs, check_outputs
from serving.gateway.phases import Phase
from serving.gateway.plain_answers import plain_answer
from serving.gateway.request_ids import request_id


class Encoded(NamedTuple):
    """A response, and how its request fared."""

    passage: Passage
    answer: bytes
    is_last: bool  # its connection ends with it
    seconds: dict[Phase, float]


class LaneAnswers:
    """One a lane."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float], *, tls: bool) -> None:
        self._metrics, self._clock, self._tls = metrics, clock, tls
        self._series: dict[tuple[str, int, str], AnsweredSeries] = {}

    def read(self, trip: Trip) -> list[tuple[Passage, list[Answer]]]:
        """The answers to each request of a trip that still wants one.

        Raises:
            what the trip ended with, or what is wrong with the outputs.
        """
        if isinstance(trip.outcome, Exception):
            raise trip.outcome
        assert trip.outcome is not None  # noqa: S101 (tells mypy what an end means)
        offer = trip.line.offer
        outputs = _of_interest(trip, check_outputs(offer.contract, trip.outcome, trip.rows))
        passages = [passage for passage in trip.passages if not passage.is_over]
        self._metrics.predictions.observe(
            offer.contract, offer.version, outputs, [passage.rows for passage in passages]
        )
        answers = iter(to_answers(offer.contract, outputs, None))
        return [(passage, [next(answers) for _ in range(passage.rows)]) for passage in passages]

    def encode(self, trip: Trip, passage: Passage, answers: list[Answer]) -> Encoded:
        """The response to one request."""
        offer, plain, request = trip.line.offer, passage.plain, passage.connection.request
        identifier, is_last = request_id(request.request_id), request.is_last
        body = json_bytes(answer_document(offer, answers))
        answer, size = plain_answer(body, identifier, takes_gzip=plain.takes_gzip, is_last=is_last, tls=self._tls)
        now = self._clock()
        if not access_log.disabled:
            log_answered(
                Answered(
                    request_id=identifier,
                    call=f"POST {plain.path}",
                    verb=plain.verb,
                    code="200",
                    milliseconds=(now - passage.arrived_at) * 1e3,
                    model=plain.model,
                    version=str(offer.version),
                    key=request.key_name,
                    request_bytes=len(request.body.getbuffer()),
                    response_bytes=size,
                )
            )
        seconds: dict[Phase, float] = {
            "validation": passage.validated_at - passage.arrived_at,
            "waiting": trip.sent_at - passage.validated_at,
            "model_server": trip.ended_at - trip.sent_at,
            "encoding": now - trip.ended_at,
        }
        return Encoded(passage, answer, is_last, seconds)

    def count(self, trip: Trip, answered: list[Encoded]) -> None:
        """Those of a trip, before their clients hear: one may ask for the metrics next."""
        by_verb: dict[str, list[dict[Phase, float]]] = {}
        for encoded in answered:
            by_verb.setdefault(encoded.passage.plain.verb, []).append(encoded.seconds)
        offer = trip.line.offer
        for verb, seconds in by_verb.items():
            self._series_of(offer.contract.name, offer.version, verb).count(seconds)

    def _series_of(self, model: str, version: int, verb: str) -> AnsweredSeries:
        name = (model, version, verb)
        if name not in self._series:
            self._series[name] = AnsweredSeries(self._metrics, model, str(version), verb)
        return self._series[name]


def _of_interest(trip: Trip, outputs: Outputs) -> Outputs:
    """Without the rows of those whose time ran out meanwhile."""
    if not any(passage.is_over for passage in trip.passages):
        return outputs
    is_wanted = np.repeat([not passage.is_over for passage in trip.passages], [p.rows for p in trip.passages])
    return {name: tensor[is_wanted] for name, tensor in outputs.items()}
