"""One predictor behind every door, and every way to ask it: HTTP, gRPC, and four of the Open Inference Protocol.

A good answer comes back as the HTTP API's document, or as output tensors; a refusal as what every door must say alike.
"""

import base64
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import grpc
import numpy as np
from google.protobuf import json_format

from serving.gateway.grpc_faults import BUG
from serving.gateway.grpc_faults import KINDS as GRPC_KINDS
from serving.gateway.http_api import create_app
from serving.gateway.metrics import Metrics
from serving.gateway.offers import Offers
from serving.gateway.oip_grpc import CONTENTS
from serving.gateway.parts import Parts
from serving.gateway.predictor import Predictor
from serving.gateway.problems import KINDS as HTTP_KINDS
from serving.gateway.raw_tensors import DATATYPES
from serving.gateway.settings import Settings
from serving.generated.atelier.prediction.v1 import prediction_pb2 as wire
from serving.generated.inference import open_inference_pb2 as oip
from tests.fakes import (
    FakeModelServer,
    full_house_contract,
    full_picture_contract,
    house_contract,
    picture_contract,
    with_raw_signature,
)
from tests.gateway_process import DEADLINE_S
from tests.grpc_gateway import Fault, GrpcClient, taken_apart
from tests.ports import free_port
from tests.questions import MAX_INSTANCES, MODELS, Question, TensorQuestion

HEADER = "Inference-Header-Content-Length"
# A gRPC reason as the status that HTTP has for the same error.
STATUSES = {kind.reason: HTTP_KINDS[error].status for error, kind in GRPC_KINDS.items()} | {BUG.reason: 500}
CODES = {kind.reason: kind.code for kind in (*GRPC_KINDS.values(), BUG)}


class CannotAsk(Exception):
    """This way has no words for the question."""


class Refused(Exception):
    """What a client is told: the same at every door."""

    def __init__(self, status: int, message: str, faults: list[tuple[str, str]], retry_after_s: int | None) -> None:
        super().__init__(message)
        self.status, self.message, self.faults, self.retry_after_s = status, message, faults, retry_after_s

    @property
    def told(self) -> tuple[int, str, list[tuple[str, str]], int | None]:
        """Everything, to compare."""
        return self.status, self.message, self.faults, self.retry_after_s


class Doors:
    """Every door in front of one predictor."""

    def __init__(self, *, raw: bool = False) -> None:
        """`raw`: the models of pictures take them as they are."""
        as_taken = with_raw_signature if raw else lambda contract: contract
        self.server = FakeModelServer(
            as_taken(full_picture_contract()),
            full_house_contract(),
            as_taken(picture_contract("plain-pictures")),
            house_contract("plain-houses"),
            as_taken(picture_contract("loading")),
        )
        self.server.contracts["houses", 2] = full_house_contract()
        self.server.states["loading", 1] = "LOADING"
        self.server.labels |= {("pictures", "stable"): 1, ("houses", "stable"): 1, ("houses", "gone"): 7}
        settings = Settings(MODELS, max_instances=MAX_INSTANCES, grpc_port=free_port(), grpc_metrics_port=free_port())
        offers = Offers(settings.models, self.server)
        predictor = Predictor(offers, self.server, settings.max_instances)
        self.parts = Parts(settings, self.server, offers, predictor, Metrics())
        self.http = create_app(self.parts).test_client()
        self.grpc = GrpcClient(settings.grpc_port)

    # In the words of the domain

    def ask_http(self, question: Question) -> dict[str, Any]:
        version = "" if question.version is None else f"/versions/{question.version}"
        version += "" if question.label is None else f"/labels/{question.label}"
        body = {"instances": question.instances} | ({} if question.top_k is None else {"top_k": question.top_k})
        reply = self.http.post(f"/v1/models/{question.model}{version}:{question.verb}", **_json(body))
        if reply.status_code != 200:
            raise _refused_by_http(reply, reply.json["detail"])
        return reply.json

    def ask_grpc(self, question: Question) -> dict[str, Any]:
        method, request = as_grpc(question)
        try:
            reply = self.grpc.call(method, request)
        except grpc.RpcError as error:
            raise _refused_by_grpc(taken_apart(error)) from error
        return as_json(reply, question)

    # In tensors: what comes back is each output's values, flat

    def ask_oip_json(self, question: TensorQuestion) -> dict[str, Any]:
        inputs = [
            {"name": name, "datatype": datatype, "shape": shape, "data": values}
            for name, datatype, shape, values in question.inputs
        ]
        document = {"inputs": inputs, "outputs": [{"name": name} for name in question.outputs]}
        reply = self._infer(question, **_json(document))
        return {output["name"]: output["data"] for output in reply.json["outputs"]}

    def ask_oip_binary(self, question: TensorQuestion) -> dict[str, Any]:
        blocks = [as_bytes(datatype, values) for _, datatype, _, values in question.inputs]
        inputs = [
            {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": len(block)}}
            for (name, datatype, shape, _), block in zip(question.inputs, blocks, strict=True)
        ]
        outputs = [{"name": name, "parameters": {"binary_data": True}} for name in question.outputs]
        text = json.dumps({"inputs": inputs, "outputs": outputs, "parameters": {"binary_data_output": True}}).encode()
        reply = self._infer(question, data=text + b"".join(blocks), headers={HEADER: str(len(text))})
        size = int(reply.headers[HEADER])
        about, behind = json.loads(reply.data[:size])["outputs"], reply.data[size:]
        return _taken_from(behind, [(output["name"], output["parameters"]["binary_data_size"]) for output in about])

    def ask_oip_typed(self, question: TensorQuestion) -> dict[str, Any]:
        reply = self._infer_by_grpc(as_typed(question))
        return {output.name: list(output.contents.fp32_contents) for output in reply.outputs}

    def ask_oip_raw(self, question: TensorQuestion) -> dict[str, Any]:
        reply = self._infer_by_grpc(as_raw(question))
        sizes = [(output.name, 4 * math.prod(output.shape)) for output in reply.outputs]
        return _taken_from(b"".join(reply.raw_output_contents), sizes)

    def _infer(self, question: TensorQuestion, **body: Any) -> Any:
        version = f"/versions/{question.version}" if question.version else ""
        reply = self.http.post(f"/v2/models/{question.model}{version}/infer", **body)
        if reply.status_code != 200:
            raise _refused_by_http(reply, reply.json["error"])
        return reply

    def _infer_by_grpc(self, request: oip.ModelInferRequest) -> oip.ModelInferResponse:
        send = self.grpc.channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=oip.ModelInferRequest.SerializeToString,
            response_deserializer=oip.ModelInferResponse.FromString,
        )
        try:
            return send(request, timeout=DEADLINE_S)
        except grpc.RpcError as error:
            raise _refused_by_grpc(taken_apart(error)) from error


WAYS: Mapping[str, Callable[[Doors, Question], dict[str, Any]]] = {"http": Doors.ask_http, "grpc": Doors.ask_grpc}
TENSOR_WAYS: Mapping[str, Callable[[Doors, TensorQuestion], dict[str, Any]]] = {
    "OIP, JSON": Doors.ask_oip_json,
    "OIP, binary": Doors.ask_oip_binary,
    "OIP, typed": Doors.ask_oip_typed,
    "OIP, raw": Doors.ask_oip_raw,
}


def as_grpc(question: Question) -> tuple[str, Any]:
    """The method and the request that ask the same."""
    if question.top_k is not None and type(question.top_k) is not int:
        raise CannotAsk
    if question.verb == "regress" and any(type(instance) is list for instance in question.instances):
        raise CannotAsk  # features have names there
    fields: dict[str, Any] = {"model": question.model, "instances": [_instance(i) for i in question.instances]}
    fields |= {} if question.version is None else {"version": question.version}
    fields |= {} if question.label is None else {"version_label": question.label}
    fields |= {} if question.top_k is None else {"top_k": question.top_k}
    if question.verb == "classify":
        return "Classify", wire.ClassifyRequest(**fields)
    return "Regress", wire.RegressRequest(**fields)


def as_typed(question: TensorQuestion) -> oip.ModelInferRequest:
    """The request with its values in fields."""
    request = _infer_request(question)
    for tensor, (_, datatype, _, values) in zip(request.inputs, question.inputs, strict=True):
        if datatype in CONTENTS:
            try:
                getattr(tensor.contents, CONTENTS[datatype]).extend(_numbers(values))
            except (TypeError, ValueError) as error:
                raise CannotAsk from error
    return request


def as_raw(question: TensorQuestion) -> oip.ModelInferRequest:
    """The request with its values as bytes."""
    request = _infer_request(question)
    request.raw_input_contents.extend(as_bytes(datatype, values) for _, datatype, _, values in question.inputs)
    return request


def as_json(reply: Any, question: Question) -> dict[str, Any]:
    """A gRPC reply as the HTTP door's document; a list that nobody asked for is not in it."""
    document = json_format.MessageToDict(
        reply, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    for prediction in document["predictions"]:
        if question.top_k is None and question.verb == "classify":
            assert prediction.pop("top_k") == []
    return document


def as_bytes(datatype: str, values: list[Any]) -> bytes:
    if datatype not in DATATYPES:
        return b""
    dtype = DATATYPES[datatype]
    if dtype.kind in "iu" and any(value % 1 for value in _numbers(values)):
        raise CannotAsk
    try:
        return np.array(_numbers(values), dtype).tobytes()
    except (OverflowError, ValueError) as error:
        raise CannotAsk from error


def _instance(instance: Any) -> wire.Instance:
    match instance:
        case None:
            return wire.Instance()
        case {"b64": str(text), **rest} if not rest:
            try:
                return wire.Instance(image=wire.Image(encoded=base64.b64decode(text, validate=True)))
            except ValueError as error:
                raise CannotAsk from error
        case dict():
            _numbers(list(instance.values()))
            return wire.Instance(features=wire.Features(values=instance))
        case list():
            if all(type(pixel) is int and 0 <= pixel <= 255 for pixel in instance):
                return wire.Instance(image=wire.Image(pixels=bytes(instance)))
    raise CannotAsk


def _numbers(values: list[Any]) -> list[Any]:
    if not {type(value) for value in values} <= {int, float}:
        raise CannotAsk
    return values


def _json(document: Any) -> dict[str, Any]:
    try:
        return {"data": json.dumps(document, allow_nan=False), "headers": {"Content-Type": "application/json"}}
    except ValueError as error:
        raise CannotAsk from error


def _infer_request(question: TensorQuestion) -> oip.ModelInferRequest:
    request = oip.ModelInferRequest(model_name=question.model, model_version=question.version)
    for name, datatype, shape, _ in question.inputs:
        request.inputs.add(name=name, datatype=datatype, shape=shape)
    for name in question.outputs:
        request.outputs.add(name=name)
    return request


def _taken_from(block: bytes, sizes: list[tuple[str, int]]) -> dict[str, Any]:
    tensors, start = {}, 0
    for name, size in sizes:
        tensors[name] = np.frombuffer(block[start : start + size], "<f4").tolist()
        start += size
    assert start == len(block)
    return tensors


def _refused_by_http(reply: Any, message: str) -> Refused:
    faults = [(error["pointer"], error["detail"]) for error in reply.json.get("errors", [])]
    retry_after = reply.headers.get("Retry-After")
    assert reply.headers["X-Request-Id"]
    return Refused(reply.status_code, message, faults, int(retry_after) if retry_after else None)


def _refused_by_grpc(fault: Fault) -> Refused:
    assert fault.code is CODES[fault.reason]
    assert fault.request_id
    return Refused(STATUSES[fault.reason], fault.message, fault.violations, fault.retry_after_s)
