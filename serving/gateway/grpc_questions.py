"""A call for a prediction over gRPC: what it asks, and what becomes of it in the metrics, the log and the reply."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message
from grpc_status import rpc_status

from serving.direct_method import Call
from serving.gateway import grpc_scope, predictor
from serving.gateway.grpc_scope import Scope
from serving.gateway.outputs import Outputs
from serving.gateway.parts import Parts
from serving.gateway.predictor import Offer, Prediction
from serving.gateway.spans import inside


@dataclass(frozen=True)
class Method:
    """A method that predicts: how its request becomes a call, and the prediction its reply."""

    path: str  # /package.Service/Method
    verb: str  # in the metrics (the HTTP door's words)
    request: Any  # the message's class
    ask: Callable[[Parts, Any, Scope], predictor.Call]
    reply: Callable[[Any, Prediction], Message]
    # The same of several requests at once, serialised, where nothing in them changes the reply.
    replies: Callable[[Offer, Outputs, Sequence[int]], list[bytes]] | None = None


@dataclass(slots=True)
class Question:
    """One call."""

    method: Method
    call: Call
    request: Any
    scope: Scope
    top_k: int | None = None  # checked

    @property
    def is_traced(self) -> bool:
        """Its client follows it."""
        return self.call.metadata("traceparent") is not None

    def ask(self, parts: Parts) -> predictor.Call:
        """In the predictor's words, once its key is counted.

        Raises:
            ServingError: it is not to be answered.
        """
        if not self.scope.key_name:
            grpc_scope.admit(parts, self.scope, self.call.metadata)
        return self.method.ask(parts, self.request, self.scope)

    def answer(self, parts: Parts) -> None:
        """By the predictor, in a thread, which waits for it."""
        with parts.tracing.request(f"grpc {self.method.verb}", self.call.metadata) as span, inside(span):
            grpc_scope.begin(parts, self.scope)
            self.call.send_first(grpc_scope.first_metadata(self.scope))
            outcome: Message | Exception
            try:
                asked = self.ask(parts)
                prediction = parts.predictor.predict(asked, self.scope.time_left_s())
                outcome = self._reply(parts, prediction)
            except Exception as error:  # noqa: BLE001 (told)
                outcome = error
            self._tell(parts, outcome)

    def refuse(self, parts: Parts, error: Exception) -> None:
        """Tell it what is against it, at once."""
        grpc_scope.begin(parts, self.scope)
        self.call.send_first(grpc_scope.first_metadata(self.scope))
        self._tell(parts, error)

    def _reply(self, parts: Parts, prediction: Prediction) -> Message:
        offer = prediction.offer
        self.scope.version = str(offer.version)
        parts.metrics.predictions.observe(offer.contract, offer.version, prediction.outputs)
        return self.method.reply(self.request, prediction)

    def _tell(self, parts: Parts, outcome: Message | Exception) -> None:
        """Count before the client hears: it may ask for the metrics next."""
        fault = grpc_scope.end(parts, self.scope, self.request, outcome)
        if isinstance(outcome, Message):
            self.call.reply(outcome.SerializeToString())
        elif fault is not None:
            status = rpc_status.to_status(fault.status())
            self.call.fail(status.code.value[0], status.details, status.trailing_metadata)


def bad_request(call: Call) -> None:
    """Answer what is no message of the method's, in the words of `grpc.server`."""
    call.fail(grpc.StatusCode.INTERNAL.value[0], "Exception deserializing request!")
