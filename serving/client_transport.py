"""What the client's transports have in common: the call, the answer, the refusal. Standard library only."""

import re
from dataclasses import dataclass, field
from typing import Any, Protocol, TypedDict

from serving.errors import ServingError


class Prediction(TypedDict, total=False):
    """One instance's answer: the first five of a classification, the next three of a regression, the last of both."""

    class_name: str
    class_id: int
    probability: float
    probabilities: dict[str, float]
    prediction_set: dict[str, Any]  # level, class_names
    top_k: list[dict[str, Any]]  # class_name, class_id, probability
    value: float
    unit: str
    interval: dict[str, float]  # level, low, high
    in_domain: bool
    domain_score: float


@dataclass(frozen=True)
class Answer:
    """Predictions in the order of the instances, and the model that made them."""

    model: str
    version: str
    digest: str
    predictions: list[Prediction]
    request_id: str = ""


class ProblemError(Exception):
    """The gateway refused or failed.

    `problem` is its application/problem+json document; over gRPC the same is made of the status and its details.
    """

    def __init__(self, status: int, problem: dict[str, Any], retry_after_s: float | None = None) -> None:
        super().__init__(f"{status} {problem.get('title', '')}: {problem.get('detail', '')}")
        self.status = status  # HTTP's
        self.problem = problem
        self.retry_after_s = retry_after_s  # seconds until asking again makes sense; None: it does not

    @property
    def errors(self) -> list[tuple[str, str]]:
        """(JSON pointer, detail) of each place where an input breaks the contract."""
        return [(error["pointer"], error["detail"]) for error in self.problem.get("errors", ())]


@dataclass(frozen=True)
class Call:
    """A request for predictions."""

    verb: str
    model: str
    instances: list[Any] = field(repr=False)  # plain
    version: int | str | None
    top_k: int | None
    request_id: str

    @property
    def key(self) -> tuple[str, int | str | None]:
        """What is asked: a model, and which version of it."""
        return self.model, self.version


@dataclass(frozen=True)
class Tls:
    """PEM files for https:// and grpcs://."""

    ca_file: str | None = None  # who may vouch for the gateway; the system's authorities where it is None
    cert_file: str | None = None  # who the client is, where the gateway asks
    key_file: str | None = None


class Transport(Protocol):
    """One way to a gateway. Every method may raise ProblemError, OSError or http.client.HTTPException."""

    def readiness(self, timeout_s: float) -> tuple[bool, dict[str, Any]]:
        """Whether every model is on offer, and the document that says why not."""

    def models(self, timeout_s: float) -> dict[str, Any]:
        """The configured models."""

    def contract(self, model: str, version: int | str | None, timeout_s: float) -> str:
        """A contract's JSON."""

    def predict(self, call: Call, timeout_s: float) -> Answer:
        """Predictions."""

    def close(self) -> None:
        """Let go of the connection."""


def refusal(error: ServingError, request_id: str) -> ProblemError:
    """What the gateway would answer to a call that need not be sent."""
    from serving.gateway.problems import problem_of  # brings Werkzeug, which no call needs that is answered

    document = problem_of(error).document(request_id)
    return ProblemError(document["status"], document)


def is_number(version: int | str) -> bool:
    """Whether this names a version by its number; else it is a label."""
    return re.fullmatch(r"[0-9]+", str(version)) is not None


def bearer(api_key: str | None) -> dict[str, str]:
    """The header that carries the key; gRPC's metadata have lower-case names.

    Raises:
        ValueError: no header can carry it. The message does not repeat it.
    """
    if api_key and not (api_key.isascii() and api_key.isprintable()):
        raise ValueError("expected an API key of one line of printable ASCII characters, got others among them")
    return {"authorization": f"Bearer {api_key}"} if api_key else {}
