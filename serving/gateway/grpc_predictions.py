"""Predictions at the gRPC door, from the bytes of a request to those of its reply: the calls whose speed matters.

No thread is held by a call that waits for others' to end, nor by one whose message has not come.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from grpc_status import rpc_status

from serving import direct_method
from serving.direct_method import DirectMethod
from serving.gateway import grpc_scope
from serving.gateway.admission import SPARE_THREADS
from serving.gateway.batching import MAX_COALESCED_BATCH, Batching
from serving.gateway.deferred import DeferredPredictor
from serving.gateway.grpc_scope import Scope
from serving.gateway.lanes import Lanes
from serving.gateway.parts import Parts
from serving.gateway.predictor import Call, Prediction
from serving.gateway.spans import inside


@dataclass(frozen=True)
class Method:
    """A method that predicts: how its request becomes a call, and the prediction its reply."""

    path: str  # /package.Service/Method
    verb: str  # in the metrics (the HTTP door's words)
    request: Any  # the message's class
    ask: Callable[[Parts, Any, Scope], Call]
    reply: Callable[[Any, Prediction], Message]


class Predictions:
    """Answers the calls of these methods."""

    def __init__(self, server: grpc.Server, parts: Parts, methods: tuple[Method, ...]) -> None:
        """To be made before the server starts."""
        self._parts = parts
        self._predictor = deferred_predictor(parts)
        # Those that work or wait for the model server are admitted; the others refuse, and receive.
        threads = parts.settings.threads + SPARE_THREADS
        self._direct = [DirectMethod(server, method.path, self._answer(method), threads) for method in methods]

    def start(self) -> None:
        """Take calls, from the server's start to its end."""
        for method in self._direct:
            method.start()

    def _answer(self, method: Method) -> Callable[[direct_method.Call], None]:
        def answer(call: direct_method.Call) -> None:
            try:
                request = method.request.FromString(call.request)
            except DecodeError:
                call.fail(grpc.StatusCode.INTERNAL.value[0], "Exception deserializing request!")
            else:
                _Answer(self._parts, method, call, request).begin(self._predictor)

        return answer


def deferred_predictor(parts: Parts) -> DeferredPredictor:
    """Beside the predictor of these parts: what either admits counts for both."""
    settings, most = parts.settings, parts.settings.max_model_server_batch
    lanes = Lanes(
        min(most, MAX_COALESCED_BATCH), observe=lambda kind, calls: parts.metrics.observe_batch(kind[0], kind[1], calls)
    )
    return DeferredPredictor(
        parts.offers,
        Batching(parts.server, most, coalesce=False),
        settings.max_instances,
        admission=parts.predictor.admission,
        lanes=lanes if settings.coalesce else None,
    )


class _Answer:
    """One call's. Its steps may run in different threads, one after another."""

    def __init__(self, parts: Parts, method: Method, call: direct_method.Call, request: Message) -> None:
        self._parts = parts
        self._method = method
        self._call = call
        self._request = request
        self._span = parts.tracing.request(f"grpc {method.verb}", call.metadata)

    def begin(self, predictor: DeferredPredictor) -> None:
        """Understand the request, and have it answered."""
        with inside(self._span.__enter__()):
            scope = grpc_scope.begin(self._parts, self._method.verb, self._call.metadata, self._call.time_remaining_s())
            self._scope = scope
            self._call.send_first(grpc_scope.first_metadata(scope))
            try:
                grpc_scope.admit(self._parts, scope, self._call.metadata)
                asked = self._method.ask(self._parts, self._request, scope)
            except Exception as error:  # noqa: BLE001 (told)
                self._end(error)
            else:
                predictor.predict(asked, scope.timeout_s, self._end)

    def _end(self, outcome: Prediction | Exception) -> None:
        """Count before the client hears: it may ask for the metrics next."""
        try:
            reply = outcome if isinstance(outcome, Exception) else self._reply(outcome)
            fault = grpc_scope.end(self._parts, self._scope, self._request, reply)
            self._span.__exit__(None, None, None)
            if isinstance(reply, Message):
                self._call.reply(reply.SerializeToString())
            elif fault is not None:
                status = rpc_status.to_status(fault.status())
                self._call.fail(status.code.value[0], status.details, status.trailing_metadata)
        except Exception as error:  # noqa: BLE001 (the client must hear, and the thread go on)
            self._call.fail_unforeseen(error)

    def _reply(self, prediction: Prediction) -> Message | Exception:
        offer = prediction.offer
        self._scope.version = str(offer.version)
        try:
            self._parts.metrics.predictions.observe(offer.contract, offer.version, prediction.outputs)
            return self._method.reply(self._request, prediction)
        except Exception as error:  # noqa: BLE001 (told)
            return error
