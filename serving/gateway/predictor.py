"""What a prediction is: be admitted, find the offer, check the task and the instances, ask the model server, answer.

Knows no transport: every door translates to and from this.
"""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from serving.contract import ModelContract
from serving.errors import DeadlineExceeded, ModelNotReady, WrongTask
from serving.gateway import phases
from serving.gateway.admission import Admission
from serving.gateway.answers import Answer, check_top_k, to_answers
from serving.gateway.encoded_images import endless
from serving.gateway.instances import Instances, check_batch, read_instances, split_block
from serving.gateway.model_server import SignatureRunner, Tensors, VersionGone
from serving.gateway.outputs import Outputs, check_outputs

# The verb of each task; `predict` fits every task.
TASK_OF_VERB: Mapping[str, str | None] = {
    "classify": "classification",
    "regress": "regression",
    "predict": None,
}
# How often one call may move to another version because its own was taken down meanwhile.
MAX_VERSION_CHANGES = 3


@dataclass(frozen=True)
class Offer:
    """A version of a model that is served and has shown that it keeps its contract."""

    contract: ModelContract
    version: int


@dataclass(frozen=True)
class Label:
    """A name that the model server's configuration gives to one version."""

    name: str


# Which version of a model: that number, the one that bears the label, or the newest on offer.
Selector = int | Label | None


class Call(NamedTuple):
    """One request for predictions, as any door understands it."""

    model: str
    version: Selector
    verb: str  # a key of TASK_OF_VERB
    # JSON, where an image may also be bytes or an EncodedImage; or all a PixelBlock or a TensorBatch; not checked yet
    instances: Any
    top_k: Any = None  # JSON, not checked yet


@dataclass(frozen=True)
class Prediction:
    """What the model gave for a call, and who it was."""

    offer: Offer
    outputs: Outputs
    top_k: int | None = None

    @cached_property
    def answers(self) -> list[Answer]:
        """One an instance, in the words of the domain."""
        return to_answers(self.offer.contract, self.outputs, self.top_k)


class Asked(NamedTuple):
    """A call whose instances are the model's tensors."""

    offer: Offer
    inputs: Tensors
    top_k: int | None = None

    @property
    def rows(self) -> int:
        """How many instances."""
        return len(next(iter(self.inputs.values())))

    def answered(self, outputs: Tensors) -> Prediction:
        """What the model server gave, if it is what the contract promises."""
        phases.lap("model_server")
        return Prediction(self.offer, check_outputs(self.offer.contract, outputs, self.rows), self.top_k)


class OfferBook(Protocol):
    """What is on offer; offers.py keeps it."""

    def find(self, model: str, version: Selector, timeout_s: float) -> Offer:
        """The offer, or UnknownModel, ModelNotReady, ModelServerUnreachable."""

    def replace(self, gone: Offer, timeout_s: float) -> None:
        """Take an offer down whose version the model server no longer has, and look for another."""


class Predictor:
    """Answers calls. One a process, used by many threads."""

    def __init__(
        self,
        offers: OfferBook,
        server: SignatureRunner,
        max_instances: int,
        clock: Callable[[], float] = time.monotonic,
        admission: Admission | None = None,
    ) -> None:
        """Without an `admission` all calls begin."""
        self.admission = admission or Admission(sys.maxsize, clock)
        self._offers = offers
        self._server = server
        self._max_instances = max_instances
        self._clock = clock

    def predict(self, call: Call, timeout_s: float) -> Prediction:
        """Answer one call within the time given, or raise a ServingError."""
        with self.admission.admit(call.model, timeout_s):
            return self._answer(call, self._clock() + timeout_s)

    def _answer(self, call: Call, expires: float) -> Prediction:
        """Of the newest version, or of the one named, however often it changes meanwhile."""
        for _ in range(1 + MAX_VERSION_CHANGES):
            offer = self._offers.find(call.model, call.version, self._left(expires))
            try:
                return self._ask(call, offer, expires)
            except VersionGone:
                self._offers.replace(offer, self._left(expires))
        raise ModelNotReady(call.model, "its versions went away faster than they could be asked")

    def _ask(self, call: Call, offer: Offer, expires: float) -> Prediction:
        asked = prepare(call, offer, self._max_instances, lambda: self._left(expires))
        left_s = self._left(expires)
        outputs = self._server.predict(call.model, offer.version, asked.inputs, left_s, offer.contract.signature)
        return asked.answered(outputs)

    def _left(self, expires: float) -> float:
        """Seconds left of the call's time."""
        left = expires - self._clock()
        if left <= 0:
            raise DeadlineExceeded("the time for this request ran out")
        return left


def check_verb(verb: str, contract: ModelContract) -> None:
    """Refuse a verb of another task."""
    if TASK_OF_VERB[verb] not in (None, contract.task):
        raise WrongTask(contract.name, contract.task, verb)


def prepare(call: Call, offer: Offer, max_instances: int, time_left_s: Callable[[], float] = endless) -> Asked:
    """Check a call against the contract, and make tensors of it, in the time that is left."""
    check_verb(call.verb, offer.contract)
    instances = check_batch(split_block(offer.contract, call.instances), max_instances)
    top_k = check_top_k(offer.contract, call.top_k)
    inputs = read_instances(offer.contract, instances, time_left_s)
    phases.lap("validation")
    return Asked(offer, inputs, top_k)


def infer(server: SignatureRunner, offer: Offer, instances: Instances, time_left_s: Callable[[], float]) -> Outputs:
    """Raw instances → every output the contract promises. Goldens go this way, which is the one of clients' calls."""
    contract, asked = offer.contract, Asked(offer, read_instances(offer.contract, instances))
    outputs = server.predict(contract.name, offer.version, asked.inputs, time_left_s(), contract.signature)
    return asked.answered(outputs).outputs
