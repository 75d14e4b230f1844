"""A loaded model version: its signatures, and a way to run its graph. Knows arrays and tensor names, no protocol.

The engine behind it is a `Runner`: a TensorFlow session here, a TFLite interpreter or a batching queue elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from serving.model_server.tensors import Array, base_dtype

DEFAULT_SIGNATURE = "serving_default"  # tensorflow/cc/saved_model/signature_constants.h


@dataclass(frozen=True, order=True)
class ServableId:
    """One version of one model."""

    name: str
    version: int

    def __str__(self) -> str:
        return f"{{name: {self.name} version: {self.version}}}"


class Runner(Protocol):
    """Runs a part of a graph."""

    def run(self, feeds: Mapping[str, Array], fetches: Sequence[str], timeout_s: float | None) -> list[Array]:
        """Feed arrays by tensor name, fetch tensors by name.

        Raises:
            StatusError: what the graph, or the queue in front of it, says against it.
        """
        ...

    def close(self) -> None:
        """Give back what the model holds. Nobody runs it any more."""
        ...


@dataclass(frozen=True)
class Signature:
    """What Predict needs of a SignatureDef, in plain dictionaries: it takes microseconds to ask a protobuf map."""

    method_name: str
    inputs: Mapping[str, str]  # alias -> tensor name
    outputs: Mapping[str, tuple[str, int]]  # alias -> tensor name, tensorflow.DataType
    defaults: Mapping[str, Any]  # alias -> TensorProto


@dataclass(frozen=True)
class Servable:
    """What requests are served from."""

    id: ServableId
    signatures: Mapping[str, Any]  # signature name -> tensorflow.SignatureDef
    runner: Runner
    checks_method_names: bool = False  # whether a signature serves only the method that it names

    @cached_property
    def predict_signatures(self) -> Mapping[str, Signature]:
        """The signatures, for Predict."""
        return {
            name: Signature(
                definition.method_name,
                {alias: info.name for alias, info in definition.inputs.items()},
                {alias: (info.name, base_dtype(info.dtype)) for alias, info in definition.outputs.items()},
                dict(definition.defaults),
            )
            for name, definition in self.signatures.items()
        }
