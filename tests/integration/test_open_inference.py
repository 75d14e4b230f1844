"""Clients of the Open Inference Protocol that nobody here wrote get right answers, over HTTP and over gRPC."""

import base64
import gzip
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

import serving
from serving.generated.inference import open_inference_pb2
from tests.fakes import FakeModelServer, WireModelServer, full_house_contract, full_picture_contract, picture_contract
from tests.foreign_client import run_in_environment
from tests.gateway_process import DEADLINE_S, GatewayProcess, gateway_process, wait_until
from tests.grpc_gateway import GrpcGatewayProcess, grpc_gateway_process

ROOT = Path(__file__).parents[2]
MODELS = "pictures,houses,loading"


def foreign(*arguments: str) -> Any:
    """What a program in a process of its own prints, as JSON."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def doors() -> Iterator[tuple[GatewayProcess, GrpcGatewayProcess]]:
    """Both doors as an operator starts them; the model `loading` is being loaded again once they are up."""
    fake = FakeModelServer(full_picture_contract(), full_house_contract(), picture_contract("loading"))
    server = WireModelServer(fake)
    with (
        gateway_process(server.address, MODELS, ATELIER_WORKERS="1") as http,
        grpc_gateway_process(server.address, MODELS) as grpc,
    ):
        wait_until(http.is_ready, http.log)
        assert http.request("GET", "/v2/health/ready").json == {"ready": True}
        fake.states["loading", 1] = "LOADING"
        wait_until(lambda: not http.is_ready() and grpc.client.health("loading") == "NOT_SERVING", http.log)
        yield http, grpc
    server.stop()


@pytest.fixture(scope="module", params=["http", "grpc"])
def understood(request: pytest.FixtureRequest, doors: tuple[GatewayProcess, GrpcGatewayProcess]) -> dict[str, Any]:
    """What Triton's client understood, over this transport."""
    door = doors[request.param == "grpc"]
    answer = foreign("-m", "tests.triton_conversation", request.param, f"127.0.0.1:{door.port}")
    assert isinstance(answer, dict)
    return answer


def tensor(about: dict[str, Any]) -> tuple[str, str, list[int]]:
    return about["name"], about["datatype"], [int(size) for size in about["shape"]]


def test_triton_finds_the_server_and_its_models(understood: dict[str, Any]):
    assert understood["live"] is True
    assert understood["ready"] is False  # one model is loading
    assert understood["model ready"] == [True, True, False]
    assert understood["server"] == {
        "name": "atelier",
        "version": serving.__version__,
        "extensions": ["binary_tensor_data"],
    }


def test_triton_learns_which_tensors_to_send_and_which_come_back(understood: dict[str, Any]):
    about = understood["pictures"]
    assert [about["name"], about["versions"], about["platform"]] == ["pictures", ["1"], "tensorflow_savedmodel"]
    assert list(map(tensor, about["inputs"])) == [("pixels", "UINT8", [-1, 2, 3])]
    assert list(map(tensor, about["outputs"])) == [("probabilities", "FP32", [-1, 3]), ("mean", "FP32", [-1, 1])]
    assert list(map(tensor, understood["houses"]["inputs"])) == [("features", "FP32", [-1, 2])]


def test_triton_gets_right_answers(understood: dict[str, Any]):
    assert understood["who"] == ["pictures", "1", "42"]
    assert understood["probabilities"] == understood["the same in text"] == [[1, 0, 0], [0, 0, 1]]
    assert understood["one output"] == ["probabilities"]
    assert [mean for (mean,) in understood["mean"]] == pytest.approx([264 / 6 / 255, 1 / 6])
    assert understood["value"] == {"value": [[7]], "low": [[6]], "high": [[9]], "largest": [[4]]}


def test_triton_is_told_why_not(understood: dict[str, Any]):
    refusals = {name: understood[name] for name in ("scaled pixels", "unknown model", "unknown version", "loading")}

    assert [message for _, message in refusals.values()] == [
        "/inputs/0/datatype: expected UINT8 (raw values from 0 to 255, which the service scales), got FP32",
        "no such model; there are pictures, houses, loading",
        "model 'pictures' has no version 7",
        "model 'loading' is not on offer: version 1 is LOADING",
    ]
    assert [status for status, _ in refusals.values()] in (
        ["422", "404", "404", "503"],
        [f"StatusCode.{code}" for code in ("INVALID_ARGUMENT", "NOT_FOUND", "NOT_FOUND", "UNAVAILABLE")],
    )


INFER = "/v2/models/houses/infer"
JSON = {"Content-Type": "application/json"}
ROW = {"name": "features", "datatype": "FP32", "shape": [1, 2], "data": [3, 4]}
ASKED = json.dumps({"inputs": [ROW]}).encode()
# method, path, body, headers, status, words, pointers
REFUSALS: dict[str, tuple[str, str, bytes, dict[str, str], int, str, list[str]]] = {
    "another path": ("GET", "/v2/nowhere", b"", {}, 404, "", []),
    "another method": ("GET", INFER, b"", {}, 405, "this path takes POST", []),
    "no JSON": ("POST", INFER, b'{"inputs": [', JSON, 400, "the body is not JSON", []),
    "no body": ("POST", INFER, b"", JSON, 400, "the body is not JSON", []),
    "another media type": ("POST", INFER, b"{}", {"Content-Type": "text/plain"}, 415, "application/octet-stream", []),
    "a wrong size": ("POST", INFER, b"{}", {"Inference-Header-Content-Length": "7"}, 400, "at most the body's 2", []),
    "no input": ("POST", INFER, b"{}", JSON, 422, "expected an input 'features', but it is missing", ["/inputs"]),
    "an array": ("POST", INFER, b"[]", JSON, 422, "expected an object, got an array", [""]),
    "an unknown model": ("POST", "/v2/models/cars/infer", b"{}", JSON, 404, "no such model", []),
    "an unknown version": (
        "POST", "/v2/models/houses/versions/7/infer", ASKED, JSON, 404, "version 7", [],
    ),
    "metadata of an unknown model": ("GET", "/v2/models/cars", b"", {}, 404, "no such model", []),
    "readiness of an unknown model": ("GET", "/v2/models/cars/ready", b"", {}, 404, "no such model", []),
    "a deadline that is none": (
        "POST", INFER, ASKED, JSON | {"X-Request-Timeout": "none"}, 400, "seconds", [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_over_http_is_the_protocols(doors: tuple[GatewayProcess, GrpcGatewayProcess], name: str):
    method, path, body, headers, status, words, pointers = REFUSALS[name]

    reply = doors[0].request(method, path, body or None, headers)

    assert reply.status == status
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["X-Request-Id"]
    assert words in reply.json["error"]
    assert [error["pointer"] for error in reply.json.get("errors", [])] == pointers


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_the_server_says_who_it_is_with_and_without_a_slash(
    doors: tuple[GatewayProcess, GrpcGatewayProcess], path: str
):
    assert doors[0].request("GET", path).json["name"] == "atelier"


def test_inferences_are_counted_by_one_verb_at_both_doors(doors: tuple[GatewayProcess, GrpcGatewayProcess]):
    http, grpc = doors
    for path in (INFER, "/v2/models/houses/versions/1/infer"):
        assert http.request("POST", path, ASKED, JSON).status == 200

    counted = 'model="houses",verb="infer",version="1"'
    assert counted in http.request("GET", "/metrics").body.decode()
    foreign("-m", "tests.triton_conversation", "grpc", f"127.0.0.1:{grpc.port}")
    with urllib.request.urlopen(f"http://127.0.0.1:{grpc.metrics_port}/metrics") as metrics:
        assert counted in metrics.read().decode()


def test_a_body_may_come_as_gzip(doors: tuple[GatewayProcess, GrpcGatewayProcess]):
    body = gzip.compress(ASKED)

    reply = doors[0].request("POST", INFER, body, JSON | {"Content-Encoding": "gzip"})

    assert reply.json["outputs"][0] == {"name": "value", "datatype": "FP32", "shape": [1, 1], "data": [7]}


@pytest.mark.timeout(400)
def test_kserves_clients_get_right_answers(doors: tuple[GatewayProcess, GrpcGatewayProcess]):
    http, grpc = doors
    script = ROOT / "tests" / "conformance" / "clients" / "with_kserve.py"

    seen = run_in_environment(["kserve==0.21.0"], script, f"http://127.0.0.1:{http.port}", f"127.0.0.1:{grpc.port}")

    for transport in ("http", "grpc"):
        answer = seen[transport]
        assert answer["live"] is True
        assert answer["models"] == [True, False]
        assert answer["pictures"]["id"] == "42"
        assert answer["pictures"]["tensors"]["probabilities"] == [[1, 0, 0], [0, 0, 1]]
        assert answer["house"]["tensors"] == {"value": [[7]], "low": [[6]], "high": [[9]], "largest": [[4]]}
        assert answer["refusal"].startswith("/inputs/0/data/1: expected a finite 32-bit number, got one that is not")
        in_text = answer["the same in text"]["tensors"]
        assert {name: pytest.approx(np.array(values)) for name, values in in_text.items()} == {
            name: np.array(values) for name, values in answer["pictures"]["tensors"].items()
        }


def test_our_messages_are_the_protocols():
    """Fields of the same numbers, names and types as in Triton's generated code, which has further messages."""
    program = "from tritonclient.grpc import service_pb2 as s; import base64, json; "
    encoded = foreign("-c", program + "print(json.dumps(base64.b64encode(s.DESCRIPTOR.serialized_pb).decode()))")
    theirs = FileDescriptorProto.FromString(base64.b64decode(encoded))
    ours = FileDescriptorProto.FromString(open_inference_pb2.DESCRIPTOR.serialized_pb)

    assert ours.package == theirs.package
    their_messages = {message.name: message for message in theirs.message_type}
    assert len(ours.message_type) == 14
    for message in ours.message_type:
        assert fields(message) == fields(their_messages[message.name]), message.name
    their_calls = {method.name: (method.input_type, method.output_type) for method in theirs.service[0].method}
    assert ours.service[0].name == theirs.service[0].name
    for method in ours.service[0].method:
        assert (method.input_type, method.output_type) == their_calls[method.name]


def fields(message: DescriptorProto) -> dict[str, Any]:
    """Every field of a message and of those inside it."""
    own = {field.name: (field.number, field.type, field.label, field.type_name) for field in message.field}
    return own | {nested.name: fields(nested) for nested in message.nested_type}
