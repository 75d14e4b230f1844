"""What the embedded model server has beyond TensorFlow Serving: each thing behind its flag, and gone without it."""

import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests import tiny_models
from tests.model_server_in_process import ModelServerInProcess
from tests.model_server_process import wait_until, write_model_config

Start = Callable[..., ModelServerInProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[ModelServerInProcess] = []

    def start_one(*flags: str) -> ModelServerInProcess:
        started.append(ModelServerInProcess(tmp_path / "log", *flags))
        return started[-1].wait_until_ready()

    yield start_one
    for server in started:
        server.kill()


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base path of half_plus_two, version 1."""
    return tiny_models.publish(tiny_models.half_plus_two, tmp_path_factory.mktemp("models") / "half", 1).parent


@pytest.fixture
def with_a_missing_model(tmp_path: Path, half: Path) -> list[str]:
    """Flags for half, and for a model whose base path is not there."""
    config = write_model_config(tmp_path / "config", {"missing": tmp_path / "missing", "half": half})
    return [f"--model_config_file={config}", "--serve_without_missing_models", "--enable_readiness_path"]


def answer(server: ModelServerInProcess, model: str) -> float:
    response = server.client.prediction.Predict(tiny_models.predict_request(model, x=[2.0]), timeout=60)
    return response.outputs["y"].float_val[0]


def test_starts_without_a_missing_model_and_takes_it_in_when_it_appears(
    start: Start, tmp_path: Path, half: Path, with_a_missing_model: list[str]
) -> None:
    server = start(*with_a_missing_model)
    assert answer(server, "half") == 3.0
    reply = server.client.http("POST", "/v1/models/missing:predict", {"instances": [2.0]})
    assert (reply.status, reply.error) == (404, "Servable not found for request: Latest(missing)")
    shutil.copytree(half, tmp_path / "staging").rename(tmp_path / "missing")
    wait_until(lambda: server.client.states("missing") == {1: "AVAILABLE"})
    assert answer(server, "missing") == 3.0


def test_starts_without_a_model_whose_base_path_is_empty(
    start: Start, tmp_path: Path, with_a_missing_model: list[str]
) -> None:
    (tmp_path / "missing").mkdir()
    assert answer(start(*with_a_missing_model), "half") == 3.0


def test_other_models_get_new_versions_while_one_is_missing(
    start: Start, tmp_path: Path, half: Path, with_a_missing_model: list[str]
) -> None:
    base = Path(shutil.copytree(half, tmp_path / "half"))
    write_model_config(tmp_path / "config", {"missing": tmp_path / "missing", "half": base})
    server = start(*with_a_missing_model)
    shutil.copytree(half / "1", tmp_path / "staging").rename(base / "2")
    wait_until(lambda: server.client.states("half") == {2: "AVAILABLE", 1: "END"})


def test_readiness_is_told_for_each_model(
    start: Start, tmp_path: Path, half: Path, with_a_missing_model: list[str]
) -> None:
    server = start(*with_a_missing_model)
    ready = {"ready": True, "versions": {"1": {"state": "AVAILABLE"}}}
    reply = server.client.http("GET", "/readyz")
    assert (reply.status, reply.json) == (
        503,
        {"ready": False, "stopping": False, "models": {"missing": {"ready": False, "versions": {}}, "half": ready}},
    )
    assert server.client.http("GET", "/readyz/missing").status == 503
    assert server.client.http("GET", "/readyz/nobody").status == 404
    assert server.client.http("GET", "http://some.host/readyz/half").status == 200
    assert server.client.http("POST", "/readyz", {}).status == 405
    assert server.client.http("GET", "/readyz/half").json["models"] == {"half": ready}
    shutil.copytree(half, tmp_path / "staging").rename(tmp_path / "missing")
    wait_until(lambda: server.client.http("GET", "/readyz").status == 200)


def test_readiness_sees_a_model_go_and_says_why_a_version_is_not_served(
    start: Start, tmp_path: Path, half: Path
) -> None:
    base = Path(shutil.copytree(half, tmp_path / "half"))
    flags = ("--model_name=half", f"--model_base_path={base}", "--max_num_load_retries=0", "--enable_readiness_path")
    server = start(*flags)
    tiny_models.unloadable(base / "2")
    wait_until(lambda: server.client.states("half") == {2: "END", 1: "AVAILABLE"})
    reply = server.client.http("GET", "/readyz")
    assert (reply.status, reply.json["models"]["half"]["ready"]) == (200, True)
    assert "Could not find SavedModel" in reply.json["models"]["half"]["versions"]["2"]["error"]
    shutil.rmtree(base / "1")
    shutil.rmtree(base / "2")
    wait_until(lambda: server.client.http("GET", "/readyz").status == 503)


def test_reflection_lists_and_describes_the_services(start: Start, half: Path) -> None:
    server = start("--model_name=half", f"--model_base_path={half}", "--enable_grpc_reflection")
    stub = reflection_pb2_grpc.ServerReflectionStub(server.client.channel)
    symbol = "tensorflow.serving.PredictionService"
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol),
    ]
    services, files = stub.ServerReflectionInfo(iter(requests), timeout=60)
    assert {service.name for service in services.list_services_response.service} == {
        "grpc.reflection.v1alpha.ServerReflection",
        "tensorflow.serving.ModelService",
        symbol,
    }
    described = [
        descriptor_pb2.FileDescriptorProto.FromString(file)
        for file in files.file_descriptor_response.file_descriptor_proto
    ]
    assert "Predict" in {method.name for file in described for service in file.service for method in service.method}


def test_without_their_flags_they_are_not_there(start: Start, half: Path) -> None:
    server = start("--model_name=half", f"--model_base_path={half}")
    assert server.client.http("GET", "/readyz").status == 404
    stub = reflection_pb2_grpc.ServerReflectionStub(server.client.channel)
    with pytest.raises(grpc.RpcError) as caught:
        list(stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=60))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(("flags", "is_open"), [([], True), (["--bind_address=127.0.0.1"], False)])
def test_both_ports_listen_where_they_are_told_to(start: Start, half: Path, flags: list[str], *, is_open: bool) -> None:
    server = start("--model_name=half", f"--model_base_path={half}", *flags)
    for port in (server.port, server.rest_port):
        with socket.socket() as inside, socket.socket() as outside:
            assert inside.connect_ex(("127.0.0.1", port)) == 0
            assert (outside.connect_ex(("127.0.0.2", port)) == 0) is is_open
