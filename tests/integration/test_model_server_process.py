"""The embedded model server as a process: signals, exit statuses and the lines that it prints."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from tests import tiny_models
from tests.conformance.rows import row
from tests.model_server_process import ModelServerProcess, wait_until

Start = Callable[..., ModelServerProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers, which end with the test."""
    started: list[ModelServerProcess] = []

    def start_one(*flags: str) -> ModelServerProcess:
        started.append(ModelServerProcess(tmp_path / f"log-{len(started)}", *flags))
        return started[-1]

    yield start_one
    for process in started:
        process.kill()


@pytest.fixture(scope="module")
def wait_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base path of `wait`."""
    return tiny_models.publish(tiny_models.wait, tmp_path_factory.mktemp("models") / "wait", 1).parent


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_exits_0(start: Start, wait_base: Path, number: signal.Signals) -> None:
    server = start("--model_name=wait", f"--model_base_path={wait_base}").wait_until_ready()
    with ThreadPoolExecutor(2) as callers:
        by_http = callers.submit(server.client.http, "POST", "/v1/models/wait:predict", {"instances": [2.0]})
        by_grpc = server.client.prediction.Predict.future(tiny_models.predict_request("wait", seconds=[2.0]))
        threading.Event().wait(0.7)  # let both arrive
        os.kill(server.pid, number)
        assert list(by_grpc.result(60).outputs["waited"].float_val) == [2.0]
        assert by_http.result(60).json == {"predictions": [2.0]}
    assert server.wait() == 0


def test_a_request_that_outlives_the_grace_period_does_not_hold_the_exit(start: Start, wait_base: Path) -> None:
    server = start(
        "--model_name=wait", f"--model_base_path={wait_base}", "--drain_timeout_seconds=1"
    ).wait_until_ready()
    call = server.client.prediction.Predict.future(tiny_models.predict_request("wait", seconds=[600.0]))
    threading.Event().wait(0.7)  # let it arrive
    server.terminate()
    assert server.wait(30) == 0
    assert call.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


def test_a_signal_ends_a_start_that_waits(start: Start, tmp_path: Path) -> None:
    server = start("--model_name=half", f"--model_base_path={tmp_path / 'nowhere'}")
    wait_until(lambda: "Could not find base path" in server.log)
    server.terminate()
    assert server.wait(30) == 0


@row("3.2/3")
def test_a_bad_config_file_is_explained_on_stderr(start: Start, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("improperly formatted file contents")
    server = start(f"--model_config_file={tmp_path / 'config'}")
    assert server.wait() == 255
    assert "Error parsing text-format tensorflow.serving.ModelServerConfig" in server.log


def test_the_lines_that_people_wait_for(start: Start, wait_base: Path) -> None:
    flags = ("--model_name=wait", f"--model_base_path={wait_base}", "--not_a_flag=1", "--skip_initialize_tpu")
    server = start(*flags).wait_until_ready()
    for line in (
        "unknown argument: --not_a_flag=1",
        "--skip_initialize_tpu=true has no effect",
        "Successfully loaded servable version {name: wait version: 1}",
        f"Running gRPC ModelServer at 0.0.0.0:{server.port} ...",
        f"Exporting HTTP/REST API at:localhost:{server.rest_port} ...",
    ):
        assert line in server.log


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["--version"], 0, "TensorFlow ModelServer: "),
        (["--help"], 255, "--rest_api_timeout_in_ms=30000"),
        (["--port=http"], 255, "usage: "),
    ],
)
def test_what_the_command_line_prints(arguments: list[str], status: int, text: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "serving.model_server", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == status
    assert text in done.stdout
