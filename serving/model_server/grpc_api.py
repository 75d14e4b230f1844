"""The gRPC door: PredictionService and ModelService. Translates calls and statuses, decides nothing."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving.model_server import metrics
from serving.model_server.classify import run_classify
from serving.model_server.model_status import check_metadata_fields, metadata_response, status_response
from serving.model_server.multi_inference import run_multi_inference
from serving.model_server.regress import run_regress
from serving.model_server.server_core import ServerCore
from serving.model_server.state_monitor import WaitCancelled
from serving.model_server.status import Code, StatusError, invalid_argument

# tensorflow_serving/model_servers/grpc_status_util.cc
_MESSAGE_LIMIT = 1024

_FOREVER_S = 365 * 24 * 3600.0

_GRPC_CODES = {code.value[0]: code for code in grpc.StatusCode}

_Reply = TypeVar("_Reply")


def status_details(error: StatusError) -> str:
    """The text of an error, cut where the original cuts it."""
    message = error.message
    return message if len(message) <= _MESSAGE_LIMIT else message[:_MESSAGE_LIMIT] + "...TRUNCATED"


def _answer(context: grpc.ServicerContext, call: Callable[[], _Reply]) -> _Reply:
    """Make the call; a StatusError becomes the status of the rpc."""
    try:
        return call()
    except StatusError as error:
        context.abort(_GRPC_CODES[error.code], status_details(error))
        raise AssertionError("abort returned") from error


def _measured(api: str, model: str, call: Callable[[], _Reply]) -> _Reply:
    """Make the call, and count it."""
    start_s, code = time.perf_counter(), Code.INTERNAL
    try:
        reply = call()
        code = Code.OK
    except StatusError as error:
        code = error.code
        raise
    finally:
        metrics.record_request(model, api, "GRPC", code, start_s)
    return reply


def _timeout_s(context: grpc.ServicerContext) -> float | None:
    """The time the client still waits; None if it waits for ever, which gRPC gives as centuries."""
    remaining_s: float | None = context.time_remaining()
    return None if remaining_s is None or remaining_s > _FOREVER_S else remaining_s


def need_model_spec(request: Any) -> None:
    """Refuse a request that names no model."""
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):  # type: ignore[misc]
    """Inference, and what a model's signatures are. Predict is not here but in grpc_predict.py."""

    def __init__(self, core: ServerCore) -> None:
        self._core = core

    def Classify(  # noqa: N802
        self, request: classification_pb2.ClassificationRequest, context: grpc.ServicerContext
    ) -> classification_pb2.ClassificationResponse:
        """Run a signature on tf.Examples; labels and scores."""

        def call() -> classification_pb2.ClassificationResponse:
            need_model_spec(request)
            with self._core.handle(request.model_spec) as servable:
                return run_classify(servable, request, _timeout_s(context))

        return _answer(context, lambda: _measured("Classify", request.model_spec.name, call))

    def Regress(  # noqa: N802
        self, request: regression_pb2.RegressionRequest, context: grpc.ServicerContext
    ) -> regression_pb2.RegressionResponse:
        """Run a signature on tf.Examples; a number each."""

        def call() -> regression_pb2.RegressionResponse:
            need_model_spec(request)
            with self._core.handle(request.model_spec) as servable:
                return run_regress(servable, request, _timeout_s(context))

        return _answer(context, lambda: _measured("Regress", request.model_spec.name, call))

    def MultiInference(  # noqa: N802
        self, request: inference_pb2.MultiInferenceRequest, context: grpc.ServicerContext
    ) -> inference_pb2.MultiInferenceResponse:
        """Run several signatures on the same tf.Examples; the first task's ModelSpec picks the version."""

        def call() -> inference_pb2.MultiInferenceResponse:
            spec = request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()
            with self._core.handle(spec) as servable:
                return run_multi_inference(servable, request, _timeout_s(context))

        return _answer(context, call)

    def GetModelMetadata(  # noqa: N802
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """All signatures of a model."""

        def call() -> get_model_metadata_pb2.GetModelMetadataResponse:
            need_model_spec(request)
            check_metadata_fields(request.metadata_field)
            with self._core.handle(request.model_spec) as servable:
                return metadata_response(servable)

        return _answer(context, call)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):  # type: ignore[misc]
    """The state of models, and their configuration."""

    def __init__(self, core: ServerCore) -> None:
        self._core = core

    def GetModelStatus(  # noqa: N802
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """The state of a model's versions."""

        def call() -> get_model_status_pb2.GetModelStatusResponse:
            need_model_spec(request)
            return status_response(request.model_spec, self._core.monitor.versions(request.model_spec.name))

        return _answer(context, call)

    def HandleReloadConfigRequest(  # noqa: N802
        self, request: model_management_pb2.ReloadConfigRequest, context: grpc.ServicerContext
    ) -> model_management_pb2.ReloadConfigResponse:
        """Serve another configuration."""

        def call() -> model_management_pb2.ReloadConfigResponse:
            if request.config.WhichOneof("config") != "model_config_list":
                raise invalid_argument(
                    "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is "
                    "currently supported"
                )
            before = {name: metrics.REGISTRY.first_value(name) for name in request.metric_names}
            try:
                self._core.reload(request.config)
            except WaitCancelled as error:
                raise StatusError(Code.CANCELLED, "The server is shutting down") from error
            response = model_management_pb2.ReloadConfigResponse()
            response.status.error_code = Code.OK
            for name, value in before.items():
                response.metric.add(name=name, int64_value_increase=metrics.REGISTRY.first_value(name) - value)
            return response

        return _answer(context, call)
