"""The life of an embedded model server: versions come and go, requests go on, and it starts only with what it needs.

In the test's process; what needs one of the server's own is in test_model_server_process.py.
"""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from tests import tiny_models
from tests.conformance.rows import row
from tests.model_server_in_process import Main, Start, answer, half_server, put
from tests.model_server_process import ModelServerClient, wait_until, write_model_config


@row("1.7/3", "2.3/13", "3.4/5")
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


@row("3.4/1")
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


@row("2.3/13", "3.4/2", "3.4/5", "3.4/6", "3.4/14")
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


@row("3.4/8")
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


@row("3.4/4")
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


@row("3.4/15")
def test_a_graph_needs_the_tags_asked_for(main: Main, tmp_path: Path, versions: dict[int, Path]) -> None:
    put(versions[2], tmp_path / "half")
    flags = ("--saved_model_tags=serve,gpu", "--max_num_load_retries=0")
    status, printed = main(f"--model_base_path={tmp_path / 'half'}", *flags)
    assert status == 255
    assert "NOT_FOUND: Could not find meta graph def matching supplied tags: { serve gpu }" in printed


@row("3.3/7")
def test_a_loaded_version_is_not_read_again(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    base = tmp_path / "half"
    version = put(versions[2], base)
    server = half_server(start, base)
    shutil.rmtree(version / "variables")
    shutil.copytree(versions[4] / "variables", version / "variables")
    put(versions[3], base)
    wait_until(lambda: server.client.states("half") == {3: "AVAILABLE", 2: "END"})
    shutil.rmtree(base / "3")
    wait_until(lambda: server.client.states("half") == {3: "END", 2: "AVAILABLE"})
    assert answer(server) == (2, 5.0)  # it left, came back, and was read anew


@row("3.4/10")
def test_ports_stay_closed_until_a_model_is_there(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    base = tmp_path / "half"
    server = start("--model_name=half", f"--model_base_path={base}")
    wait_until(lambda: f"Could not find base path {base} for servable half" in server.log)
    with pytest.raises(OSError, match="refused"):
        server.client.http("GET", "/v1/models/half")
    put(versions[2], base)
    server.wait_until_ready()
    assert answer(server) == (2, 3.0)


@row("3.3/6")
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


@row("3.2/1", "3.2/2", "3.3/5")
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


@row("3.2/10")
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
