"""The Open Inference Protocol over gRPC: inference.GRPCInferenceService. Only translates, for oip.py."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import grpc

from serving.gateway import oip
from serving.gateway.grpc_questions import Method
from serving.gateway.grpc_scope import Scope, answered
from serving.gateway.health import is_ready, models_health
from serving.gateway.model_server import Tensor
from serving.gateway.parts import Parts
from serving.gateway.predictor import Call, Prediction
from serving.gateway.raw_tensors import RawTensor, TensorBatch
from serving.gateway.violations import Path, invalid
from serving.generated.inference import open_inference_pb2 as wire

SERVICE = wire.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name

# The field of InferTensorContents that holds a datatype. 16-bit floats have none.
CONTENTS = {
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
}


def inference_service(parts: Parts) -> grpc.GenericRpcHandler:
    """The handlers of all that predicts nothing."""
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            answered(parts, verb, view), request.FromString, lambda reply: reply.SerializeToString()
        )
        for name, verb, request, view in METHODS
    }
    return grpc.method_handlers_generic_handler(SERVICE, handlers)


def server_live(_parts: Parts, _request: wire.ServerLiveRequest, _scope: Scope) -> wire.ServerLiveResponse:
    """Who answers is alive."""
    return wire.ServerLiveResponse(live=True)


def server_ready(parts: Parts, _request: wire.ServerReadyRequest, _scope: Scope) -> wire.ServerReadyResponse:
    """Whether every configured model is on offer."""
    ready = is_ready(models_health(parts.offers), draining=parts.draining.is_set())
    return wire.ServerReadyResponse(ready=ready)


def model_ready(parts: Parts, request: wire.ModelReadyRequest, scope: Scope) -> wire.ModelReadyResponse:
    """Whether that version is on offer."""
    scope.model = request.name
    ready = oip.is_model_ready(parts, request.name, request.version, scope.timeout_s)
    return wire.ModelReadyResponse(ready=ready)


def server_metadata(_parts: Parts, _request: wire.ServerMetadataRequest, _scope: Scope) -> wire.ServerMetadataResponse:
    """Who answers. The extensions are HTTP's."""
    return wire.ServerMetadataResponse(name=oip.SERVER_NAME, version=oip.SERVER_VERSION, extensions=oip.EXTENSIONS)


def model_metadata(parts: Parts, request: wire.ModelMetadataRequest, scope: Scope) -> wire.ModelMetadataResponse:
    """The tensors that a model takes and gives."""
    scope.model = request.name
    about = oip.model_metadata(parts, request.name, request.version, scope.timeout_s)
    return wire.ModelMetadataResponse(**asdict(about))


def inferred(request: wire.ModelInferRequest, prediction: Prediction) -> wire.ModelInferResponse:
    """Output tensors for input tensors; as raw bytes where those came so."""
    version = str(prediction.offer.version)
    reply = wire.ModelInferResponse(model_name=request.model_name, model_version=version, id=request.id)
    reply.parameters["digest"].string_param = prediction.offer.contract.digest
    for name in _output_names(request) or prediction.outputs:
        _add_output(reply, name, prediction.outputs[name], is_raw=bool(request.raw_input_contents))
    return reply


# method, verb in the metrics (the HTTP door's words), request, view
METHODS: tuple[tuple[str, str, Any, Callable[..., Any]], ...] = (
    ("ServerLive", "oip_live", wire.ServerLiveRequest, server_live),
    ("ServerReady", "oip_ready", wire.ServerReadyRequest, server_ready),
    ("ModelReady", "oip_model_ready", wire.ModelReadyRequest, model_ready),
    ("ServerMetadata", "oip_server", wire.ServerMetadataRequest, server_metadata),
    ("ModelMetadata", "oip_metadata", wire.ModelMetadataRequest, model_metadata),
)


def _infer(parts: Parts, request: wire.ModelInferRequest, scope: Scope) -> Call:
    scope.model = request.model_name
    parts.offers.watch(request.model_name)  # an unknown model is the first thing to say
    return Call(request.model_name, oip.selector(request.model_version), "predict", _batch(request))


PREDICTIONS = (Method(f"/{SERVICE}/ModelInfer", "infer", wire.ModelInferRequest, _infer, inferred),)


def _output_names(request: wire.ModelInferRequest) -> tuple[str, ...]:
    return tuple(output.name for output in request.outputs)


def _batch(request: wire.ModelInferRequest) -> TensorBatch:
    oip.refuse_many(len(request.outputs), ("outputs",))
    oip.refuse_many(len(request.inputs), ("inputs",))
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise invalid(("raw_input_contents",), f"expected one an input, {len(request.inputs)}, got {len(raw)}")
    for index, output in enumerate(request.outputs):
        oip.refuse_parameters(output.parameters, ("outputs", index))
    inputs = tuple(_input(request, index) for index in range(len(request.inputs)))
    return TensorBatch(inputs, _output_names(request))


def _input(request: wire.ModelInferRequest, index: int) -> RawTensor:
    tensor, path = request.inputs[index], ("inputs", index)
    oip.refuse_parameters(tensor.parameters, path)
    return RawTensor(tensor.name, tensor.datatype, tuple(tensor.shape), _values(request, index, path))


def _values(request: wire.ModelInferRequest, index: int, path: Path) -> list[Any] | bytes:
    tensor = request.inputs[index]
    if not request.raw_input_contents:
        field = CONTENTS.get(tensor.datatype)
        return list(getattr(tensor.contents, field)) if field else []  # no other datatype is ever taken
    if tensor.HasField("contents"):
        raise invalid((*path, "contents"), "expected contents or raw_input_contents, got both")
    return request.raw_input_contents[index]


def _add_output(reply: wire.ModelInferResponse, name: str, tensor: Tensor, *, is_raw: bool) -> None:
    output = reply.outputs.add(name=name, datatype="FP32", shape=tensor.shape)
    if is_raw:
        reply.raw_output_contents.append(tensor.astype("<f4", copy=False).tobytes())
    else:
        output.contents.fp32_contents.extend(tensor.ravel().tolist())
