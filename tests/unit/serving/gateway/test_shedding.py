import json
from types import SimpleNamespace

import pytest

from serving.gateway import dates
from serving.gateway.metrics import Metrics
from serving.gateway.settings import Settings
from serving.gateway.shedding import Shedding

BODY = b'{"instances": [[3, 4]]}'
LENGTH = b"Content-Length: %d" % len(BODY)


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def shedding(metrics):
    return shedding_with(metrics, Settings(models=("houses",)))


def shedding_with(metrics: Metrics, settings: Settings) -> Shedding:
    offers = SimpleNamespace(watches={"houses": None})
    return Shedding(SimpleNamespace(settings=settings, offers=offers, metrics=metrics))


def whole(line: bytes = b"POST /v1/models/houses:regress HTTP/1.1", *fields: bytes, body: bytes = BODY) -> bytes:
    return b"\r\n".join((line, *(fields or (b"Host: gateway", LENGTH)), b"", body))


def requests(metrics: Metrics) -> list[str]:
    return [line for line in metrics.exposition().decode().splitlines() if line.startswith("atelier_requests_total")]


@pytest.mark.parametrize(
    ("path", "verb"),
    [
        ("/v1/models/houses:regress", "regress"),
        ("/v1/models/houses:predict?top_k=3", "predict"),
        ("/v1/models/houses/versions/7:classify", "classify"),
        ("/v1/models/houses/labels/stable:predict", "predict"),
        ("/v2/models/houses/infer", "infer"),
        ("/v2/models/houses/versions/7/infer", "infer"),
    ],
)
def test_a_prediction_is_refused_with_a_whole_answer_and_counted(shedding, metrics, path, verb):
    answer = shedding.refuse_bytes(whole(f"POST {path} HTTP/1.1".encode()))

    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    document = json.loads(body)
    assert lines[0].startswith("HTTP/1.1 503 ")
    assert {"Retry-After: 1", "Connection: keep-alive", f"Content-Length: {len(body)}"} <= set(lines)
    assert f"X-Request-Id: {document['request_id']}" in lines
    assert (document["status"], document["type"]) == (503, "urn:atelier:problem:overloaded")
    assert requests(metrics) == [f'atelier_requests_total{{code="503",model="houses",verb="{verb}",version=""}} 1.0']


def test_over_tls_a_refusal_says_to_come_by_tls_again(shedding, metrics):
    over_tls = shedding_with(metrics, Settings(models=("houses",), tls_cert_file="a.pem", tls_key_file="a.key"))

    assert b"\r\nStrict-Transport-Security: max-age=31536000\r\n" in over_tls.refuse_bytes(whole())
    assert b"Strict-Transport-Security" not in shedding.refuse_bytes(whole())


def test_every_refusal_has_an_id_of_its_own(shedding):
    assert shedding.refuse_bytes(whole()) != shedding.refuse_bytes(whole())


def test_every_refusal_says_when_it_was_made(shedding, monkeypatch):
    seconds = [0]
    monkeypatch.setattr(dates, "time", SimpleNamespace(time=lambda: seconds[0]))
    assert b"\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n" in shedding.refuse_bytes(whole())

    seconds[0] = 59

    assert b"\r\nDate: Thu, 01 Jan 1970 00:00:59 GMT\r\n" in shedding.refuse_bytes(whole())


@pytest.mark.parametrize(
    "received",
    [
        whole(b"GET /v1/models/houses:regress HTTP/1.1"),
        whole(b"POST /v1/models/houses:regress HTTP/1.0"),
        whole(b"POST /v1/models/houses:explain HTTP/1.1"),
        whole(b"POST /v1/models/cars:predict HTTP/1.1"),
        whole(b"POST /v1/models/ho%75ses:predict HTTP/1.1"),
        whole(b"POST /v1/models/houses HTTP/1.1"),
        whole(b"POST /readyz HTTP/1.1"),
        whole()[:-1],
        whole() + b"P",
        whole() + whole(),
        whole(b"POST /v1/models/houses:regress HTTP/1.1", b"Host: gateway"),
        whole(b"POST /v1/models/houses:regress HTTP/1.1", LENGTH, LENGTH),
        whole(b"POST /v1/models/houses:regress HTTP/1.1", LENGTH, b"Transfer-Encoding: chunked"),
        whole(b"POST /v1/models/houses:regress HTTP/1.1", LENGTH, b"Expect: 100-continue"),
        whole(b"POST /v1/models/houses:regress HTTP/1.1", LENGTH, b"Connection: close"),
        whole(b"POST /v1/models/houses:regress HTTP/1.1", LENGTH, b"X-Request-Id: find-me"),
        whole(b"POST /v1/models/houses:regress HTTP/1.1", b"Content-Length: +23"),
        whole(b"POST /v1/models/houses:regress HTTP/1.1", b"X: a\r\n Content-Length: 23"),
        b"",
        b"\x16\x03\x01",
    ],
)
def test_what_is_anything_else_or_not_surely_one_request_is_left_to_others(shedding, metrics, received):
    assert shedding.refuse_bytes(received) is None
    assert requests(metrics) == []


def request(path: str, method: str = "POST", *headers: tuple[str, str], closes: bool = False) -> SimpleNamespace:
    message = SimpleNamespace(method=method, path=path, headers=headers)
    return SimpleNamespace(message=message, is_last=closes)


def test_a_request_that_was_read_is_refused_alike_with_its_own_id(shedding):
    answer = shedding.refuse(request("/v1/models/houses:regress", "POST", ("X-REQUEST-ID", "find-me"))).decode()

    assert answer.startswith("HTTP/1.1 503 ")
    assert "X-Request-Id: find-me\r\n" in answer
    assert "Connection: keep-alive\r\n" in answer
    closing = shedding.refuse(request("/v1/models/houses:regress", closes=True)).decode()
    assert "Connection: close\r\n" in closing


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/models/houses:regress"), ("POST", "/v1/models/cars:predict"), ("GET", "/livez"), ("POST", "/x")],
)
def test_a_request_that_was_read_and_asks_for_no_prediction_is_let_in(shedding, method, path):
    assert shedding.refuse(request(path, method)) is None
