"""API keys as clients and operators have them: both doors, real processes."""

import subprocess
import sys
import time

import grpc
import pytest

from serving.generated.atelier.prediction.v1 import prediction_pb2 as wire
from tests.fakes import FakeModelServer, WireModelServer, house_contract
from tests.gateway_process import gateway_process, wait_until
from tests.grpc_gateway import grpc_gateway_process

REGRESS = "/v1/models/houses:regress"
HOUSE = {"instances": [[3, 4]]}
GRPC_HOUSE = wire.RegressRequest(
    model="houses", instances=[wire.Instance(features=wire.Features(values={"rooms": 3, "age": 4}))]
)


@pytest.fixture(scope="module")
def server():
    running = WireModelServer(FakeModelServer(house_contract()))
    yield running
    running.stop()


def make_key(*arguments: str) -> tuple[str, str]:
    command = [sys.executable, "-m", "serving.gateway", "key", *arguments]
    key, line = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return key, line


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory):
    """ada may send 2 a second, bob as many as he likes."""
    file = tmp_path_factory.mktemp("keys") / "keys"
    ada, ada_line = make_key("ada", "--requests-per-second", "2")
    bob, bob_line = make_key("bob")
    file.write_text(f"{ada_line}\n{bob_line}\n")
    return file, {"ada": ada, "bob": bob}


@pytest.fixture(scope="module")
def gateway(server, keys_file):
    settings = {"ATELIER_API_KEYS_FILE": str(keys_file[0]), "ATELIER_WORKERS": "2", "ATELIER_ACCESS_LOG": "true"}
    with gateway_process(server.address, "houses", **settings) as running:
        wait_until(running.is_ready, running.log)
        yield running


def test_whoever_shows_a_key_is_answered_and_nobody_else(gateway, keys_file):
    bob = keys_file[1]["bob"]
    for headers in ({"Authorization": f"Bearer {bob}"}, {"X-API-Key": bob}):
        assert gateway.request("POST", REGRESS, HOUSE, headers).status == 200

    for headers in ({}, {"X-API-Key": "guessed"}, {"Authorization": "Bearer "}, {"Authorization": f"Basic {bob}"}):
        reply = gateway.request("POST", REGRESS, HOUSE, headers)
        assert (reply.status, reply.json["type"]) == (401, "urn:atelier:problem:unauthenticated")
        assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    assert bob not in gateway.log()


@pytest.mark.parametrize("path", ["/v1/models", "/openapi.json", "/v2/models/houses", "/nothing"])
def test_everything_about_the_models_asks_for_a_key(gateway, keys_file, path):
    assert gateway.request("GET", path).status == 401
    assert gateway.request("GET", path, headers={"X-API-Key": keys_file[1]["bob"]}).status != 401


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/docs", "/docs/docs.js", "/v2/health/ready"])
def test_what_keeps_a_gateway_running_asks_for_none(gateway, path):
    assert gateway.request("GET", path).status == 200


def test_all_workers_count_a_keys_requests_together(gateway, keys_file):
    headers = {"X-API-Key": keys_file[1]["ada"]}

    began = time.monotonic()
    replies = [gateway.request("GET", "/v1/models", headers=headers) for _ in range(60)]
    elapsed_s = time.monotonic() - began

    assert 2 <= sum(reply.status == 200 for reply in replies) <= 2 + 2 * elapsed_s
    refused = next(reply for reply in replies if reply.status == 429)
    assert refused.json["detail"] == "this API key may send 2 requests a second"
    assert refused.headers["Retry-After"] == "1"
    assert gateway.request("GET", "/v1/models", headers={"X-API-Key": keys_file[1]["bob"]}).status == 200


def test_the_grpc_door_takes_the_same_keys(server, keys_file):
    bob = keys_file[1]["bob"]
    with grpc_gateway_process(server.address, "houses", ATELIER_API_KEYS_FILE=str(keys_file[0])) as gateway:
        for metadata in ([("authorization", f"Bearer {bob}")], [("x-api-key", bob)]):
            assert gateway.client.call("Regress", GRPC_HOUSE, metadata=metadata).predictions[0].value == 7
        for metadata in ([], [("x-api-key", "guessed")]):
            fault = gateway.client.fault("Regress", GRPC_HOUSE, metadata=metadata)
            assert (fault.code, fault.reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
        assert gateway.client.health() == "SERVING"
        assert bob not in gateway.log()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "production does not start with no-keys: set ATELIER_API_KEYS_FILE, or accept it with"),
        ({"ATELIER_ACCEPT_IN_PRODUCTION": "no-tls"}, "production does not start with no-keys"),
        ({"ATELIER_ACCEPT_IN_PRODUCTION": "no-keys"}, "production does not start with no-tls"),
        ({"ATELIER_ACCEPT_IN_PRODUCTION": "no-worries"}, "ATELIER_ACCEPT_IN_PRODUCTION: expected names of no-keys"),
        ({"ATELIER_ENVIRONMENT": "prod"}, "ATELIER_ENVIRONMENT: expected one of development, production, got 'prod'"),
        (
            {"ATELIER_API_KEYS_FILE": "nowhere", "ATELIER_ACCEPT_IN_PRODUCTION": "no-tls"},
            "ATELIER_API_KEYS_FILE: nowhere cannot be read",
        ),
    ],
)
def test_production_does_not_start_unprotected(settings, words):
    with gateway_process("127.0.0.1:1", "houses", **{"ATELIER_ENVIRONMENT": "production"} | settings) as gateway:
        assert gateway.process.wait(60) == 1
        [line] = gateway.log().splitlines()
        assert words in line


def test_production_starts_with_what_is_accepted(server):
    accepted = {"ATELIER_ENVIRONMENT": "production", "ATELIER_ACCEPT_IN_PRODUCTION": "no-keys, no-tls"}
    with gateway_process(server.address, "houses", **accepted) as gateway:
        wait_until(gateway.is_ready, gateway.log)
        assert gateway.request("POST", REGRESS, HOUSE).status == 200
