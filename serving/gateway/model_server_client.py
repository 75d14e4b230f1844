"""The model server over gRPC: TensorFlow Serving's paths, and its wire format in our own messages (see proto/)."""

import itertools
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
import numpy as np
from google.protobuf.message import DecodeError
from google.protobuf.wrappers_pb2 import Int64Value

from serving.contract import CONTRACT_PROBE, CONTRACT_SIGNATURE, DEFAULT_SIGNATURE
from serving.direct_call import DirectCalls, Ended
from serving.errors import DeadlineExceeded, ModelServerFault, ModelServerUnreachable
from serving.gateway import spans, tensors, turns
from serving.gateway.joined_request import joined_request
from serving.gateway.model_server import (
    Tensor,
    Tensors,
    Then,
    UnknownLabel,
    VersionGone,
    VersionStatus,
)
from serving.gateway.retries import RetryBudget
from serving.generated.atelier.modelserver.v1 import model_server_pb2 as wire

log = logging.getLogger(__name__)

PREDICT = "/tensorflow.serving.PredictionService/Predict"
GET_MODEL_STATUS = "/tensorflow.serving.ModelService/GetModelStatus"

# INVALID_ARGUMENT says many things; this is how TensorFlow Serving says that a label is unknown (server_core.cc).
UNRECOGNIZED_LABEL = "INVALID_ARGUMENT: Unrecognized servable version label"

# A name may stand for several replicas (a headless service); one address is the same as without.
SERVICE_CONFIG: Mapping[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}

OPTIONS = [
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    # A restarted server is found within half a second; gRPC's own back-off goes up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),  # also the time one connection attempt may take
    ("grpc.max_reconnect_backoff_ms", 500),
    # Find out that a connection is dead. A server takes pings with no call between them for abuse (gRFC A8); the
    # watches call every second, so these are never alone.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # Requests are bounded by settings.max_body_bytes; replies are small, but a model may have many classes.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.enable_retries", 1),  # its own, of calls that never left; those that failed are tried again in here, counted
]

LET_GO_AFTER_S = 1.0

# Called after each call: method, gRPC code name, seconds.
ObserveCall = Callable[[str, str, float], None]


class GrpcModelServer:
    """A ModelServer behind a gRPC address. Make it after a fork, never before: a channel does not survive one."""

    def __init__(
        self,
        address: str,
        observe: ObserveCall,
        credentials: grpc.ChannelCredentials | None = None,
        server_name: str = "",
        observe_retry: Callable[[str], None] = lambda _method: None,
    ) -> None:
        """With credentials it speaks TLS; `server_name` is what the server's certificate bears, if not the address."""
        self.losses = 0
        self._was_ready = False
        self._observe = observe
        self._observe_retry = observe_retry
        self._budget = RetryBudget()
        if credentials is None:
            self._channel = grpc.insecure_channel(address, options=OPTIONS)
        else:
            names = [("grpc.ssl_target_name_override", server_name)] if server_name else []
            self._channel = grpc.secure_channel(address, credentials, options=[*OPTIONS, *names])
        self._channel.subscribe(self._on_connectivity)
        self._predict = self._channel.unary_unary(
            PREDICT,
            request_serializer=wire.PredictRequest.SerializeToString,
            response_deserializer=wire.PredictResponse.FromString,
        )
        self._direct_predict = DirectCalls(self._channel, PREDICT)
        self._get_status = self._channel.unary_unary(
            GET_MODEL_STATUS,
            request_serializer=wire.GetModelStatusRequest.SerializeToString,
            response_deserializer=wire.GetModelStatusResponse.FromString,
        )

    def predict(
        self, model: str, version: int, inputs: Tensors, timeout_s: float, signature: str = DEFAULT_SIGNATURE
    ) -> dict[str, Tensor]:
        """Run one signature of exactly this version."""
        spec = wire.ModelSpec(name=model, version=Int64Value(value=version), signature_name=signature)
        return _outputs(self._run(spec, inputs, timeout_s))

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
        """Run one signature, once; `then` hears what `predict` would give or raise, in another thread."""
        spec = wire.ModelSpec(name=model, version=Int64Value(value=version), signature_name=signature)
        began = time.perf_counter()

        def hear(ended: Ended) -> None:
            self._observe("Predict", ended.code.name, time.perf_counter() - began)
            if ended.code is grpc.StatusCode.OK:
                self._budget.succeeded()
            outcome: Tensors | Exception
            try:
                outcome = _outputs(_response(ended))
            except Exception as error:  # noqa: BLE001 (told)
                outcome = error
            then(outcome)

        request = joined_request(spec, batches)
        try:
            self._direct_predict.start(request, timeout_s, hear)
        except ValueError as error:
            raise ModelServerUnreachable("the connection to the model server is closed") from error

    def versions(self, model: str, timeout_s: float) -> tuple[VersionStatus, ...]:
        """Every version the server knows of, newest first; none if it does not know the model."""
        request = wire.GetModelStatusRequest(model_spec=wire.ModelSpec(name=model))
        try:
            response = self._call("GetModelStatus", self._get_status, request, timeout_s)
        except _NotFound:
            return ()
        return tuple(_status(status) for status in response.model_version_status)

    def labelled(self, model: str, label: str, timeout_s: float) -> int:
        """The version that bears a label now.

        No call of TensorFlow Serving lists labels; but whatever it answers names the version, never the label, so the
        cheapest signature that every model here has is asked.
        """
        spec = wire.ModelSpec(name=model, version_label=label, signature_name=CONTRACT_SIGNATURE)
        response = self._run(spec, {CONTRACT_PROBE: np.zeros(1, np.int32)}, timeout_s)
        return int(response.model_spec.version.value)

    def close(self) -> None:
        """Let go of the channel, which closes once nothing uses it.

        Not `channel.close()`, nor at once: its connectivity thread looks at it every 0.2 s until it sees that nobody
        listens, and fails where the channel is closed by then (gRPC 1.85).
        """
        self._direct_predict.close()
        self._channel.unsubscribe(self._on_connectivity)
        letting_go = threading.Timer(LET_GO_AFTER_S, lambda _channel: None, (self._channel,))
        letting_go.daemon = True
        letting_go.start()

    def _run(self, spec: wire.ModelSpec, inputs: Tensors, timeout_s: float) -> wire.PredictResponse:
        try:
            response: wire.PredictResponse = self._again_if_lost(
                "Predict", self._predict, _request(spec, inputs), timeout_s
            )
        except _NotFound as error:
            raise VersionGone(str(error)) from error
        return response

    def _again_if_lost(self, name: str, method: Any, request: Any, timeout_s: float) -> Any:
        """A call that may be made twice, so that a lost connection or a replica that goes away is seen by no client."""
        expires = time.monotonic() + timeout_s
        for attempt in itertools.count(1):
            try:
                reply = self._call(name, method, request, expires - time.monotonic())
            except ModelServerUnreachable as error:
                pause_s = self._budget.pause_s(attempt, expires - time.monotonic()) if _is_lost(error) else None
                if pause_s is None:
                    raise
                log.debug("trying again in %.2f s: %s", pause_s, error)
                self._observe_retry(name)
                with turns.given_up():
                    time.sleep(pause_s)
            else:
                self._budget.succeeded()
                return reply
        raise AssertionError("there is no last number")

    def _call(self, name: str, method: Any, request: Any, timeout_s: float) -> Any:
        """One call, its errors in our words."""
        code, began = "OK", time.perf_counter()
        try:
            with spans.child(f"model server {name}", "client") as span, turns.given_up():
                return method(request, timeout=timeout_s, metadata=span.carried())
        except grpc.RpcError as error:
            code = error.code().name
            raise _in_our_words(error.code(), error.details()) from error
        finally:
            self._observe(name, code, time.perf_counter() - began)

    def _on_connectivity(self, state: grpc.ChannelConnectivity) -> None:
        is_ready = state is grpc.ChannelConnectivity.READY
        if self._was_ready and not is_ready:
            self.losses += 1
        self._was_ready = is_ready


class _NotFound(Exception):
    pass


def _request(spec: wire.ModelSpec, inputs: Tensors) -> wire.PredictRequest:
    request = wire.PredictRequest(model_spec=spec)
    for name, array in inputs.items():
        request.inputs[name].CopyFrom(tensors.encode(array))
    return request


def _response(ended: Ended) -> wire.PredictResponse:
    """What a call ended with, or its error in our words."""
    if ended.reply is None:
        fault = _in_our_words(ended.code, ended.details)
        raise VersionGone(str(fault)) if isinstance(fault, _NotFound) else fault
    try:
        return wire.PredictResponse.FromString(ended.reply)
    except DecodeError as error:
        raise ModelServerFault(f"its reply cannot be read: {error}") from error


def _outputs(response: wire.PredictResponse) -> dict[str, Tensor]:
    try:
        return {name: tensors.decode(tensor) for name, tensor in response.outputs.items()}
    except ValueError as error:
        raise ModelServerFault(f"its reply cannot be read: {error}") from error


def _in_our_words(code: grpc.StatusCode, told: str) -> Exception:
    """gRPC codes as TensorFlow Serving uses them (its table is in util/, google.rpc.Code has the meanings)."""
    details = f"{code.name}: {told}"
    log.debug("the model server: %s", details)
    if UNRECOGNIZED_LABEL in details:
        return UnknownLabel(details)
    match code:
        case grpc.StatusCode.NOT_FOUND:
            return _NotFound(details)
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineExceeded("the model server did not answer in time")
        # CANCELLED: the channel is being closed. RESOURCE_EXHAUSTED: its queue is full.
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED | grpc.StatusCode.RESOURCE_EXHAUSTED:
            # Its details name addresses, which are nothing for clients.
            return ModelServerUnreachable(f"the model server cannot be reached, or takes no work now ({code.name})")
        case _:
            return ModelServerFault(details)


def _is_lost(error: ModelServerUnreachable) -> bool:
    """Whether the call may never have been seen: not where the server said that it is full."""
    cause: Any = error.__cause__
    return isinstance(cause, grpc.RpcError) and cause.code() is grpc.StatusCode.UNAVAILABLE


def _status(status: wire.ModelVersionStatus) -> VersionStatus:
    return VersionStatus(
        version=status.version,
        state=wire.State.Name(status.state).removeprefix("STATE_"),
        error_code=_CODE_NAMES.get(status.status.error_code, "UNKNOWN"),
        error_message=status.status.error_message,
    )


_CODE_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}
