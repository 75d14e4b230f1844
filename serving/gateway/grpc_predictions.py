"""Predictions at the gRPC door: the calls whose speed matters, taken from gRPC's own queue by one thread.

It answers ordinary ones itself (`grpc_lane`), and hands the others to threads.
"""

import logging
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc
from google.protobuf.message import DecodeError

from serving.direct_method import Call, DirectQueue
from serving.gateway import grpc_scope, turns
from serving.gateway.admission import SPARE_THREADS
from serving.gateway.grpc_lane import GrpcLane
from serving.gateway.grpc_questions import Method, Question, bad_request
from serving.gateway.lane import has_lane
from serving.gateway.parts import Parts

log = logging.getLogger(__name__)


class Predictions:
    """Answers the calls of these methods."""

    def __init__(self, server: grpc.Server, parts: Parts, methods: tuple[Method, ...]) -> None:
        """To be made before the server starts."""
        self._parts = parts
        self._queue = DirectQueue(server, {method.path: partial(self._take, method) for method in methods})
        self._lane = GrpcLane(parts, self._hand_to_thread) if has_lane(parts) else None
        # Those that work or wait for the model server are admitted; the others refuse.
        self._threads = ThreadPoolExecutor(parts.settings.threads + SPARE_THREADS, thread_name_prefix="grpc-prediction")

    def start(self) -> None:
        """Take calls, from the server's start to its end."""
        self._queue.open()
        threading.Thread(target=self._run, name="grpc-predictions", daemon=True).start()

    def close(self) -> None:
        """Once the server has stopped."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        while self._take_next():
            pass

    def _take_next(self) -> bool:
        """Whatever is next in the queue, where the end of the lane's turn goes once that is due."""
        if self._lane is None:
            return self._queue.take()
        patience_s = self._lane.patience_s
        if not patience_s:
            self._lane.end_turn_later()
        return self._queue.take(None if math.isinf(patience_s) else time.time() + patience_s)

    def _take(self, method: Method, call: Call) -> None:
        try:
            request = method.request.FromString(call.request)
        except DecodeError:
            bad_request(call)
            return
        scope = grpc_scope.make(self._parts, method.verb, call.metadata, call.time_remaining_s())
        question = Question(method, call, request, scope)
        if self._lane is None or not self._lane.take(question):
            self._hand_to_thread(question)

    def _hand_to_thread(self, question: Question) -> None:
        try:
            self._threads.submit(self._answer, question)
        except RuntimeError:  # closed, or there are no more threads
            question.call.fail(grpc.StatusCode.UNAVAILABLE.value[0], "the gateway takes no calls now")

    def _answer(self, question: Question) -> None:
        try:
            with turns.taken():
                question.answer(self._parts)
        except Exception as error:  # noqa: BLE001 (the client must hear)
            question.call.fail_unforeseen(error)
