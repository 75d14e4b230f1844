"""What can go wrong while serving, in our words, sorted by what the caller can do. Knows no transport.

    ServingError
    ├── fix the request:    InvalidInput, WrongTask, UnknownModel, Unauthenticated
    ├── try again later:    TooManyRequests, ModelNotReady, ModelServerUnreachable, Overloaded, DeadlineExceeded
    └── nothing, tell us:   ModelServerFault

Each door owns one table from these to its own codes; a test fails when a class is missing from one.
"""

from dataclasses import dataclass


class ServingError(Exception):
    """The root: whatever a door must turn into an answer."""


@dataclass(frozen=True)
class Violation:
    """One place where an input breaks the contract: what was expected and what kind of thing came, never the value."""

    pointer: str  # JSON pointer (RFC 6901) into the request body
    detail: str


class InvalidInput(ServingError):
    """The request does not meet the model's contract."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        super().__init__(f"{violations[0].pointer}: {violations[0].detail}")
        self.violations = violations


class WrongTask(ServingError):
    """The verb belongs to another task than the model's."""

    def __init__(self, model: str, task: str, verb: str) -> None:
        super().__init__(f"model {model!r} does {task}, so it does not {verb}")
        self.model, self.task, self.verb = model, task, verb


class UnknownModel(ServingError):
    """No such model, version or label."""

    def __init__(self, model: str, detail: str) -> None:
        super().__init__(detail)
        self.model = model


class Unauthenticated(ServingError):
    """The caller has shown no API key, or none that is known."""


class TooManyRequests(ServingError):
    """The caller has sent more requests than its key allows."""

    def __init__(self, requests_per_second: float, retry_after_s: float) -> None:
        super().__init__(f"this API key may send {requests_per_second:g} requests a second")
        self.retry_after_s = retry_after_s


class ModelNotReady(ServingError):
    """The model is configured but not on offer now; the reason says why."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"model {model!r} is not on offer: {reason}")
        self.model, self.reason = model, reason


class ModelServerUnreachable(ServingError):
    """The model server cannot be reached, or refuses work for now."""


class Overloaded(ServingError):
    """There is so much to do already that this was not begun."""


class DeadlineExceeded(ServingError):
    """The answer did not come in the time the caller or the settings allow."""


class ModelServerFault(ServingError):
    """The model server answered, but against the contract or with a fault of its own."""
