"""Predictions whose callers hold no thread while they wait: the predictor's steps, one after another.

Knows no transport.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from functools import partial

from serving.errors import DeadlineExceeded, ModelNotReady
from serving.gateway.admission import Admission
from serving.gateway.batching import MAX_COALESCED_ROWS
from serving.gateway.lanes import Lanes, Outcome, Rider
from serving.gateway.model_server import SignatureRunner, Tensor, Tensors, VersionGone
from serving.gateway.predictor import MAX_VERSION_CHANGES, Asked, Call, OfferBook, Prediction, prepare

Tell = Callable[[Prediction | Exception], None]


class DeferredPredictor:
    """Answers calls; used by many threads. Each is told in a copy of the context that its call came from."""

    def __init__(
        self,
        offers: OfferBook,
        server: SignatureRunner,
        max_instances: int,
        *,
        admission: Admission,
        lanes: Lanes | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`server` takes batches of any size; small ones go by the `lanes`, if there are any."""
        self.offers = offers
        self.server = server
        self.admission = admission
        self.max_instances = max_instances
        self.lanes = lanes
        self.clock = clock

    def predict(self, call: Call, timeout_s: float, tell: Tell) -> None:
        """Answer one call within the time given, or tell why not; from this thread or another."""
        _UnderWay(self, call, self.clock() + timeout_s, tell).begin(timeout_s)


class _UnderWay:
    """One call, from its admission to its end."""

    def __init__(self, predictor: DeferredPredictor, call: Call, expires: float, tell: Tell) -> None:
        self._predictor = predictor
        self._call = call
        self._expires = expires
        self._tell = tell
        self._admitted: AbstractContextManager[None] = nullcontext()
        self._version_changes = 0

    def begin(self, timeout_s: float) -> None:
        """Where there is room for it."""
        admitted = self._predictor.admission.admit(self._call.model, timeout_s)
        try:
            admitted.__enter__()
        except Exception as error:  # noqa: BLE001 (told)
            self._tell(error)
        else:
            self._admitted = admitted
            self._ask()

    def _ask(self) -> None:
        """Of the version on offer: with others, or alone at once."""
        try:
            offer = self._predictor.offers.find(self._call.model, self._call.version, self._left_s())
            asked = prepare(self._call, offer, self._predictor.max_instances)
        except Exception as error:  # noqa: BLE001 (told)
            self._end(error)
            return
        hear, send = partial(self._hear, asked), partial(self._send, asked)
        if self._predictor.lanes is None or asked.rows > MAX_COALESCED_ROWS:
            hear(self._sent_alone(asked))
            return
        kind = (
            *(offer.contract.name, offer.version),
            *((name, array.dtype, array.shape[1:]) for name, array in asked.inputs.items()),
        )
        rider = Rider(asked.inputs, asked.rows, self._expires, copy_context(), hear)
        self._predictor.lanes.join(kind, rider, send)

    def _send(self, asked: Asked, inputs: Tensors, timeout_s: float) -> dict[str, Tensor]:
        return self._predictor.server.predict(asked.offer.contract.name, asked.offer.version, inputs, timeout_s)

    def _sent_alone(self, asked: Asked) -> Outcome:
        try:
            return self._send(asked, asked.inputs, self._left_s())
        except Exception as error:  # noqa: BLE001 (told)
            return error

    def _hear(self, asked: Asked, outcome: Outcome) -> None:
        """What became of the rows."""
        if isinstance(outcome, VersionGone):
            self._ask_another(asked)
        else:
            self._end(outcome if isinstance(outcome, Exception) else _answered(asked, outcome))

    def _ask_another(self, gone: Asked) -> None:
        """The version was taken down meanwhile."""
        self._version_changes += 1
        try:
            if self._version_changes > MAX_VERSION_CHANGES:
                raise ModelNotReady(self._call.model, "its versions went away faster than they could be asked")
            self._predictor.offers.replace(gone.offer, self._left_s())
        except Exception as error:  # noqa: BLE001 (told)
            self._end(error)
        else:
            self._ask()

    def _end(self, outcome: Prediction | Exception) -> None:
        """Make room for the next, and tell."""
        error = outcome if isinstance(outcome, Exception) else None
        self._admitted.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)
        self._tell(outcome)

    def _left_s(self) -> float:
        left_s = self._expires - self._predictor.clock()
        if left_s <= 0:
            raise DeadlineExceeded("the time for this request ran out")
        return left_s


def _answered(asked: Asked, outputs: Tensors) -> Prediction | Exception:
    try:
        return asked.answered(outputs)
    except Exception as error:  # noqa: BLE001 (told)
        return error
