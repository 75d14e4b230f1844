"""HTTP/1.1 as clients really speak it: pipelined, in drops, asking first, half closed. On real sockets."""

import json
import socket
import threading

import pytest

from tests.fakes import FakeModelServer, WireModelServer, house_contract
from tests.gateway_process import gateway_process, wait_until
from tests.raw_client import RawClient, head, post

PATH = "/v1/models/houses:regress"
HOUSE = {"instances": [[3, 4]]}


@pytest.fixture(scope="module")
def gateway():
    server = WireModelServer(FakeModelServer(house_contract()))
    with gateway_process(server.address, "houses", ATELIER_WORKERS="1") as running:
        wait_until(running.is_ready, running.log)
        yield running
    server.stop()


@pytest.fixture
def client(gateway):
    with RawClient(gateway.port) as client:
        yield client


def value(body):
    return json.loads(body)["predictions"][0]["value"]


def test_pipelined_requests_are_answered_in_their_order(client):
    client.send(b"".join(post(PATH, {"instances": [[number, 0]]}) for number in range(20)))

    assert [value(client.response()[2]) for _ in range(20)] == list(range(20))
    assert client.is_open()


def test_a_request_may_come_in_drops(client):
    for byte in post(PATH, HOUSE):
        client.send(bytes([byte]))

    assert value(client.response()[2]) == 7


def test_a_chunked_body_and_the_next_request_behind_it(client):
    chunks = b'e\r\n{"instances": \r\n8;note=x\r\n[[3, 4]]\r\n1\r\n}\r\n0\r\nTrailer: x\r\n\r\n'
    client.send(head(PATH, "Transfer-Encoding: chunked") + chunks + head("/livez", method="GET"))

    assert value(client.response()[2]) == 7
    assert client.response()[0] == 200


def test_who_asks_first_is_told_to_go_on(client):
    request = post(PATH, HOUSE, "Expect: 100-continue")
    beginning, _, body = request.partition(b"\r\n\r\n")
    client.send(beginning + b"\r\n\r\n")

    assert client.response()[0] == 100
    client.send(body)
    assert value(client.response()[2]) == 7


def test_who_asks_first_for_too_much_is_told_without_sending_it(client):
    client.send(head(PATH, "Content-Length: 1000000000", "Expect: 100-continue"))

    status, headers, _ = client.response()
    assert (status, headers["connection"]) == (413, "close")
    assert client.is_closed_by_the_server()


def test_http_1_0_is_answered_and_closed_unless_it_asks_to_stay(gateway, client):
    client.send(head("/livez", "Connection: keep-alive", method="GET", version="1.0"))
    assert client.response()[1]["connection"] == "keep-alive"
    client.send(head("/livez", method="GET", version="1.0"))
    assert client.response()[1]["connection"] == "close"
    assert client.is_closed_by_the_server()


def test_a_client_that_closes_its_half_is_answered(client):
    client.send(post(PATH, HOUSE))
    client.socket.shutdown(socket.SHUT_WR)

    assert value(client.response()[2]) == 7
    assert client.is_closed_by_the_server()


def test_an_unread_body_is_no_next_request(client):
    smuggled = head("/smuggled", method="GET")
    client.send(head("/nowhere", f"Content-Length: {len(smuggled)}") + smuggled + head("/livez", method="GET"))

    assert [client.response()[0] for _ in range(2)] == [404, 200]


def test_what_is_no_http_is_refused_as_a_problem_and_not_repeated(gateway, client):
    client.send(b"secret words\r\n\r\n")

    status, headers, body = client.response()
    assert (status, headers["content-type"]) == (400, "application/problem+json")
    assert b"secret" not in body
    assert client.is_closed_by_the_server()
    assert "secret" not in gateway.log()


def test_a_head_request_is_refused_without_a_body(client):
    client.send(head("/livez", "Expect: secret", method="HEAD"))

    answer, end, body = client.all_that_comes().partition(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 417 ")
    assert (end, body) == (b"\r\n\r\n", b"")


def test_a_newer_http_1_is_answered_in_ours(client):
    client.send(head("/livez", "Connection: close", method="GET", version="1.2"))

    assert client.all_that_comes().startswith(b"HTTP/1.1 200 ")


def test_a_target_without_a_path_is_the_root(client):
    client.send(b"GET http://gateway:1 HTTP/1.1\r\nHost: gateway:1\r\n\r\n")

    status, headers, _ = client.response()
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_many_clients_with_kept_connections_get_their_own_answers(gateway):
    wrong = []

    def talk(number: int) -> None:
        with RawClient(gateway.port) as client:
            for step in range(20):
                client.send(post(PATH, {"instances": [[number, step]]}))
                if value(client.response()[2]) != number + step:
                    wrong.append((number, step))

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert "Traceback" not in gateway.log()
