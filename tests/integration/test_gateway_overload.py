"""A gateway that has as much to do as it takes: what it refuses, what it still answers, and that it comes back."""

import http.client
import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.fakes import FakeModelServer, WireModelServer, house_contract
from tests.gateway_process import GatewayProcess, Reply, gateway_process, wait_until

REGRESS = "/v1/models/houses:regress"
HOUSE = {"instances": [[3, 4]]}
THREADS = 2


@pytest.fixture(scope="module")
def server():
    running = WireModelServer(FakeModelServer(house_contract()))
    yield running
    running.hold.set()
    running.stop()


@pytest.fixture(scope="module")
def gateway(server):
    with gateway_process(server.address, "houses", ATELIER_WORKERS="1", ATELIER_THREADS=str(THREADS)) as running:
        wait_until(running.is_ready, running.log)
        yield running


@contextmanager
def full(server: WireModelServer, gateway: GatewayProcess) -> Iterator[list[Future[Reply]]]:
    """As many requests under way as the gateway takes; they end with the block."""
    server.hold.clear()
    with ThreadPoolExecutor() as pool:
        try:
            under_way = [pool.submit(insist, gateway) for _ in range(THREADS)]
            wait_until(lambda: f"atelier_requests_in_flight {THREADS + 1}.0" in metrics(gateway), gateway.log)
            yield under_way
        finally:
            server.hold.set()


def insist(gateway: GatewayProcess) -> Reply:
    """Until it is no longer refused: a look at the metrics takes a place too, and one is free only after its answer."""
    while (reply := gateway.request("POST", REGRESS, HOUSE)).status == 503:
        pass
    return reply


def metrics(gateway: GatewayProcess) -> str:
    return gateway.request("GET", "/metrics").body.decode()


@pytest.mark.parametrize(
    "path", ["/v1/models/houses:predict", "/v1/models/houses/versions/1:regress", "/v1/models/houses/labels/x:regress"]
)
def test_a_full_gateway_refuses_a_prediction_at_once_and_says_when_to_come_back(server, gateway, path):
    with full(server, gateway) as under_way:
        reply = gateway.request("POST", path, HOUSE, {"X-Request-Id": "find-me"})

        assert (reply.status, reply.json["type"]) == (503, "urn:atelier:problem:overloaded")
        assert reply.json["request_id"] == reply.headers["X-Request-Id"] == "find-me"
        assert reply.headers["Retry-After"] == "1"
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert not any(one.done() for one in under_way)
    assert [one.result().status for one in under_way] == [200] * THREADS
    assert insist(gateway).status == 200


def test_a_full_gateway_still_answers_everything_else(server, gateway):
    with full(server, gateway):
        for path, status in [
            ("/livez", 200),
            ("/readyz", 200),
            ("/v1/models", 200),
            ("/v1/models/houses/metadata", 200),
        ]:
            assert gateway.request("GET", path).status == status
        assert gateway.request("GET", REGRESS).status == 405
        assert gateway.request("POST", "/v1/models/cars:predict", HOUSE).status == 404


def test_a_refused_client_keeps_its_connection_and_is_answered_on_it_later(server, gateway):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
    statuses = []

    def ask() -> None:
        connection.request("POST", REGRESS, json.dumps(HOUSE), {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        statuses.append((response.status, connection.sock is not None))

    with full(server, gateway):
        ask()
        ask()
    assert statuses == [(503, True), (503, True)]
    while statuses[-1][0] == 503:  # the others are answered, but their places may not be free yet
        ask()
    connection.close()

    assert statuses[-1] == (200, True)


def test_a_client_that_wants_its_connection_closed_gets_that_too(server, gateway):
    with full(server, gateway):
        reply = gateway.request("POST", REGRESS, HOUSE, {"Connection": "close"})

    assert (reply.status, reply.headers["Connection"]) == (503, "close")


def test_refusals_are_counted_under_their_model(server, gateway):
    line = 'atelier_requests_total{code="503",model="houses",verb="regress",version=""}'

    def refused() -> float:
        found = [row.rpartition(" ")[2] for row in metrics(gateway).splitlines() if row.startswith(line)]
        return float(found[0]) if found else 0

    with full(server, gateway):
        before = refused()
        gateway.request("POST", REGRESS, HOUSE)

        assert refused() == before + 1


def test_a_storm_leaves_nothing_behind(server, gateway):
    """Twenty callers at two threads, while the model server comes and goes: each is answered or refused."""
    statuses = []
    stop = threading.Event()

    def call() -> None:
        while not stop.is_set():
            statuses.append(gateway.request("POST", REGRESS, HOUSE).status)

    def wait_for(status: int, times: int) -> None:
        seen = len(statuses)
        wait_until(lambda: statuses[seen:].count(status) >= times, gateway.log)

    with ThreadPoolExecutor(20) as pool:
        for _ in range(20):
            pool.submit(call)
        for _ in range(5):
            server.hold.clear()
            wait_for(503, 20)
            server.hold.set()
            wait_for(200, 1)
        stop.set()

    assert set(statuses) == {200, 503}
    assert insist(gateway).status == 200
    assert "Traceback" not in gateway.log()
