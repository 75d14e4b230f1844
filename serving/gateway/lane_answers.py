"""What the lane answers, and what it counts and logs of that: all as the application would have done."""

import time

import numpy as np

from serving.gateway.access_log import Answered, log_answered
from serving.gateway.access_log import log as access_log
from serving.gateway.answers import Answer, to_answers
from serving.gateway.http_api import answer_document
from serving.gateway.http_scope import json_bytes
from serving.gateway.lane_calls import Passage, Trip
from serving.gateway.metrics import AnsweredSeries, Metrics
from serving.gateway.outputs import Outputs, check_outputs
from serving.gateway.plain_answers import plain_answer
from serving.gateway.request_ids import request_id


class LaneAnswers:
    """One a lane."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
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

    def encode(self, trip: Trip, passage: Passage, answers: list[Answer]) -> tuple[bytes, bool]:
        """The response to one request, now counted; and whether its connection ends with it."""
        offer, plain, request = trip.line.offer, passage.plain, passage.connection.request
        identifier, is_last = request_id(request.request_id), request.is_last
        body = json_bytes(answer_document(offer, answers))
        answer, size = plain_answer(body, identifier, takes_gzip=plain.takes_gzip, is_last=is_last)
        seconds = self._series_of(offer.contract.name, offer.version, plain.verb).count(
            {
                "validation": passage.validated_at - passage.arrived_at,
                "waiting": trip.sent_at - passage.validated_at,
                "model_server": trip.ended_at - trip.sent_at,
                "encoding": time.perf_counter() - trip.ended_at,
            }
        )
        if not access_log.disabled:
            log_answered(
                Answered(
                    request_id=identifier,
                    call=f"POST {plain.path}",
                    verb=plain.verb,
                    code="200",
                    milliseconds=seconds * 1e3,
                    model=plain.model,
                    version=str(offer.version),
                    key=request.key_name,
                    request_bytes=len(request.body.getbuffer()),
                    response_bytes=size,
                )
            )
        return answer, is_last

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
