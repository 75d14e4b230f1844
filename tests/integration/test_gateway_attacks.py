"""Clients that mean no good, or have a bad line: each is refused or outwaited, and a good client notices nothing."""

import gzip
import json
from contextlib import ExitStack, suppress

import pytest

from tests.fakes import FakeModelServer, WireModelServer, house_contract
from tests.gateway_process import GatewayProcess, gateway_process, wait_until
from tests.raw_client import RawClient, head, post

PATH = "/v1/models/houses:regress"
HOUSE = {"instances": [[3, 4]]}
THREADS = 4
ATTACKERS = 5 * THREADS
MEGABYTE = 1024 * 1024
MAX_BODY_BYTES = 2 * MEGABYTE
MAX_CONNECTIONS = 60


@pytest.fixture(scope="module")
def server():
    running = WireModelServer(FakeModelServer(house_contract()))
    yield running
    running.stop()


def start(server, stack: ExitStack, **settings: str) -> GatewayProcess:
    common = {
        "ATELIER_WORKERS": "1",
        "ATELIER_THREADS": str(THREADS),
        "ATELIER_MAX_BODY_BYTES": str(MAX_BODY_BYTES),
        "ATELIER_MAX_BUFFERED_BYTES": str(8 * MEGABYTE),
        "ATELIER_MAX_CONNECTIONS": str(MAX_CONNECTIONS),
        "ATELIER_MAX_INSTANCES": "100000",
        "ATELIER_GRACE_PERIOD_S": "300",  # a connection that is forgotten holds up the end, and fails the test
    }
    gateway = stack.enter_context(gateway_process(server.address, "houses", **{**common, **settings}))
    wait_until(gateway.is_ready, gateway.log)
    return gateway


@pytest.fixture(scope="module")
def patient(server):
    """Waits for slow clients longer than any test."""
    with ExitStack() as stack:
        settings = dict.fromkeys(("HEADER_TIMEOUT_S", "BODY_TIMEOUT_S", "SEND_TIMEOUT_S"), "300")
        yield start(server, stack, **{f"ATELIER_{name}": value for name, value in settings.items()})


@pytest.fixture(scope="module")
def impatient(server):
    with ExitStack() as stack:
        settings = dict.fromkeys(("HEADER_TIMEOUT_S", "BODY_TIMEOUT_S", "SEND_TIMEOUT_S"), "1")
        yield start(server, stack, **{f"ATELIER_{name}": value for name, value in settings.items()})


def is_served(gateway: GatewayProcess) -> bool:
    reply = gateway.request("POST", PATH, HOUSE)
    return reply.status == 200 and reply.json["predictions"][0]["value"] == 7


def memory_bytes(gateway: GatewayProcess) -> int:
    return sum(worker.memory_info().rss for worker in gateway.workers())


SLOW = {
    "silent": b"",
    "headers": b"POST /v1/models/houses:regress HTTP/1.1\r\nHost: x\r\nX-Slow:",
    "body": head(PATH, "Content-Length: 1000") + b'{"inst',
    "chunks": head(PATH, "Transfer-Encoding: chunked") + b"5\r\nab",
}


@pytest.mark.parametrize("beginning", SLOW.values(), ids=SLOW)
def test_more_slow_clients_than_threads_keep_nobody_waiting(patient, beginning):
    with ExitStack() as stack:
        slow = [stack.enter_context(RawClient(patient.port)) for _ in range(ATTACKERS)]
        for client in slow:
            client.send(beginning)

        assert is_served(patient)
        assert all(client.is_open() for client in slow)


@pytest.mark.parametrize(("beginning", "status"), [(SLOW[name], 408) for name in ("headers", "body", "chunks")])
def test_a_client_that_is_too_slow_is_told_and_closed(impatient, beginning, status):
    with RawClient(impatient.port) as client:
        client.send(beginning)

        answer, headers, body = client.response()
        assert (answer, headers["connection"], json.loads(body)["status"]) == (status, "close", status)
        assert client.is_closed_by_the_server()


NONSENSE = {"binary": b"\x00\xff nonsense", "tls": b"\x16\x03\x01\x02\x00\x01\x00", "text": b"nonsense\r\n"}


@pytest.mark.parametrize("beginning", NONSENSE.values(), ids=NONSENSE)
def test_what_cannot_become_a_request_is_told_and_closed_at_once(patient, beginning):
    with RawClient(patient.port) as client:
        client.send(beginning)

        answer, headers, body = client.response()
        assert (answer, headers["connection"]) == (400, "close")
        assert json.loads(body)["type"] == "urn:atelier:problem:malformed-request"
        assert client.is_closed_by_the_server()


def test_a_crowd_that_talks_nonsense_keeps_nobody_out_and_is_counted(patient):
    def counted() -> float:
        text = patient.request("GET", "/metrics").body.decode()
        return float(text.partition('atelier_refused_connections_total{reason="malformed-request"} ')[2].split("\n")[0])

    before = counted() if "malformed-request" in patient.request("GET", "/metrics").body.decode() else 0
    crowd = 2 * MAX_CONNECTIONS
    with RawClient(patient.port) as kept, ExitStack() as stack:
        kept.send(head("/livez", method="GET"))
        assert kept.response()[0] == 200
        for client in [stack.enter_context(RawClient(patient.port)) for _ in range(crowd)]:
            client.send(NONSENSE["binary"])

        assert is_served(patient)
        kept.send(post(PATH, HOUSE))  # was not closed to make room
        assert kept.response()[0] == 200
    wait_until(lambda: counted() == before + crowd)


def test_a_client_that_drips_is_closed_all_the_same(impatient):
    """The limit is on the whole, not on the pause between two bytes."""
    with RawClient(impatient.port) as client, suppress(ConnectionError):
        client.send(head(PATH, "Content-Length: 100000"))
        wait_until(lambda: client.send(b" ") or not client.is_open())

        assert client.response()[0] == 408


def test_a_silent_client_is_closed(impatient):
    with RawClient(impatient.port) as client:
        assert client.is_closed_by_the_server()


def test_more_slow_readers_than_threads_keep_nobody_waiting_and_get_their_answers(patient):
    many = post(PATH, {"instances": [[3, 4]] * 10_000})
    with ExitStack() as stack:
        slow = [stack.enter_context(RawClient(patient.port, takes_little=True)) for _ in range(2 * THREADS)]
        for client in slow:  # one after the other: more at once than threads are refused
            client.send(many)
            client.wait_for_answer()  # the rest of it does not fit into what the kernels hold

        assert is_served(patient)
        for client in slow:
            status, _, body = client.response()
            assert (status, len(json.loads(body)["predictions"])) == (200, 10_000)


def test_a_client_that_does_not_read_is_closed(impatient):
    with RawClient(impatient.port, takes_little=True) as client:
        client.send(post(PATH, {"instances": [[3, 4]] * 10_000}))
        client.wait_for_answer()

        wait_until(lambda: connections(impatient) == 0)


def connections(gateway: GatewayProcess) -> int:
    return sum(
        1
        for worker in gateway.workers()
        for connection in worker.net_connections("tcp")
        if connection.laddr.port == gateway.port and connection.status == "ESTABLISHED"
    )


@pytest.mark.parametrize("framing", ["Content-Length: 1000000000", "Transfer-Encoding: chunked"])
def test_a_gigabyte_is_refused_early_and_never_in_memory(patient, framing):
    is_served(patient)
    before = memory_bytes(patient)
    with RawClient(patient.port) as client:
        client.send(head(PATH, framing))
        sent, most = 0, 0
        with suppress(ConnectionError):
            while sent < 1000 * MEGABYTE and client.is_open():
                client.send((b"" if "Length" in framing else b"100000\r\n") + b" " * MEGABYTE + b"\r\n")
                sent, most = sent + MEGABYTE, max(most, memory_bytes(patient))

        assert client.response()[0] == 413
    assert sent < 100 * MEGABYTE
    assert most - before < 64 * MEGABYTE
    assert is_served(patient)


def test_all_bodies_together_stay_within_memory_and_the_oldest_is_refused(patient):
    half = head(PATH, f"Content-Length: {MAX_BODY_BYTES}") + b" " * (MAX_BODY_BYTES * 3 // 4)
    with ExitStack() as stack:
        clients = []
        for _ in range(12):
            clients.append(stack.enter_context(RawClient(patient.port)))
            clients[-1].send(half)

        wait_until(lambda: not clients[0].is_open())
        status, headers, _ = clients[0].response()
        assert (status, headers["retry-after"]) == (503, "1")
        assert is_served(patient)
        wait_until(lambda: sum(client.is_open() for client in clients) <= 5)
        assert clients[-1].is_open()


def test_who_was_answered_and_stays_holds_no_memory(patient):
    whole = json.dumps(HOUSE).encode().ljust(MAX_BODY_BYTES)
    with ExitStack() as stack:
        slow, *clients = [stack.enter_context(RawClient(patient.port)) for _ in range(7)]
        slow.send(head(PATH, f"Content-Length: {len(whole)}") + whole[:MEGABYTE])
        for client in clients:  # 12 MB in all
            client.send(head(PATH, f"Content-Length: {len(whole)}") + whole)
            assert client.response()[0] == 200

        slow.send(whole[MEGABYTE:])
        assert slow.response()[0] == 200


def test_inflated_bodies_together_stay_within_memory_and_the_newest_is_refused(server):
    text = gzip.compress(json.dumps(HOUSE).encode().ljust(MAX_BODY_BYTES - 1))
    request = head(PATH, f"Content-Length: {len(text)}", "Content-Encoding: gzip") + text
    with ExitStack() as stack:
        gateway = start(server, stack, ATELIER_THREADS="16")
        server.hold.clear()
        stack.callback(server.hold.set)
        clients = [stack.enter_context(RawClient(gateway.port)) for _ in range(7)]
        for client in clients:
            client.send(request)

        wait_until(lambda: sum(not client.is_open() for client in clients) == 3)
        refused = [client for client in clients if not client.is_open()]
        for client in refused:
            status, headers, body = client.response()
            assert (status, headers["retry-after"]) == (503, "1")
            assert json.loads(body)["type"] == "urn:atelier:problem:overloaded"
        server.hold.set()
        assert [client.response()[0] for client in clients if client not in refused] == [200] * 4

        for client in clients:  # the room is there again
            client.send(request)
            assert client.response()[0] == 200


def beginner(gateway: GatewayProcess) -> RawClient:
    """Has said something: until then a connection may be the kernel's, and take no place."""
    client = RawClient(gateway.port)
    client.send(b"P")
    return client


def test_more_connections_than_there_is_room_for_make_room(patient):
    with ExitStack() as stack:
        idle = [stack.enter_context(beginner(patient)) for _ in range(3 * MAX_CONNECTIONS)]

        assert is_served(patient)
        wait_until(lambda: sum(client.is_open() for client in idle) < MAX_CONNECTIONS)
        assert idle[-1].is_open()
    assert is_served(patient)


@pytest.mark.parametrize("beginning", SLOW.values(), ids=SLOW)
def test_a_crowd_makes_room_by_age_so_that_a_newcomer_has_its_time(patient, beginning):
    with ExitStack() as stack:
        crowd = [stack.enter_context(RawClient(patient.port)) for _ in range(2 * MAX_CONNECTIONS)]
        for client in crowd:
            with suppress(ConnectionError):  # those that made room already
                client.send(beginning)
        request = post(PATH, HOUSE)
        newcomer = stack.enter_context(RawClient(patient.port))
        newcomer.send(request[:50])
        more = [stack.enter_context(RawClient(patient.port)) for _ in range(MAX_CONNECTIONS // 2)]
        more[-1].send(head("/livez", method="GET"))
        assert more[-1].response()[0] == 200

        newcomer.send(request[50:])
        assert newcomer.response()[0] == 200


def test_who_waits_for_an_answer_is_not_closed_to_make_room(server, patient):
    server.hold.clear()
    with ExitStack() as stack:
        waiting = stack.enter_context(RawClient(patient.port))
        waiting.send(post(PATH, HOUSE))
        idle = [stack.enter_context(beginner(patient)) for _ in range(2 * MAX_CONNECTIONS)]
        wait_until(lambda: not idle[0].is_open())
        server.hold.set()

        assert waiting.response()[0] == 200


def test_nothing_of_this_is_a_bug(patient, impatient):
    assert "Traceback" not in patient.log() + impatient.log()
