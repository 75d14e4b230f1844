"""What the gateway needs of a model server, in TensorFlow Serving's words. Knows no transport."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from serving.contract import DEFAULT_SIGNATURE

# A tensor; a string tensor is an object array of bytes.
Tensor = NDArray[Any]
Tensors = Mapping[str, Tensor]

AVAILABLE = "AVAILABLE"


@dataclass(frozen=True)
class VersionStatus:
    """One version of a model as its server sees it."""

    version: int
    state: str  # START, LOADING, AVAILABLE, UNLOADING or END
    error_code: str  # "OK", or why it is not AVAILABLE
    error_message: str


class VersionGone(Exception):
    """The model server no longer has the version it was asked for."""


class UnknownLabel(Exception):
    """The model server gives no version of that model this label."""


# Hears how a prediction ended: its outputs, or the error that says why there are none.
Then = Callable[[Tensors | Exception], None]


class SignatureRunner(Protocol):
    """What answers predictions: a model server, or something in front of one."""

    def predict(
        self, model: str, version: int, inputs: Tensors, timeout_s: float, signature: str = DEFAULT_SIGNATURE
    ) -> dict[str, Tensor]:
        """Run one signature of exactly this version.

        Raises:
            VersionGone: the server does not have it.
            ModelServerUnreachable, DeadlineExceeded, ModelServerFault: there is no answer.
        """


class ModelServer(SignatureRunner, Protocol):
    """A TensorFlow Serving compatible server.

    Every call may raise ModelServerUnreachable, DeadlineExceeded or ModelServerFault.
    """

    @property
    def losses(self) -> int:
        """How often the connection was lost so far: when it grows, another server may be answering."""

    def start_predict(
        self,
        model: str,
        version: int,
        batches: Sequence[Tensors],
        timeout_s: float,
        then: Then,
        *,
        signature: str = DEFAULT_SIGNATURE,
    ) -> None:
        """Run one signature of exactly this version, on batches as if they were one, and do not wait.

        `then` hears, from any thread. What `predict` raises at once, this may raise too.
        """

    def versions(self, model: str, timeout_s: float) -> tuple[VersionStatus, ...]:
        """Every version the server knows of, newest first; none if it does not know the model."""

    def labelled(self, model: str, label: str, timeout_s: float) -> int:
        """The version that bears a label now.

        Raises:
            UnknownLabel: none does.
            VersionGone: one does, but the server does not have it.
        """

    def close(self) -> None:
        """Let go of the connection."""
