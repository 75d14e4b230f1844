"""New connections go to the worker that has few, and wait for none that does not take them."""

import http.client
import signal
from contextlib import ExitStack

import psutil
import pytest

from tests.fakes import FakeModelServer, WireModelServer, house_contract
from tests.gateway_process import DEADLINE_S, GatewayProcess, gateway_process, wait_until

COMMAND = ("-m", "tests.patient_gateway", "http")


@pytest.fixture
def server():
    running = WireModelServer(FakeModelServer(house_contract()))
    yield running
    running.stop()


@pytest.fixture
def gateway(server):
    with gateway_process(server.address, "houses", COMMAND, ATELIER_WORKERS="2", PATIENCE_S="0.5") as running:
        wait_until(running.is_ready, running.log)
        yield running


@pytest.fixture
def clients():
    with ExitStack() as opened:
        yield opened


def connect(gateway: GatewayProcess, clients: ExitStack) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=DEADLINE_S)
    clients.callback(connection.close)
    connection.connect()
    return connection


def is_answered(connection: http.client.HTTPConnection) -> bool:
    connection.request("GET", "/livez")
    response = connection.getresponse()
    response.read()
    return response.status == 200


def held(gateway: GatewayProcess, worker: psutil.Process) -> int:
    return sum(
        one.status == psutil.CONN_ESTABLISHED and one.laddr.port == gateway.port for one in worker.net_connections()
    )


def until_both_take_connections(gateway: GatewayProcess, clients: ExitStack) -> list[psutil.Process]:
    def both_have_one() -> bool:
        workers = gateway.workers()
        return (
            is_answered(connect(gateway, clients)) and len(workers) == 2 and all(held(gateway, one) for one in workers)
        )

    wait_until(both_have_one, gateway.log)
    return gateway.workers()


def test_clients_that_come_together_are_spread_over_the_workers(gateway, clients):
    workers = until_both_take_connections(gateway, clients)

    together = [connect(gateway, clients) for _ in range(24)]

    assert all(map(is_answered, together))
    few, many = sorted(held(gateway, worker) for worker in workers)
    assert many - few <= 4, (few, many)


def test_a_worker_that_takes_no_connection_keeps_nobody_waiting(gateway, clients):
    stuck, _ = until_both_take_connections(gateway, clients)
    stuck.send_signal(signal.SIGSTOP)
    try:
        assert all(is_answered(connect(gateway, clients)) for _ in range(held(gateway, stuck) + 5))
    finally:
        stuck.send_signal(signal.SIGCONT)


def test_a_worker_that_died_leaves_nobody_waiting_for_it(server, clients):
    with gateway_process(server.address, "houses", COMMAND, ATELIER_WORKERS="1", PATIENCE_S="600") as gateway:
        wait_until(gateway.is_ready, gateway.log)
        assert all(is_answered(connect(gateway, clients)) for _ in range(3))
        (dying,) = gateway.workers()
        dying.kill()
        wait_until(lambda: dying.pid not in {worker.pid for worker in gateway.workers()}, gateway.log)

        assert all(is_answered(connect(gateway, clients)) for _ in range(10))
