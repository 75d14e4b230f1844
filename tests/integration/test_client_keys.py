"""The client and the command line show their API key at both doors, and keep to what it allows."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from serving.client import Client, ProblemError
from serving.gateway.api_keys import make_key
from tests.fakes import FakeModelServer, WireModelServer, full_house_contract
from tests.gateway_process import DEADLINE_S, gateway_process, wait_until
from tests.grpc_gateway import grpc_gateway_process

HOUSE = {"rooms": 3, "age": 4}


@dataclass(frozen=True)
class Guarded:
    """Both doors, and the keys that they take."""

    urls: dict[str, str]
    key: str
    slow_key: str  # one request a second


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    (key, line), (slow_key, slow_line) = make_key("ada"), make_key("grace", "1")
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text(f"{line}\n{slow_line}\n")
    server = WireModelServer(FakeModelServer(full_house_contract()))
    keys = {"ATELIER_API_KEYS_FILE": str(file)}
    with (
        gateway_process(server.address, "houses", ATELIER_WORKERS="1", **keys) as http,
        grpc_gateway_process(server.address, "houses", **keys) as grpc,
    ):
        wait_until(http.is_ready, http.log)
        urls = {"http": f"http://127.0.0.1:{http.port}", "grpc": f"grpc://127.0.0.1:{grpc.port}"}
        yield Guarded(urls, key, slow_key)
        assert key not in http.log() + grpc.log()
    server.stop()


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_a_known_key_opens_the_door_and_no_other(guarded: Guarded, transport: str):
    with Client(guarded.urls[transport], api_key=guarded.key) as known:
        assert known.predict("houses", [HOUSE]).predictions[0]["value"] == 7
        assert known.models()["models"][0]["name"] == "houses"

    for key in (None, "atelier_guessed"):
        with Client(guarded.urls[transport], api_key=key) as unknown, pytest.raises(ProblemError) as refused:
            unknown.predict("houses", [HOUSE])
        assert refused.value.status == 401
        assert "API key" in refused.value.problem["detail"]


@pytest.mark.parametrize("url", ["http://127.0.0.1", "grpc://127.0.0.1"])
@pytest.mark.parametrize("key", ["secret\nsecret", "secret\x00", "sécret"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_repeated(url: str, key: str):
    with pytest.raises(ValueError, match="expected an API key of one line of printable ASCII characters") as refused:
        Client(url, api_key=key)

    assert "cret" not in str(refused.value)


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_more_than_a_key_allows_gets_through_by_waiting_as_told(guarded: Guarded, transport: str):
    with Client(guarded.urls[transport], api_key=guarded.slow_key) as hasty, pytest.raises(ProblemError) as refused:
        ask_often(hasty)
    assert refused.value.status == 429
    assert refused.value.retry_after_s is not None

    with Client(guarded.urls[transport], DEADLINE_S, api_key=guarded.slow_key, retries=20) as patient:
        assert [patient.predict("houses", [HOUSE]).predictions[0]["value"] for _ in range(2)] == [7, 7]


def ask_often(client: Client) -> None:
    for _ in range(1000):
        client.predict("houses", [HOUSE])


def test_the_command_line_reads_its_key_from_a_file(guarded: Guarded, tmp_path: Path):
    (tmp_path / "house.json").write_text("[3, 4]")
    (tmp_path / "key").write_text(f"{guarded.key}\n")
    command = [sys.executable, "-m", "serving", "predict", str(tmp_path / "house.json"), "--url", guarded.urls["http"]]

    with_key, without = (
        subprocess.run([*command, *more], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        for more in (["--api-key-file", str(tmp_path / "key")], [])
    )

    assert (with_key.returncode, with_key.stderr) == (0, "")
    assert without.returncode == 1
    assert "this gateway asks for an API key, and none was sent" in without.stderr
