"""A client that holds no .proto learns every message from the running server, and gets right answers with them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from serving.gateway.grpc_server import running
from tests.doors import Doors
from tests.gateway_process import DEADLINE_S
from tests.questions import GOOD, HOUSE, LEFT

PREDICTION = "atelier.prediction.v1.PredictionService"
BUF = Path(sys.executable).with_name("buf")
INFERENCE = "inference.GRPCInferenceService"


class ReflectionClient:
    """As grpcurl: everything it knows it asked the server; requests and replies are JSON."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self._database = ProtoReflectionDescriptorDatabase(channel)
        self._pool = DescriptorPool(self._database)

    def services(self) -> set[str]:
        return set(self._database.get_services())

    def methods(self, service: str) -> set[str]:
        return set(self._pool.FindServiceByName(service).methods_by_name)

    def call(self, service: str, method: str, request: dict[str, Any]) -> dict[str, Any]:
        described = self._pool.FindServiceByName(service).methods_by_name[method]
        send = self._channel.unary_unary(
            f"/{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(described.output_type).FromString,
        )
        message = json_format.ParseDict(request, GetMessageClass(described.input_type)(), descriptor_pool=self._pool)
        reply = send(message, timeout=DEADLINE_S)
        return json_format.MessageToDict(reply, preserving_proto_field_name=True, descriptor_pool=self._pool)


@pytest.fixture(scope="module")
def doors() -> Iterator[Doors]:
    every = Doors()
    with running(every.parts):
        yield every
    every.grpc.channel.close()


@pytest.fixture
def client(doors: Doors) -> ReflectionClient:
    return ReflectionClient(doors.grpc.channel)


def test_finds_every_service_and_its_methods(client: ReflectionClient):
    assert client.services() >= {
        PREDICTION,
        INFERENCE,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    assert client.methods(PREDICTION) == {"Classify", "Regress", "ListModels", "GetModel"}
    assert {"ModelInfer", "ModelMetadata", "ServerReady"} < client.methods(INFERENCE)


def test_classifies_a_picture(doors: Doors, client: ReflectionClient):
    pixels = "CQAA/wAA"  # LEFT in base64, as JSON has bytes
    request = {"model": "pictures", "version": "1", "instances": [{"image": {"pixels": pixels}}], "top_k": 2}

    reply = client.call(PREDICTION, "Classify", request)

    expected = doors.ask_http(GOOD["a picture with top_k"])["predictions"][0]
    prediction = reply["predictions"][0]
    assert prediction["class_name"] == expected["class_name"] == "left"
    assert prediction["probability"] == expected["probability"]
    assert [entry["class_name"] for entry in prediction["top_k"]] == [e["class_name"] for e in expected["top_k"]]
    assert prediction["prediction_set"] == expected["prediction_set"]
    assert reply["model"] == {"name": "pictures", "version": "1", "digest": "sha256:0"}


def test_regresses_a_house(doors: Doors, client: ReflectionClient):
    request = {"model": "houses", "instances": [{"features": {"values": HOUSE}}]}

    reply = client.call(PREDICTION, "Regress", request)

    assert reply["predictions"] == doors.ask_http(GOOD["a house"])["predictions"]


def test_infers_with_typed_contents(client: ReflectionClient):
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": [1, 2, 3], "contents": {"uint_contents": LEFT}}

    reply = client.call(INFERENCE, "ModelInfer", {"model_name": "pictures", "id": "42", "inputs": [tensor]})

    assert (reply["model_version"], reply["id"]) == ("1", "42")
    assert reply["parameters"] == {"digest": {"string_param": "sha256:0"}}
    assert reply["outputs"][0] == {
        "name": "probabilities",
        "datatype": "FP32",
        "shape": ["1", "3"],
        "contents": {"fp32_contents": [1, 0, 0]},
    }


def test_lists_the_models_and_their_contracts(client: ReflectionClient):
    listed = client.call(PREDICTION, "ListModels", {})["models"]

    assert [model["name"] for model in listed][:2] == ["pictures", "houses"]
    assert (
        '"class_names":["left","middle","right"]'
        in client.call(PREDICTION, "GetModel", {"model": "pictures"})["contract"]
    )


def test_bufs_curl_gets_a_right_answer_and_a_refusal_by_reflection_too(doors: Doors):
    picture = {"instances": [{"image": {"pixels": "CQAA/wAA"}}]}

    answered, refused = curl(doors, picture | {"model": "pictures"}), curl(doors, picture | {"model": "cars"})

    assert json.loads(answered.stdout)["predictions"][0]["className"] == "left"
    assert (json.loads(refused.stderr)["code"], refused.returncode) == ("not_found", 40)  # 8 times gRPC's code


def curl(doors: Doors, request: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    url = f"http://127.0.0.1:{doors.parts.settings.grpc_port}/{PREDICTION}/Classify"
    command = [BUF, "curl", "--protocol", "grpc", "--http2-prior-knowledge", "--data", json.dumps(request), url]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
