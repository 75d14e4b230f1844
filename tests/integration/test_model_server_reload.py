"""Configurations that replace each other, and the labels in them: what is taken, refused, and waited for."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from tensorflow_serving.apis import model_management_pb2

from tests import tiny_models
from tests.conformance.rows import row
from tests.model_server_in_process import Main, ModelServerInProcess, Start, answer, half_server, put
from tests.model_server_process import wait_until, write_model_config


def reload_config(*models: tuple[str, Path], **labels: int) -> model_management_pb2.ReloadConfigRequest:
    request = model_management_pb2.ReloadConfigRequest()
    for name, base in models:
        model = request.config.model_config_list.config.add(name=name, base_path=str(base), model_platform="tensorflow")
        for label, version in labels.items():
            model.version_labels[label] = version
    return request


def reload(server: ModelServerInProcess, *models: tuple[str, Path], **labels: int) -> Any:
    return server.client.model.HandleReloadConfigRequest(reload_config(*models, **labels), timeout=60)


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    """The code and the text that a call fails with."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code().name, caught.value.details()


@row("2.3/14", "2.3/15")
def test_reload_takes_models_in_and_out(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    put(versions[2], tmp_path / "half")
    put(versions[3], tmp_path / "other")
    server = half_server(start, tmp_path / "half")
    response = server.client.model.HandleReloadConfigRequest(reload_config(("other", tmp_path / "other")), timeout=60)
    assert response.status.error_code == 0
    assert server.client.states("other") == {3: "AVAILABLE"}
    wait_until(lambda: server.client.states("half") == {2: "END"})


@row("2.3/15", "3.2/9", "3.2/10", "3.4/11", "3.5/1")
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


@row("3.2/1", "3.5/5")
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
    ("platform", "error"),
    [
        pytest.param(
            "",
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform, "
            "model name is new",
            id="3.2/11 none",
        ),
        pytest.param("pytorch", "Model new requests unsupported platform pytorch", id="3.2/12 unknown"),
    ],
)
def test_a_model_needs_the_platform_there_is(
    start: Start, tmp_path: Path, versions: dict[int, Path], platform: str, error: str
) -> None:
    put(versions[2], tmp_path / "half")
    server = half_server(start, tmp_path / "half")
    request = reload_config(("new", tmp_path / "half"))
    request.config.model_config_list.config[0].model_platform = platform
    refused = refusal(lambda: server.client.model.HandleReloadConfigRequest(request, timeout=60))
    assert refused == ("INVALID_ARGUMENT", error)


@row("3.2/13")
def test_a_model_keeps_its_platform(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    put(versions[2], tmp_path / "half")
    server = half_server(start, tmp_path / "half")
    request = reload_config(("half", tmp_path / "half"))
    request.config.model_config_list.config[0].model_platform = "pytorch"
    refused = refusal(lambda: server.client.model.HandleReloadConfigRequest(request, timeout=60))
    assert refused == (
        "INVALID_ARGUMENT",
        "Illegal to change a model's platform. For model half platform was tensorflow and new platform requested is "
        "pytorch",
    )


@row("3.2/15")
def test_an_empty_configuration_does_nothing(start: Start, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("")
    server = start(f"--model_config_file={tmp_path / 'config'}").wait_until_ready()
    assert "Taking no action for empty config." in server.log
    assert server.client.states("half") == {}


@row("3.2/14")
def test_a_list_of_models_cannot_become_another_kind_of_configuration(
    start: Start, tmp_path: Path, versions: dict[int, Path]
) -> None:
    put(versions[2], tmp_path / "half")
    config = write_model_config(tmp_path / "config", {"half": tmp_path / "half"})
    server = start(f"--model_config_file={config}", "--model_config_file_poll_wait_seconds=1").wait_until_ready()
    config.write_text('custom_model_config { type_url: "custom" }')
    wait_until(lambda: "Cannot transition to requested config." in server.log)
    assert answer(server) == (2, 3.0)


@row("3.4/12", "3.4/13")
def test_a_reload_that_waits_holds_up_the_next_one(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    half, typo = tmp_path / "half", tmp_path / "typo"
    put(versions[2], half)
    put(versions[3], half)
    server = half_server(start, half)
    with ThreadPoolExecutor(2) as callers:
        waits = callers.submit(reload, server, ("half", half), ("typo", typo))
        wait_until(lambda: "Could not find base path" in server.log)
        both = reload_config(("half", half), ("typo", typo))
        both.config.model_config_list.config[0].model_version_policy.all.SetInParent()
        next_one = callers.submit(server.client.model.HandleReloadConfigRequest, both, timeout=60)
        wait_until(lambda: server.log.count("Could not find base path") > 2)
        assert (waits.done(), next_one.done()) == (False, False)
        put(versions[4], typo)
        waits.result(60)
        next_one.result(60)  # only a policy is new, which nobody waits for
    wait_until(lambda: server.client.states("half") == {3: "AVAILABLE", 2: "AVAILABLE"})


@row("3.5/2")
def test_a_first_configuration_cannot_have_labels(main: Main, tmp_path: Path, versions: dict[int, Path]) -> None:
    put(versions[2], tmp_path / "half")
    config = write_model_config(
        tmp_path / "config", {"half": tmp_path / "half"}, 'version_labels { key: "stable" value: 2 }'
    )
    status, printed = main(f"--model_config_file={config}")
    assert status == 255
    assert (
        "FAILED_PRECONDITION: Request to assign label to version 2 of model half, which is not currently available"
        in printed
    )


@row("3.5/3", "3.5/4")
def test_with_its_flag_a_new_label_may_point_anywhere(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    half = tmp_path / "half"
    put(versions[2], half)
    server = half_server(start, half, "--allow_version_labels_for_unavailable_models")
    reload(server, ("half", half), stable=2, next=7)
    reply = server.client.http("POST", "/v1/models/half/labels/next:predict", {"instances": [2]})
    assert (reply.status, reply.error) == (404, "Servable not found for request: Specific(half, 7)")
    code, text = refusal(lambda: reload(server, ("half", half), stable=7, next=7))
    assert code == "FAILED_PRECONDITION"
    assert text.startswith("Request to assign label to version 7 of model half")
    put(versions[3], half)
    wait_until(lambda: server.client.states("half") == {3: "AVAILABLE", 2: "END"})
    reply = server.client.http("POST", "/v1/models/half/labels/stable:predict", {"instances": [2]})
    assert (reply.status, reply.error) == (404, "Servable not found for request: Specific(half, 2)")


def polls(config: Path) -> tuple[str, str]:
    """Flags for a configuration that is read again each second."""
    return f"--model_config_file={config}", "--model_config_file_poll_wait_seconds=1"


def test_a_label_of_the_file_is_given_once_its_version_is_there(
    start: Start, tmp_path: Path, versions: dict[int, Path]
) -> None:
    half = tmp_path / "half"
    put(versions[2], half)
    config = write_model_config(tmp_path / "config", {"half": half})
    server = start(*polls(config)).wait_until_ready()
    write_model_config(config, {"half": half}, 'version_labels { key: "stable" value: 3 }')
    wait_until(lambda: "Request to assign label to version 3 of model half" in server.log)
    put(versions[3], half)
    body = {"instances": [2]}
    wait_until(lambda: server.client.http("POST", "/v1/models/half/labels/stable:predict", body).status == 200)


def test_a_file_that_stays_wrong_is_told_of_once(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    put(versions[2], tmp_path / "half")
    config = write_model_config(tmp_path / "config", {"half": tmp_path / "half"})
    server = start(*polls(config)).wait_until_ready()
    config.write_text("improperly formatted file contents")
    wait_until(lambda: server.log.count("Error parsing text-format") >= 3)  # the parser's words, at each poll
    assert server.log.count("failed to ReloadConfig: Invalid protobuf file") == 1


@pytest.mark.parametrize("name", [b"caf\xe9", b"\xff\xfe"])
def test_a_file_that_is_no_utf_8_does_not_end_the_polls(
    start: Start, tmp_path: Path, versions: dict[int, Path], name: bytes
) -> None:
    put(versions[2], tmp_path / "half")
    put(versions[3], tmp_path / "other")
    config = write_model_config(tmp_path / "config", {"half": tmp_path / "half"})
    server = start(*polls(config)).wait_until_ready()
    config.write_bytes(b'model_config_list { config { name: "%b" } }' % name)
    wait_until(lambda: "failed to ReloadConfig: Invalid protobuf file" in server.log)
    write_model_config(config, {"other": tmp_path / "other"})
    wait_until(lambda: server.client.states("other") == {3: "AVAILABLE"})


def test_a_comment_may_be_in_any_encoding(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    put(versions[2], tmp_path / "half")
    config = write_model_config(tmp_path / "config", {"half": tmp_path / "half"})
    config.write_bytes(b"# caf\xe9\n" + config.read_bytes())
    assert answer(start(f"--model_config_file={config}").wait_until_ready()) == (2, 3.0)


def test_a_start_with_a_name_that_is_no_utf_8_fails_as_with_any_bad_file(main: Main, tmp_path: Path) -> None:
    (tmp_path / "config").write_bytes(b'model_config_list { config { name: "caf\xe9" } }')
    status, printed = main(f"--model_config_file={tmp_path / 'config'}")
    assert status == 255
    assert "Failed to start server. Error: INVALID_ARGUMENT: Invalid protobuf file" in printed
