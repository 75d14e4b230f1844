"""The gRPC door's lane (ADR 12): which calls are ordinary predictions, and their replies.

Whatever is not goes to a thread and the predictor, which answers or explains it.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial

from serving import direct_method
from serving.errors import Overloaded, ServingError, TooManyRequests
from serving.gateway import grpc_scope
from serving.gateway.access_log import Answered, log_answered
from serving.gateway.access_log import log as access_log
from serving.gateway.admission import FULL
from serving.gateway.batches import cut
from serving.gateway.encoded_images import EncodedImage
from serving.gateway.grpc_questions import Question
from serving.gateway.lane import MAX_BODY_BYTES, Lane
from serving.gateway.lane_calls import Passage, Trip
from serving.gateway.outputs import Outputs
from serving.gateway.parts import Parts
from serving.gateway.predictor import Call, Label, Offer, Prediction, prepare

log = logging.getLogger(__name__)


class GrpcLane:
    """One a process, used by the thread that takes the calls. A lane's Door; who asks is a Question."""

    OK = "OK"

    def __init__(self, parts: Parts, hand_to_thread: Callable[[Question], None]) -> None:
        self._parts, self._hand_to_thread = parts, hand_to_thread
        self._lane = Lane(parts, self)
        self._turn_ends = False  # it is in the queue already
        self._bell: direct_method.Call | None = None  # any call's rings in the queue

    @property
    def patience_s(self) -> float:
        """Seconds until the lane has something to do, whether anything comes or not."""
        return self._lane.patience_s

    def end_turn(self) -> None:
        """Whoever has come goes now, together."""
        self._lane.end_turn()

    def take(self, question: Question) -> bool:
        """Answer it, later, or refuse it at once; False where that is for a thread, now."""
        if len(question.call.request) > MAX_BODY_BYTES or question.is_traced:
            return False
        try:
            taken = self._enter(question)
        except (Overloaded, TooManyRequests) as error:
            question.refuse(self._parts, error)
            return True
        except ServingError:
            return False
        except Exception:
            log.exception("the lane failed")
            return False
        if taken:
            self._lane.count_entered()
            self._bell = question.call
            if self._lane.is_due:
                self.end_turn_later()
        return taken

    def end_turn_later(self) -> None:
        """All that is in the queue before this belongs to the turn."""
        if self._bell is None or self._turn_ends:
            return
        self._turn_ends = True
        try:
            self._bell.later(self._on_bell)()
        except ValueError:  # the queue has ended, and nothing is in it
            self._on_bell()

    def _on_bell(self) -> None:
        self._turn_ends = False
        self.end_turn()

    def _enter(self, question: Question) -> bool:
        scope, asked = question.scope, question.ask(self._parts)
        offer = self._offer(asked)
        if offer is None:
            return False
        if self._parts.predictor.admission.is_full:  # before its instances are looked at: a refusal must cost little
            raise Overloaded(FULL)
        if _has_files(asked):
            return False
        prepared = prepare(asked, offer, self._lane.max_rows)
        question.top_k = prepared.top_k
        self._lane.enter(question, scope.verb, offer, prepared.inputs, (scope.began, scope.expires))
        return True

    def _offer(self, asked: Call) -> Offer | None:
        if isinstance(asked.version, Label) or asked.model not in self._parts.offers.watches:
            return None
        return self._lane.pick(asked.model, asked.version)

    def returning(self, trip: Trip, callback: Callable[[Trip], None]) -> Callable[[], None]:
        """By the queue."""
        question: Question = trip.passages[0].asker
        return question.call.later(partial(callback, trip))

    def explain(self, passage: Passage) -> None:
        """In a thread."""
        self._hand_to_thread(passage.asker)

    def encode(self, offer: Offer, passages: Sequence[Passage], outputs: Outputs) -> list[bytes]:
        """As the predictor and the method would have it."""
        sizes = [passage.rows for passage in passages]
        questions: list[Question] = [passage.asker for passage in passages]
        together = {None if question.top_k else question.method.replies for question in questions}
        if len(together) == 1 and (replies := together.pop()):
            return replies(offer, outputs, sizes)
        return [
            question.method.reply(question.request, Prediction(offer, own, question.top_k)).SerializeToString()
            for question, own in zip(questions, cut(outputs, sizes), strict=True)
        ]

    def send(self, offer: Offer, passages: Sequence[Passage], replies: Sequence[bytes]) -> None:
        """Log and send them."""
        for passage, reply in zip(passages, replies, strict=True):
            question: Question = passage.asker
            if not access_log.disabled:
                self._log(offer, question, len(reply))
            question.call.send_first(((grpc_scope.REQUEST_ID, question.scope.request_id),))
            question.call.reply(reply)

    def _log(self, offer: Offer, question: Question, reply_bytes: int) -> None:
        scope = question.scope
        log_answered(
            Answered(
                request_id=scope.request_id,
                call=f"grpc {scope.verb} {scope.model}",
                verb=scope.verb,
                code=self.OK,
                milliseconds=(self._lane.clock() - scope.began) * 1e3,
                model=scope.model,
                version=str(offer.version),
                key=scope.key_name,
                request_bytes=len(question.call.request),
                response_bytes=reply_bytes,
            )
        )


def _has_files(asked: Call) -> bool:
    """Some take long to decode."""
    return type(asked.instances) is list and EncodedImage in map(type, asked.instances)
