"""Model servers in the tests' own process, and the versions that they are given."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ports import free_port

if TYPE_CHECKING:  # they bring TensorFlow with them, which only those pay for who need it
    from tests.model_server_in_process import Main, Start


@pytest.fixture
def start(tmp_path: Path) -> "Iterator[Start]":
    """Starts servers, which end with the test."""
    from tests.model_server_in_process import ModelServerInProcess

    started: list[ModelServerInProcess] = []

    def start_one(*flags: str) -> ModelServerInProcess:
        started.append(ModelServerInProcess(tmp_path / f"log-{len(started)}", *flags))
        return started[-1]

    yield start_one
    for process in started:
        process.kill()


@pytest.fixture
def main(capfd: pytest.CaptureFixture[str]) -> "Iterator[Main]":
    """Runs the command line to its end: the exit status and what it printed. For starts that fail."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    from serving.model_server import __main__ as program

    def run(*flags: str) -> tuple[int, str]:
        # a later flag wins, so that a test can name the port itself
        status = program.main([f"--port={free_port()}", *flags])
        printed = capfd.readouterr()
        return status, printed.out + printed.err

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """half_plus_two, three and four, to be copied where a test needs them: version n adds n."""
    from tests import tiny_models

    base = tmp_path_factory.mktemp("versions")

    def write(version: int) -> Callable[[Path], Path]:
        return lambda path: tiny_models.half_plus_two(path, float(version))

    return {version: tiny_models.publish(write(version), base, version) for version in (2, 3, 4)}
