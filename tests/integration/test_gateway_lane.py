"""The worker's loop and the application answer alike: status, headers, body and counts, for the same bytes."""

import gzip
import json
import re
from collections.abc import Iterator

import pytest

from serving.errors import ModelServerFault
from tests.fakes import FakeModelServer, WireModelServer, full_house_contract, full_picture_contract
from tests.gateway_process import GatewayProcess, gateway_process, wait_until
from tests.questions import BAD, GOOD, MAX_INSTANCES, Question
from tests.raw_client import RawClient, head, post

CLASSIFY, REGRESS = "/v1/models/pictures:classify", "/v1/models/houses:regress"
LEFT, HOUSE = [9, 0, 0, 255, 0, 0], [3, 4]
ID = "X-Request-Id: the-same"
Ways = tuple[GatewayProcess, GatewayProcess]


@pytest.fixture(scope="module")
def server() -> Iterator[WireModelServer]:
    fake = FakeModelServer(full_picture_contract(), full_house_contract())
    fake.contracts["houses", 2] = full_house_contract()
    fake.labels |= {("pictures", "stable"): 1, ("houses", "stable"): 1, ("houses", "gone"): 7}
    running = WireModelServer(fake)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def ways(server: WireModelServer) -> Iterator[Ways]:
    """A gateway with the lane, and one where all goes to the application."""
    settings = {"ATELIER_WORKERS": "1", "ATELIER_MAX_INSTANCES": str(MAX_INSTANCES)}
    with (
        gateway_process(server.address, "pictures,houses", **settings) as lane,
        gateway_process(server.address, "pictures,houses", ATELIER_COALESCE="false", **settings) as application,
    ):
        for gateway in (lane, application):
            wait_until(gateway.is_ready, gateway.log)
        yield lane, application


def answer(gateway: GatewayProcess, request: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers in their order, body; all but the date."""
    with RawClient(gateway.port) as client:
        client.send(request)
        status, headers, body = client.response()
    return status, [(name, value) for name, value in headers.items() if name != "date"], body


def asked(question: Question) -> bytes:
    version = "" if question.version is None else f"/versions/{question.version}"
    version += "" if question.label is None else f"/labels/{question.label}"
    document = {"instances": question.instances} | ({} if question.top_k is None else {"top_k": question.top_k})
    return post(f"/v1/models/{question.model}{version}:{question.verb}", document, ID)


def raw(path: str, content_type: str, body: bytes, *fields: str) -> bytes:
    lines = (f"POST {path} HTTP/1.1", "Host: x", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", ID)
    return "\r\n".join((*lines, *fields, "", "")).encode() + body


ONE = json.dumps({"instances": [LEFT]}).encode()
OTHERS = {
    "octets": raw(CLASSIFY, "application/octet-stream", bytes(LEFT) * 2),
    "octets with top_k": raw(f"{CLASSIFY}?top_k=1", "application/octet-stream", bytes(LEFT)),
    "a charset": raw(CLASSIFY, "application/json; charset=utf-8", ONE),
    "another charset": raw(CLASSIFY, "application/json; charset=latin-1", ONE),
    "text": raw(CLASSIFY, "text/plain", ONE),
    "an empty body": raw(CLASSIFY, "application/json", b""),
    "broken JSON": raw(CLASSIFY, "application/json", ONE[:-2]),
    "JSON with a key twice": raw(CLASSIFY, "application/json", b'{"instances": 1, "instances": [[9,0,0,0,0,0]]}'),
    "JSON after a mark": raw(CLASSIFY, "application/json", b"\xef\xbb\xbf" + ONE),
    "a gzip body": raw(CLASSIFY, "application/json", gzip.compress(ONE, mtime=0), "Content-Encoding: gzip"),
    "a client that takes gzip": raw(CLASSIFY, "application/json", ONE, "Accept-Encoding: gzip, br"),
    "a client that closes": raw(CLASSIFY, "application/json", ONE, "Connection: close"),
    "a client with little time": raw(CLASSIFY, "application/json", ONE, "X-Request-Timeout: 50"),
    "a time that is none": raw(CLASSIFY, "application/json", ONE, "X-Request-Timeout: soon"),
    "a trace": raw(
        CLASSIFY, "application/json", ONE, "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    ),
    "chunks": head(CLASSIFY, "Transfer-Encoding: chunked", ID) + b"%x\r\n%s\r\n0\r\n\r\n" % (len(ONE), ONE),
    "the wrong verb": raw("/v1/models/houses:classify", "application/json", b'{"instances": [[1, 2]]}'),
    "an old client": raw(CLASSIFY, "application/json", ONE).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "a length after a zero": raw(CLASSIFY, "application/json", ONE).replace(b"Content-Length: ", b"Content-Length: 0"),
    "an id that will not do": raw(CLASSIFY, "application/json", b"[]").replace(ID.encode(), b"X-Request-Id: a b"),
}
REQUESTS = {
    name: asked(question) for name, question in (GOOD | BAD).items() if question.model in ("pictures", "houses")
}
REQUESTS |= OTHERS


@pytest.mark.parametrize("name", REQUESTS)
def test_the_loop_and_the_application_answer_alike(ways: Ways, name: str):
    lane, application = ways

    by_lane, by_application = answer(lane, REQUESTS[name]), answer(application, REQUESTS[name])

    if name == "an id that will not do":
        by_lane, by_application = (without_id(one) for one in (by_lane, by_application))
    assert by_lane == by_application


def without_id(reply: tuple[int, list[tuple[str, str]], bytes]) -> tuple[int, list[tuple[str, str]], bytes]:
    status, headers, body = reply
    identifier = dict(headers)["x-request-id"]
    return status, [(n, v) for n, v in headers if n != "x-request-id"], body.replace(identifier.encode(), b"")


def test_what_was_asked_alike_was_counted_alike(ways: Ways):
    for gateway in ways:
        for request in REQUESTS.values():
            answer(gateway, request)

    counts = [counted(gateway) for gateway in ways]

    assert counts[0] == counts[1]
    assert any(line.startswith("atelier_request_phase_duration_seconds_count") for line in counts[0])


def counted(gateway: GatewayProcess) -> list[str]:
    """What is counted of requests, but not how long they took."""
    lines = gateway.request("GET", "/metrics").body.decode().splitlines()
    pattern = re.compile(r"atelier_(request|refus|predicted|out_of_domain)(?!.*seconds_(sum|bucket))")
    return sorted(line for line in lines if pattern.match(line))


def test_requests_on_one_connection_are_answered_in_order(ways: Ways):
    for gateway in ways:
        with RawClient(gateway.port) as client:
            client.send(post(CLASSIFY, {"instances": [LEFT]}) + post(REGRESS, {"instances": []}))
            client.send(post(REGRESS, {"instances": [HOUSE]}) + head("/livez", method="GET"))
            told = [client.response() for _ in range(4)]

        assert [status for status, _, _ in told] == [200, 422, 200, 200]
        assert json.loads(told[2][2])["predictions"][0]["value"] == 7.0


def test_a_request_that_comes_in_pieces_is_answered(ways: Ways):
    request = post(CLASSIFY, {"instances": [LEFT]})
    for cut in (1, len(request) - len(ONE), len(request) - 1):
        with RawClient(ways[0].port) as client:
            client.send(request[:cut])
            client.send(request[cut:])
            assert client.response()[0] == 200


def test_when_the_model_server_fails_the_application_says_so(ways: Ways, server: WireModelServer):
    server.fake.broken_predictions = ModelServerFault("secret")
    try:
        told = [answer(gateway, post(REGRESS, {"instances": [HOUSE]}, ID)) for gateway in ways]
    finally:
        server.fake.broken_predictions = None

    assert told[0] == told[1]
    assert told[0][0] == 502


def test_a_deadline_that_passes_during_the_call_is_told_in_time(server: WireModelServer, ways: Ways):
    server.hold.clear()
    try:
        told = [answer(g, post(REGRESS, {"instances": [HOUSE]}, ID, "X-Request-Timeout: 0.2")) for g in ways]
    finally:
        server.hold.set()

    assert [status for status, _, _ in told] == [504, 504]
