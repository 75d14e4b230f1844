"""The gRPC door: atelier.prediction.v1.PredictionService. Only translates, for the predictor."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import grpc

from serving import contract
from serving.gateway.answer_messages import answer_messages
from serving.gateway.encoded_images import EncodedImage
from serving.gateway.grpc_questions import Method
from serving.gateway.grpc_scope import Scope, answered
from serving.gateway.listing import list_model
from serving.gateway.outputs import Outputs
from serving.gateway.parts import Parts
from serving.gateway.predictor import Call, Label, Offer, Prediction, Selector
from serving.generated.atelier.prediction.v1 import prediction_pb2 as wire

SERVICE = wire.DESCRIPTOR.services_by_name["PredictionService"].full_name


def prediction_service(parts: Parts) -> grpc.GenericRpcHandler:
    """The handlers of all that predicts nothing."""
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            answered(parts, verb, view), request.FromString, lambda reply: reply.SerializeToString()
        )
        for name, verb, request, view in METHODS
    }
    return grpc.method_handlers_generic_handler(SERVICE, handlers)


def classification(_request: wire.ClassifyRequest, prediction: Prediction) -> wire.ClassifyResponse:
    """A class for each instance."""
    return wire.ClassifyResponse(model=_maker(prediction.offer), predictions=prediction.answers)


def regression(_request: wire.RegressRequest, prediction: Prediction) -> wire.RegressResponse:
    """A value for each instance."""
    return wire.RegressResponse(model=_maker(prediction.offer), predictions=prediction.answers)


def replies(offer: Offer, outputs: Outputs, sizes: Sequence[int]) -> list[bytes]:
    """To requests of so many instances, without top_k: a serialised ClassifyResponse or RegressResponse each."""
    maker = wire.ClassifyResponse(model=_maker(offer)).SerializeToString()  # in both the same field
    return [maker + predictions for predictions in answer_messages(offer.contract, outputs, sizes)]


def list_models(parts: Parts, _request: wire.ListModelsRequest, _scope: Scope) -> wire.ListModelsResponse:
    """All configured models: which version answers, and the state of each."""
    models = (list_model(parts.offers, model) for model in parts.offers.watches)
    return wire.ListModelsResponse(models=[wire.Model(**asdict(model)) for model in models])


def get_model(parts: Parts, request: wire.GetModelRequest, scope: Scope) -> wire.GetModelResponse:
    """The contract of the version on offer."""
    scope.model = request.model
    offer = parts.offers.find(request.model, _version(request), scope.timeout_s)
    return wire.GetModelResponse(model=_maker(offer), contract=contract.to_json(offer.contract))


# method, verb in the metrics (the HTTP door's words), request, view
METHODS: tuple[tuple[str, str, Any, Callable[..., Any]], ...] = (
    ("ListModels", "list", wire.ListModelsRequest, list_models),
    ("GetModel", "metadata", wire.GetModelRequest, get_model),
)


def _classify(_parts: Parts, request: wire.ClassifyRequest, scope: Scope) -> Call:
    return _call("classify", request, scope, request.top_k if request.HasField("top_k") else None)


def _regress(_parts: Parts, request: wire.RegressRequest, scope: Scope) -> Call:
    return _call("regress", request, scope)


PREDICTIONS = (
    Method(f"/{SERVICE}/Classify", "classify", wire.ClassifyRequest, _classify, classification, replies),
    Method(f"/{SERVICE}/Regress", "regress", wire.RegressRequest, _regress, regression, replies),
)


def _call(
    verb: str, request: wire.ClassifyRequest | wire.RegressRequest, scope: Scope, top_k: int | None = None
) -> Call:
    scope.model = request.model
    instances = [_instance(instance) for instance in request.instances]
    return Call(request.model, _version(request), verb, instances, top_k)


def _instance(instance: wire.Instance) -> Any:
    """As a JSON door would have it, but for images, which stay bytes; None where nothing is set."""
    if pixels := instance.image.pixels:  # what is not set reads as empty; to ask what is set takes four times as long
        return pixels
    match instance.WhichOneof("input"):
        case "features":
            return dict(instance.features.values)
        case "image":
            return _image(instance.image)
    return None


def _image(image: wire.Image) -> bytes:
    return EncodedImage(image.encoded) if image.WhichOneof("data") == "encoded" else image.pixels


def _version(request: wire.ClassifyRequest | wire.RegressRequest | wire.GetModelRequest) -> Selector:
    match request.WhichOneof("version_choice"):
        case "version":
            return request.version
        case "version_label":
            return Label(request.version_label)
    return None


def _maker(offer: Offer) -> wire.ModelVersion:
    return wire.ModelVersion(name=offer.contract.name, version=offer.version, digest=offer.contract.digest)
