"""The client's way over gRPC: the same questions, answers and refusals as over HTTP."""

import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc_status import rpc_status

from serving import contract
from serving.client_messages import to_messages
from serving.client_transport import Answer, Call, ProblemError, Tls, bearer, is_number, refusal
from serving.contract import ModelContract
from serving.errors import ServingError, UnknownModel
from serving.generated.atelier.prediction.v1 import prediction_pb2 as wire

LARGEST_VERSION = 2**63 - 1  # an int64's
SERVICE = wire.DESCRIPTOR.services_by_name["PredictionService"].full_name
VERB_OF_TASK = {"classification": "classify", "regression": "regress"}
# What HTTP says of a fault: by its reason, where the code is wider, or by its code.
STATUS_OF_REASON = {"INVALID_INPUT": 422, "MODEL_SERVER_FAULT": 502}
STATUS_OF_CODE: Mapping[grpc.StatusCode, int] = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


class GrpcTransport:
    """One channel. Threads may share it."""

    def __init__(self, url: urllib.parse.SplitResult, api_key: str | None, tls: Tls) -> None:
        self._metadata = tuple(bearer(api_key).items())
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        if url.scheme == "grpcs":
            files = (tls.ca_file, tls.key_file, tls.cert_file)
            credentials = grpc.ssl_channel_credentials(*(Path(file).read_bytes() if file else None for file in files))
            self._channel = grpc.secure_channel(url.netloc, credentials, options=options)
        else:
            self._channel = grpc.insecure_channel(url.netloc, options=options)
        self._known: dict[tuple[str, int | str | None], Known] = {}

    def close(self) -> None:
        """The client is of no use after this."""
        self._channel.close()

    def readiness(self, timeout_s: float) -> tuple[bool, dict[str, Any]]:
        """As of the models' list."""
        models = {
            model["name"]: {"version": model["version"], "reason": model["reason"]}
            for model in self.models(timeout_s)["models"]
        }
        ready = all(model["version"] is not None for model in models.values())
        return ready, {"ready": ready, "models": models}

    def models(self, timeout_s: float) -> dict[str, Any]:
        """ListModels."""
        document = _document(self._call("ListModels", wire.ListModelsRequest(), timeout_s))
        absent = {"task": None, "description": None, "version": None, "reason": None}
        return {"models": [absent | model for model in document["models"]]}

    def contract(self, model: str, version: int | str | None, timeout_s: float) -> str:
        """GetModel."""
        reply = self._call("GetModel", wire.GetModelRequest(model=model, **_version(model, version)), timeout_s)
        text: str = reply.contract
        return text

    def predict(self, call: Call, timeout_s: float) -> Answer:
        """Classify or Regress, as the contract says, where the verb does not; with the features in its order."""
        expires = time.monotonic() + timeout_s
        for is_fresh in (call.key not in self._known, True):
            known = self._known.get(call.key) or self._learn(call, expires - time.monotonic())
            try:
                answer = self._ask(call, known, expires - time.monotonic())
            except ServingError as error:
                if is_fresh:
                    raise refusal(error, call.request_id) from error
            else:
                if is_fresh or answer.version == known.version:
                    break
            del self._known[call.key]  # another version answers by now, or may
        return answer

    def _learn(self, call: Call, timeout_s: float) -> "Known":
        request = wire.GetModelRequest(model=call.model, **_version(call.model, call.version))
        reply = self._call("GetModel", request, timeout_s, call.request_id)
        known = Known(str(reply.model.version), contract.from_json(reply.contract))
        self._known[call.key] = known
        return known

    def _ask(self, call: Call, known: "Known", timeout_s: float) -> Answer:
        verb = VERB_OF_TASK[known.contract.task]
        fields: dict[str, Any] = {"model": call.model, **_version(call.model, call.version)}
        fields["instances"] = to_messages(known.contract, call)
        if call.top_k is not None:
            fields["top_k"] = call.top_k
        method, request = ("Classify", wire.ClassifyRequest) if verb == "classify" else ("Regress", wire.RegressRequest)
        document = _document(self._call(method, request(**fields), timeout_s, call.request_id))
        for prediction in document["predictions"]:
            if call.top_k is None:
                prediction.pop("top_k", None)  # a list that nobody asked for
        made_by = document["model"]
        return Answer(made_by["name"], made_by["version"], made_by["digest"], document["predictions"], call.request_id)

    def _call(self, method: str, request: Any, timeout_s: float, request_id: str = "") -> Any:
        send = self._channel.unary_unary(
            f"/{SERVICE}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=getattr(wire, f"{method}Response").FromString,
        )
        metadata = (*self._metadata, *((("x-request-id", request_id),) if request_id else ()))
        try:
            return send(request, timeout=timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            raise _in_http_words(error, request_id) from error


@dataclass(frozen=True)
class Known:
    """What a model promised when it was asked."""

    version: str
    contract: ModelContract


def _version(model: str, version: int | str | None) -> dict[str, Any]:
    if version is None:
        return {}
    if not is_number(version):
        return {"version_label": str(version)}
    if len(str(version)) > len(str(LARGEST_VERSION)) or int(version) > LARGEST_VERSION:
        raise refusal(UnknownModel(model, f"model {model!r} has no version {version}"), "")
    return {"version": int(version)}


def _document(reply: Any) -> dict[str, Any]:
    """As the HTTP door has it: versions as texts, 32-bit numbers with as few digits as they need."""
    return json_format.MessageToDict(reply, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def _in_http_words(error: Any, request_id: str) -> Exception:
    """A status and its details as the HTTP API's problem; what did not come from a gateway as an OSError."""
    info, retry, bad = ErrorInfo(), RetryInfo(), BadRequest()
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        for message in (info, retry, bad):
            detail.Unpack(message)
    code = error.code()
    if not info.reason and code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        kind = ConnectionError if code is grpc.StatusCode.UNAVAILABLE else TimeoutError
        return kind(error.details())
    problem = {
        "type": f"urn:atelier:problem:{info.reason.lower().replace('_', '-')}" if info.reason else "about:blank",
        "title": (info.reason or code.name).replace("_", " ").capitalize(),
        "status": STATUS_OF_REASON.get(info.reason) or STATUS_OF_CODE.get(code, 500),
        "detail": error.details(),
        "request_id": request_id,
    }
    if bad.field_violations:
        problem["errors"] = [{"pointer": v.field, "detail": v.description} for v in bad.field_violations]
    return ProblemError(problem["status"], problem, _seconds(retry))


def _seconds(retry: RetryInfo) -> float | None:
    seconds: float = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    return seconds or None
