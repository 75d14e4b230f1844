"""Stand-ins for what lies across a process border. Nothing here needs TensorFlow.

`FakeModelServer` keeps the gateway's ModelServer protocol in memory; `WireModelServer` puts one behind a gRPC socket.
The models are computable in your head: a picture's class is the column of its brightest pixel, a house costs the sum of
its features. The `full_` contracts promise everything a contract can: sets, intervals, a domain score.
"""

import dataclasses
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np

from serving.contract import (
    DEFAULT_SIGNATURE,
    ClassOutput,
    Domain,
    Evaluation,
    Feature,
    FeatureInput,
    FeatureTensor,
    Golden,
    ImageInput,
    Interval,
    ModelContract,
    PredictionSet,
    Provenance,
    ValueOutput,
    to_json,
)
from serving.errors import ModelServerFault, ModelServerUnreachable
from serving.gateway import tensors
from serving.gateway.batches import join
from serving.gateway.model_server import (
    AVAILABLE,
    Tensor,
    Tensors,
    Then,
    UnknownLabel,
    VersionGone,
    VersionStatus,
)
from serving.gateway.model_server_client import GET_MODEL_STATUS, PREDICT
from serving.generated.atelier.modelserver.v1 import model_server_pb2 as wire

CLASS_NAMES = ("left", "middle", "right")
FEATURES = ("rooms", "age")

_ORIGIN: Mapping[str, Any] = {
    "digest": "sha256:0",
    "golden_tolerance": 1e-4,
    "evaluation": Evaluation("test", 3, {"accuracy": 1.0}),
    "provenance": Provenance("2026-01-01T00:00:00Z", "made up", "sha256:0", 0, {}, "unknown", {}),
}


def picture_contract(name: str = "pictures", **changes: Any) -> ModelContract:
    """A classifier of 2 x 3 pictures: the class is the column of the brightest pixel."""
    bright_right = [[0, 0, 255], [0, 0, 0]]
    contract = ModelContract(
        name=name,
        task="classification",
        description="Which side is bright",
        input=ImageInput("pixels", (2, 3), 0, 255, 1 / 255),
        output=ClassOutput("probabilities", CLASS_NAMES),
        goldens=(Golden(bright_right, {"probabilities": (0.0, 0.0, 1.0)}),),
        **_ORIGIN,
    )
    return dataclasses.replace(contract, **changes)


def house_contract(name: str = "houses", **changes: Any) -> ModelContract:
    """A regression whose value is the sum of the features."""
    contract = ModelContract(
        name=name,
        task="regression",
        description="What a house costs",
        input=FeatureInput(
            tuple(Feature(feature, "1", feature, 0.0, 100.0) for feature in FEATURES),
            (FeatureTensor("features", FEATURES),),
        ),
        output=ValueOutput("value", "EUR"),
        goldens=(Golden({"rooms": 3, "age": 4}, {"value": (7.0,)}),),
        **_ORIGIN,
    )
    return dataclasses.replace(contract, **changes)


def full_picture_contract(name: str = "pictures") -> ModelContract:
    """A picture is in domain up to a mean brightness of a half; the 0.9 set holds the classes from 0.25 on."""
    bright_right = [[0, 0, 255], [0, 0, 0]]
    return picture_contract(
        name,
        output=ClassOutput("probabilities", CLASS_NAMES, PredictionSet(0.9, 0.25)),
        domain=Domain("mean", 0.5, "how bright the picture is"),
        goldens=(Golden(bright_right, {"probabilities": (0.0, 0.0, 1.0), "mean": (1 / 6,)}),),
    )


def full_house_contract(name: str = "houses") -> ModelContract:
    """A house costs from 1 less to 2 more, nine times of ten; it is in domain up to a largest feature of 100."""
    return house_contract(
        name,
        output=ValueOutput("value", "EUR", Interval(0.9, "low", "high")),
        domain=Domain("largest", 100.0, "the largest feature"),
        goldens=(Golden({"rooms": 3, "age": 4}, {"value": (7.0,), "low": (6.0,), "high": (9.0,), "largest": (4.0,)}),),
    )


def with_raw_signature(contract: ModelContract, name: str = "raw") -> ModelContract:
    """The same of a model that also takes pixels as they are."""
    return dataclasses.replace(contract, input=dataclasses.replace(contract.input, raw_signature=name))


def run_signature(contract: ModelContract, signature: str, inputs: Tensors) -> dict[str, Tensor]:
    """One signature of a fake model, as strict about its name and its inputs' types as a graph is."""
    raw = contract.input.raw_signature if isinstance(contract.input, ImageInput) else None
    if signature not in (DEFAULT_SIGNATURE, raw):
        raise ModelServerFault(f'Serving signature name: "{signature}" not found in signature def')
    expected = np.dtype(np.uint8 if signature == raw else np.float32)
    if wrong := {name: str(tensor.dtype) for name, tensor in inputs.items() if tensor.dtype != expected}:
        raise ModelServerFault(f"{signature} expects {expected}, got {wrong}")
    if signature == raw:
        inputs = {name: tensor.astype(np.float32) * np.float32(contract.input.scale) for name, tensor in inputs.items()}
    return run(contract, inputs)


def run(contract: ModelContract, inputs: Tensors) -> dict[str, Tensor]:
    """What the fake models compute, from tensors already scaled. Always all outputs: a contract may name fewer."""
    if contract.task == "classification":
        brightness = inputs["pixels"].max(axis=1)  # (batch, columns)
        return {
            "probabilities": (brightness / np.maximum(brightness.sum(axis=1, keepdims=True), 1)).astype(np.float32),
            "mean": inputs["pixels"].mean(axis=(1, 2), dtype=np.float32)[:, None],
        }
    value = inputs["features"].sum(axis=1, keepdims=True, dtype=np.float32)
    return {"value": value, "low": value - 1, "high": value + 2, "largest": inputs["features"].max(axis=1)[:, None]}


class FakeModelServer:
    """A ModelServer in memory. Tests change `contracts`, `states` and what is broken as they go."""

    def __init__(self, *contracts: ModelContract) -> None:
        self.contracts: dict[tuple[str, int], ModelContract] = {(c.name, 1): c for c in contracts}
        self.states: dict[tuple[str, int], str] = {}  # where it is not AVAILABLE
        self.documents: dict[tuple[str, int], Mapping[str, str]] = {}  # what the signature of that name answers
        self.labels: dict[tuple[str, str], int] = {}
        self.labels_asked = 0
        self.broken: Exception | None = None  # raised by every call
        # Raised by predictions alone: a watch that looks meanwhile keeps the model on offer.
        self.broken_predictions: Exception | None = None
        self.losses = 0
        self.calls: list[tuple[str, int, str]] = []  # model, version, signature of every predict

    def predict(
        self, model: str, version: int, inputs: Tensors, timeout_s: float, signature: str = DEFAULT_SIGNATURE
    ) -> dict[str, Tensor]:
        self.calls.append((model, version, signature))
        if fault := self.broken or self.broken_predictions:
            raise fault
        contract = self.contracts.get((model, version))
        if contract is None:
            raise VersionGone(f"Servable not found for request: Specific({model}, {version})")
        if signature == "contract":
            return {"contract": np.array([to_json(contract).encode()] * len(inputs["probe"]), object)}
        if signature == "documents":
            texts = self.documents[model, version].items()
            return {name: np.array([text.encode()] * len(inputs["probe"]), object) for name, text in texts}
        return run_signature(contract, signature, inputs)

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
        """Ended before this returns."""
        try:
            outcome: Tensors | Exception = self.predict(model, version, join(batches), timeout_s, signature)
        except Exception as error:  # noqa: BLE001 (told)
            outcome = error
        then(outcome)

    def versions(self, model: str, timeout_s: float) -> tuple[VersionStatus, ...]:
        if self.broken:
            raise self.broken
        numbers = sorted((version for name, version in self.contracts if name == model), reverse=True)
        return tuple(VersionStatus(n, self.states.get((model, n), AVAILABLE), "OK", "") for n in numbers)

    def labelled(self, model: str, label: str, timeout_s: float) -> int:
        self.labels_asked += 1
        if self.broken:
            raise self.broken
        version = self.labels.get((model, label))
        if version is None:
            raise UnknownLabel(f"Unrecognized servable version label: {label}")
        if (model, version) not in self.contracts:
            raise VersionGone(f"Servable not found for request: Specific({model}, {version})")
        return version

    def close(self) -> None:
        """There is nothing to let go of."""


class WireModelServer:
    """A FakeModelServer behind a real gRPC port, speaking TensorFlow Serving's wire with the gateway's own messages."""

    def __init__(self, fake: FakeModelServer, port: int = 0, credentials: grpc.ServerCredentials | None = None) -> None:
        self.fake = fake
        self.metadata: list[dict[str, str]] = []  # of every prediction
        self.hold = threading.Event()  # clear it to keep predictions waiting
        self.hold.set()
        self._server = grpc.server(
            futures.ThreadPoolExecutor(64),
            options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)],
        )
        methods = {
            PREDICT: (self._predict, wire.PredictRequest),
            GET_MODEL_STATUS: (self._status, wire.GetModelStatusRequest),
        }
        handlers = {
            path: grpc.unary_unary_rpc_method_handler(
                answer, message.FromString, lambda reply: reply.SerializeToString()
            )
            for path, (answer, message) in methods.items()
        }
        self._server.add_generic_rpc_handlers([_ByPath(handlers)])
        address = f"127.0.0.1:{port}"
        if credentials is None:
            self.port = self._server.add_insecure_port(address)
        else:
            self.port = self._server.add_secure_port(address, credentials)
        self._server.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        """As a kill: calls under way are cut off."""
        self._server.stop(0).wait()

    def _predict(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.metadata.append(dict(context.invocation_metadata()))
        self.hold.wait(60)
        spec = request.model_spec
        inputs = {name: tensors.decode(tensor) for name, tensor in request.inputs.items()}
        with _faults_as_codes(context):
            if spec.WhichOneof("version_choice") == "version_label":
                spec.version.value = self.fake.labelled(spec.name, spec.version_label, 0)
            outputs = self.fake.predict(spec.name, spec.version.value, inputs, 0, spec.signature_name)
        reply = wire.PredictResponse(model_spec=spec)
        for name, array in outputs.items():
            reply.outputs[name].CopyFrom(in_typed_field(array))
        return reply

    def _status(self, request: Any, context: grpc.ServicerContext) -> Any:
        with _faults_as_codes(context):
            statuses = self.fake.versions(request.model_spec.name, 0)
        if not statuses:
            context.abort(grpc.StatusCode.NOT_FOUND, "Could not find any versions of model")
        return wire.GetModelStatusResponse(
            model_version_status=[
                wire.ModelVersionStatus(version=s.version, state=wire.State.Value(f"STATE_{s.state}")) for s in statuses
            ]
        )


def in_typed_field(array: Tensor) -> wire.Tensor:
    """As TensorFlow Serving replies: values in float_val or string_val, never in tensor_content."""
    tensor = tensors.encode(array)
    if array.dtype == np.float32:
        tensor.tensor_content = b""
        tensor.float_val = array.astype("<f4").tobytes()
    return tensor


class _ByPath(grpc.GenericRpcHandler):
    def __init__(self, handlers: Mapping[str, grpc.RpcMethodHandler]) -> None:
        self._handlers = handlers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self._handlers.get(handler_call_details.method)


@contextmanager
def _faults_as_codes(context: grpc.ServicerContext) -> Iterator[None]:
    try:
        yield
    except UnknownLabel as error:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    except VersionGone as error:
        context.abort(grpc.StatusCode.NOT_FOUND, str(error))
    except ModelServerUnreachable as error:
        context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
    except ModelServerFault as error:
        context.abort(grpc.StatusCode.INTERNAL, str(error))


class Clock:
    """Time that moves only when told to; seconds."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now
