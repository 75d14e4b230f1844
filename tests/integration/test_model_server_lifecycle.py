"""The life of an embedded model server: versions come and go, requests go on, and it starts only with what it needs.

In the test's process; what needs one of the server's own is in test_model_server_process.py.
"""

import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from tensorflow_serving.apis import model_management_pb2

from serving.model_server import __main__ as program
from tests import tiny_models
from tests.model_server_in_process import ModelServerInProcess
from tests.model_server_process import ModelServerClient, free_port, wait_until, write_model_config

Start = Callable[..., ModelServerInProcess]
Main = Callable[..., tuple[int, str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers, which end with the test."""
    started: list[ModelServerInProcess] = []

    def start_one(*flags: str) -> ModelServerInProcess:
        started.append(ModelServerInProcess(tmp_path / f"log-{len(started)}", *flags))
        return started[-1]

    yield start_one
    for process in started:
        process.kill()


@pytest.fixture
def main(capfd: pytest.CaptureFixture[str]) -> Iterator[Main]:
    """Runs the command line to its end: the exit status and what it printed. For starts that fail."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def run(*flags: str) -> tuple[int, str]:
        # a later flag wins, so that a test can name the port itself
        status = program.main([f"--port={free_port()}", *flags])
        printed = capfd.readouterr()
        return status, printed.out + printed.err

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """half_plus_two, three and four, to be copied where a test needs them: version n adds n."""
    base = tmp_path_factory.mktemp("versions")

    def write(version: int) -> Callable[[Path], Path]:
        return lambda path: tiny_models.half_plus_two(path, float(version))

    return {version: tiny_models.publish(write(version), base, version) for version in (2, 3, 4)}


def put(version: Path, base: Path) -> Path:
    """Publish a copy of a version, whole."""
    base.mkdir(parents=True, exist_ok=True)
    staging = shutil.copytree(version, base / f".{version.name}.staging")
    return staging.rename(base / version.name)


def half_server(start: Start, base: Path, *flags: str) -> ModelServerInProcess:
    return start("--model_name=half", f"--model_base_path={base}", *flags).wait_until_ready()


def answer(server: ModelServerInProcess, **spec: Any) -> tuple[int, float]:
    """The version that answered x = 2, and its answer."""
    response = server.client.prediction.Predict(tiny_models.predict_request("half", x=[2.0], **spec), timeout=60)
    return response.model_spec.version.value, response.outputs["y"].float_val[0]


def test_new_versions_are_taken_in_and_a_removed_one_gives_way(
    start: Start, tmp_path: Path, versions: dict[int, Path]
) -> None:
    base = tmp_path / "half"
    put(versions[2], base)
    server = half_server(start, base)
    assert answer(server) == (2, 3.0)
    newer = put(versions[3], base)
    wait_until(lambda: server.client.states("half") == {3: "AVAILABLE", 2: "END"})
    assert answer(server) == (3, 4.0)
    shutil.rmtree(newer)
    wait_until(lambda: server.client.states("half") == {3: "END", 2: "AVAILABLE"})
    assert answer(server) == (2, 3.0)


def test_no_call_fails_while_versions_change(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    base = tmp_path / "half"
    put(versions[2], base)
    server = half_server(start, base)
    done = threading.Event()

    def call_until_done() -> list[tuple[int, float]]:
        answers = []
        while not done.is_set():
            answers.append(answer(server))
        return answers

    with ThreadPoolExecutor(4) as callers:
        futures = [callers.submit(call_until_done) for _ in range(4)]
        for version in (3, 4):
            put(versions[version], base)
            wait_until(lambda version=version: server.client.states("half").get(version) == "AVAILABLE")
            wait_until(lambda version=version: server.client.states("half").get(version - 1) == "END")
        done.set()
        answers = [one for future in futures for one in future.result()]
    assert {version for version, _ in answers} == {2, 3, 4}
    assert all(value == 1.0 + version for version, value in answers)


def test_a_bad_version_leaves_the_old_one_serving_and_a_good_one_replaces_both(
    start: Start, tmp_path: Path, versions: dict[int, Path]
) -> None:
    base = tmp_path / "half"
    put(versions[2], base)
    server = half_server(start, base, "--max_num_load_retries=1", "--load_retry_interval_micros=1000")
    tiny_models.unloadable(base / "3")
    wait_until(lambda: server.client.states("half") == {3: "END", 2: "AVAILABLE"})
    status = server.client.http("GET", "/v1/models/half/versions/3").json["model_version_status"][0]["status"]
    assert status["error_code"] == "NOT_FOUND"
    assert status["error_message"].startswith("Could not find SavedModel .pb or .pbtxt at supplied export directory")
    assert answer(server) == (2, 3.0)
    put(versions[4], base)
    wait_until(lambda: server.client.states("half") == {4: "AVAILABLE", 3: "END", 2: "END"})


def test_a_version_that_waits_for_a_retry_gives_way_at_once(
    start: Start, tmp_path: Path, versions: dict[int, Path]
) -> None:
    base = tmp_path / "half"
    put(versions[2], base)
    server = half_server(start, base)  # a minute between retries
    tiny_models.unloadable(base / "3")
    wait_until(lambda: "retry 1 in 60 s" in server.log)
    assert server.client.states("half")[3] == "LOADING"
    put(versions[4], base)
    wait_until(lambda: server.client.states("half") == {4: "AVAILABLE", 3: "END", 2: "END"}, 30)


def test_a_version_in_use_is_unloaded_only_after_its_last_answer(start: Start, tmp_path: Path) -> None:
    first = tiny_models.publish(tiny_models.wait, tmp_path / "wait", 1)
    server = start("--model_name=wait", f"--model_base_path={tmp_path / 'wait'}").wait_until_ready()
    request = tiny_models.predict_request("wait", seconds=[3.0])
    slow = server.client.prediction.Predict.future(request, timeout=60)
    wait_until(lambda: not slow.done())
    shutil.copytree(first, tmp_path / "staging").rename(tmp_path / "wait" / "2")
    wait_until(lambda: server.client.states("wait") == {2: "AVAILABLE", 1: "UNLOADING"})
    assert slow.result().model_spec.version.value == 1
    wait_until(lambda: server.client.states("wait") == {2: "AVAILABLE", 1: "END"})


def test_warm_up_runs_before_a_version_is_available(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    base = tmp_path / "half"
    version = put(versions[2], base)
    tiny_models.add_warmup(version, [tiny_models.predict_request("any", x=[1.0])] * 3)
    server = half_server(start, base)
    assert "Number of warmup records read: 3." in server.log
    assert server.log.index("Finished reading warmup data") < server.log.index("Successfully loaded servable version")


@pytest.mark.parametrize(
    ("records", "error"),
    [
        (b"this is no TFRecord file", "DATA_LOSS"),
        ([tiny_models.predict_request("any", z=[1.0])], "INVALID_ARGUMENT: Signature input alias: x"),
    ],
)
def test_a_failing_warm_up_fails_the_start(
    main: Main, tmp_path: Path, versions: dict[int, Path], records: Any, error: str
) -> None:
    version = put(versions[2], tmp_path / "half")
    file = tiny_models.add_warmup(version, records if isinstance(records, list) else [])
    if isinstance(records, bytes):
        file.write_bytes(records)
    status, printed = main("--model_name=half", f"--model_base_path={tmp_path / 'half'}", "--max_num_load_retries=0")
    assert status == 255
    assert f"1 servable(s) did not become available: {{{{{{name: half version: 2}} due to error: {error}" in printed


def test_warm_up_can_be_switched_off(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    tiny_models.add_warmup(put(versions[2], tmp_path / "half"), []).write_bytes(b"this is no TFRecord file")
    half_server(start, tmp_path / "half", "--enable_model_warmup=false")


def test_a_tflite_model_that_is_none_fails_the_start_only_if_it_is_preferred(
    start: Start, main: Main, tmp_path: Path, versions: dict[int, Path]
) -> None:
    (put(versions[2], tmp_path / "half") / "model.tflite").write_bytes(b"no flatbuffer")
    status, printed = main(
        f"--model_base_path={tmp_path / 'half'}", "--prefer_tflite_model", "--max_num_load_retries=0"
    )
    assert (status, "Cannot build FlatBufferModel from buffer" in printed) == (255, True)
    assert answer(half_server(start, tmp_path / "half")) == (2, 3.0)


def test_method_names_are_checked_if_told_to(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    put(versions[2], tmp_path / "half")
    server = half_server(start, tmp_path / "half", "--enable_signature_method_name_check")
    assert answer(server) == (2, 3.0)
    body = {"signature_name": "classify", "examples": [{"x": 2.0}]}
    reply = server.client.http("POST", "/v1/models/half:classify", body)
    assert (reply.status, reply.error) == (
        400,
        "Expected classification signature method_name to be tensorflow/serving/classify. "
        "Was: tensorflow/serving/predict",
    )
    with pytest.raises(grpc.RpcError) as caught:
        server.client.prediction.Predict(tiny_models.predict_request("half", "__saved_model_init_op"))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert caught.value.details() == (
        "Expected prediction signature method_name to be one of {tensorflow/serving/predict, "
        "tensorflow/serving/classify, tensorflow/serving/regress}. Was: "
    )


def test_ports_stay_closed_until_a_model_is_there(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    base = tmp_path / "half"
    server = start("--model_name=half", f"--model_base_path={base}")
    wait_until(lambda: f"Could not find base path {base} for servable half" in server.log)
    with pytest.raises(OSError, match="refused"):
        server.client.http("GET", "/v1/models/half")
    put(versions[2], base)
    server.wait_until_ready()
    assert answer(server) == (2, 3.0)


def test_an_empty_base_path_unloads_everything(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    base = tmp_path / "half"
    version = put(versions[2], base)
    server = half_server(start, base)
    shutil.rmtree(version)
    wait_until(lambda: server.client.states("half") == {2: "END"})
    assert "Did you forget to name your leaf directory as a number (eg. '/1/')?" in server.log
    reply = server.client.http("POST", "/v1/models/half:predict", {"instances": [1]})
    assert (reply.status, reply.error) == (404, "Servable not found for request: Latest(half)")


def test_a_missing_base_path_unloads_nothing(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    base = tmp_path / "half"
    put(versions[2], base)
    server = half_server(start, base)
    base.rename(tmp_path / "elsewhere")
    wait_until(lambda: "Could not find base path" in server.log)
    assert answer(server) == (2, 3.0)


@pytest.mark.parametrize(
    ("policy", "served"),
    [
        ("", {4}),
        ("model_version_policy { latest { num_versions: 2 } }", {3, 4}),
        ("model_version_policy { all {} }", {2, 3, 4}),
        ("model_version_policy { specific { versions: 2 versions: 4 versions: 9 } }", {2, 4}),
    ],
)
def test_version_policies(
    start: Start, tmp_path: Path, versions: dict[int, Path], policy: str, served: set[int]
) -> None:
    for version in versions.values():
        put(version, tmp_path / "half")
    config = write_model_config(tmp_path / "config", {"half": tmp_path / "half"}, policy)
    server = start(f"--model_config_file={config}").wait_until_ready()
    states = dict.fromkeys(served, "AVAILABLE")
    wait_until(lambda: server.client.states("half") == states)


def test_the_config_file_is_read_again(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    put(versions[2], tmp_path / "half")
    put(versions[3], tmp_path / "other")
    config = write_model_config(tmp_path / "config", {"half": tmp_path / "half"})
    server = start(f"--model_config_file={config}", "--model_config_file_poll_wait_seconds=1").wait_until_ready()
    write_model_config(config, {"other": tmp_path / "other"})
    wait_until(lambda: server.client.states("half") == {2: "END"})
    wait_until(lambda: server.client.states("other") == {3: "AVAILABLE"})


def reload_config(*models: tuple[str, Path], **labels: int) -> model_management_pb2.ReloadConfigRequest:
    request = model_management_pb2.ReloadConfigRequest()
    for name, base in models:
        model = request.config.model_config_list.config.add(name=name, base_path=str(base), model_platform="tensorflow")
        for label, version in labels.items():
            model.version_labels[label] = version
    return request


def test_reload_takes_models_in_and_out(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    put(versions[2], tmp_path / "half")
    put(versions[3], tmp_path / "other")
    server = half_server(start, tmp_path / "half")
    response = server.client.model.HandleReloadConfigRequest(reload_config(("other", tmp_path / "other")), timeout=60)
    assert response.status.error_code == 0
    assert server.client.states("other") == {3: "AVAILABLE"}
    wait_until(lambda: server.client.states("half") == {2: "END"})


def test_reload_answers_with_what_went_wrong(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    half, bad = tmp_path / "half", tmp_path / "bad"
    put(versions[2], half)
    tiny_models.unloadable(bad / "1")
    server = half_server(start, half, "--max_num_load_retries=0")
    refusals = {
        "Illegal to list model half multiple times in config list": reload_config(("half", half), ("half", half)),
        "Expected model half to have an absolute path or URI; got base_path()=half": reload_config(
            ("half", Path("half"))
        ),
        "Request to assign label to version 7 of model half, which is not currently available for inference": (
            reload_config(("half", half), stable=7)
        ),
        "1 model(s) did not become available: {{{name: bad version: 1} due to error: NOT_FOUND: Could not find "
        "SavedModel": reload_config(("half", half), ("bad", bad)),
    }
    for text, request in refusals.items():
        with pytest.raises(grpc.RpcError) as caught:
            server.client.model.HandleReloadConfigRequest(request, timeout=60)
        assert caught.value.details().startswith(text)
    assert answer(server) == (2, 3.0)


def test_labels_follow_the_configuration(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    half = tmp_path / "half"
    put(versions[2], half)
    server = half_server(start, half)
    server.client.model.HandleReloadConfigRequest(reload_config(("half", half), stable=2), timeout=60)
    reply = server.client.http("POST", "/v1/models/half/labels/stable:predict", {"instances": [2]})
    assert reply.json == {"predictions": [3.0]}
    server.client.model.HandleReloadConfigRequest(reload_config(("half", half)), timeout=60)
    reply = server.client.http("POST", "/v1/models/half/labels/stable:predict", {"instances": [2]})
    assert (reply.status, reply.error) == (400, "Unrecognized servable version label: stable")


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        ([], "INVALID_ARGUMENT: Both server_options.model_base_path and server_options.model_config_file are empty!"),
        (["--model_base_path=relative"], "INVALID_ARGUMENT: Expected model default to have an absolute path or URI"),
        (["--model_base_path=/x", "--port=0"], "INVALID_ARGUMENT: At least one of server_options.grpc_port or"),
        (["--model_config_file=/nowhere"], "NOT_FOUND: /nowhere; No such file or directory"),
        (["--model_base_path=/x", "--batching_parameters_file=/x"], "INVALID_ARGUMENT: server_options.batching_par"),
    ],
)
def test_a_start_that_cannot_be_fails_at_once(main: Main, flags: list[str], error: str) -> None:
    status, printed = main(*flags)
    assert status == 255
    assert f"Failed to start server. Error: {error}" in printed


def test_listens_on_a_unix_socket_too(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    put(versions[2], tmp_path / "half")
    socket = tmp_path / "socket"
    half_server(start, tmp_path / "half", f"--grpc_socket_path={socket}")
    client = ModelServerClient(f"unix:{socket}", "")
    assert client.prediction.Predict(tiny_models.predict_request("half", x=[2.0])).outputs["y"].float_val[0] == 3.0
    client.close()


def test_replies_with_content_if_told_to(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    put(versions[2], tmp_path / "half")
    server = half_server(start, tmp_path / "half", "--enable_serialization_as_tensor_content")
    response = server.client.prediction.Predict(tiny_models.predict_request("half", x=[2.0]))
    assert response.outputs["y"].tensor_content == b"\x00\x00@@"
    assert not response.outputs["y"].float_val


def test_sends_cors_headers_if_told_to(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    put(versions[2], tmp_path / "half")
    server = half_server(start, tmp_path / "half", "--rest_api_enable_cors_support")
    headers = server.client.http("GET", "/v1/models/half").headers
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Access-Control-Allow-Methods"] == "POST, GET"
    assert headers["Access-Control-Allow-Headers"] == "Content-Type"
