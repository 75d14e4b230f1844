"""The gateway leaves, restarts and loses a worker while clients go on asking. Real processes, real signals."""

import http.client
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from serving.generated.atelier.prediction.v1 import prediction_pb2 as wire
from tests.fakes import FakeModelServer, WireModelServer, house_contract
from tests.gateway_process import DEADLINE_S, GatewayProcess, gateway_process, wait_until
from tests.grpc_gateway import grpc_gateway_process
from tests.raw_client import RawClient, head, post

PATH = "/v1/models/houses:regress"
HOUSE = {"instances": [[3, 4]]}
REGRESS = wire.RegressRequest(
    model="houses", instances=[wire.Instance(features=wire.Features(values={"rooms": 3, "age": 4}))]
)
CLIENTS = 4


@pytest.fixture
def server():
    running = WireModelServer(FakeModelServer(house_contract()))
    yield running
    running.hold.set()
    running.stop()


@contextmanager
def started(server, **settings: str) -> Iterator[GatewayProcess]:
    with gateway_process(server.address, "houses", ATELIER_WORKERS="2", **settings) as gateway:
        wait_until(gateway.is_ready, gateway.log)
        yield gateway


class Load:
    """Clients that ask on kept connections, one request after the other, as long as they may."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self.answered, self.failures = 0, list[object]()
        self._gateway, self._is_over = gateway, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        self.goes_on()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def goes_on(self) -> None:
        """Wait until a good number more is answered."""
        enough = self.answered + 20 * CLIENTS
        wait_until(lambda: self.answered >= enough, lambda: (self.failures, self._gateway.log()))

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._gateway.port, timeout=DEADLINE_S)
        while not self._is_over.is_set():
            try:  # http.client connects again by itself after an answer that said "Connection: close"
                connection.request("POST", PATH, json.dumps(HOUSE), {"Content-Type": "application/json"})
                response = connection.getresponse()
                response.read()
                if response.status != 200:
                    self.failures.append(response.status)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(error)
                connection.close()
            self.answered += 1
        connection.close()


def is_leaving(gateway: GatewayProcess) -> bool:
    reply = gateway.request("GET", "/readyz")
    return reply.status == 503 and reply.json["draining"]


def test_a_leaving_gateway_says_so_and_answers_on_until_load_balancers_have_noticed(server):
    with started(server, ATELIER_DRAIN_DELAY_S="300") as gateway, RawClient(gateway.port) as kept:
        kept.send(head("/livez", method="GET"))
        assert kept.response()[1]["connection"] == "keep-alive"

        gateway.process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_leaving(gateway), gateway.log)

        assert gateway.request("POST", PATH, HOUSE).status == 200
        kept.send(post(PATH, HOUSE))
        status, headers, _ = kept.response()
        assert (status, headers["connection"]) == (200, "close")
        assert gateway.process.poll() is None

        assert gateway.stop() == 0  # a second SIGTERM waits no longer
        assert "Traceback" not in gateway.log()


def test_no_request_is_lost_by_clients_who_go_when_the_gateway_is_not_ready(server):
    with started(server, ATELIER_DRAIN_DELAY_S="3") as gateway:
        with Load(gateway) as load:
            gateway.process.send_signal(signal.SIGTERM)
            wait_until(lambda: is_leaving(gateway), gateway.log)
            load.end()

        assert load.failures == []
        assert gateway.process.wait(DEADLINE_S) == 0


def test_what_was_sent_before_the_workers_stop_is_answered_and_then_the_connection_closed(server):
    with started(server) as gateway, RawClient(gateway.port) as client:
        server.hold.clear()
        client.send(post(PATH, HOUSE) + post(PATH, HOUSE))
        wait_until(lambda: "requests_in_flight 2.0" in gateway.request("GET", "/metrics").body.decode(), gateway.log)
        gateway.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses_connections(gateway), gateway.log)
        server.hold.set()

        assert [client.response()[1]["connection"] for _ in range(2)] == ["keep-alive", "close"]
        assert client.is_closed_by_the_server()
        assert gateway.process.wait(DEADLINE_S) == 0


def refuses_connections(gateway: GatewayProcess) -> bool:
    with suppress(OSError):
        RawClient(gateway.port).close()
        return False
    return True


def test_sighup_replaces_every_worker_without_a_lost_request(server):
    with started(server) as gateway, Load(gateway) as load:
        for _ in range(2):
            old = {worker.pid for worker in gateway.workers()}
            gateway.process.send_signal(signal.SIGHUP)
            wait_until(lambda old=old: not old & {worker.pid for worker in gateway.workers()}, gateway.log)
            load.goes_on()
        load.end()

        assert load.failures == []
        assert len(gateway.workers()) == 2
        assert "Traceback" not in gateway.log()


def test_a_killed_worker_is_replaced_and_only_its_own_requests_are_lost(server):
    with started(server) as gateway, Load(gateway) as load:
        killed = gateway.workers()[0]
        killed.send_signal(signal.SIGKILL)
        wait_until(lambda: len(gateway.workers()) == 2 and killed not in gateway.workers(), gateway.log)
        load.goes_on()
        load.end()

        assert len(load.failures) <= CLIENTS  # each had one request on its way


def test_the_grpc_door_says_that_it_leaves_and_answers_on(server):
    with grpc_gateway_process(server.address, "houses", ATELIER_DRAIN_DELAY_S="300") as gateway:
        gateway.terminate()
        wait_until(lambda: gateway.client.health() == "NOT_SERVING", gateway.log)

        assert [gateway.client.health(name) for name in ("houses", "atelier.prediction.v1.PredictionService")] == [
            "NOT_SERVING"
        ] * 2
        assert gateway.client.call("Regress", REGRESS).predictions[0].value == 7
        assert gateway.process.poll() is None

        gateway.terminate()
        assert gateway.process.wait(DEADLINE_S) == 0
