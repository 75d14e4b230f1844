import pytest
from gunicorn.config import Config

from serving.gateway.api_keys import ApiKey, ApiKeys, make_key
from serving.gateway.incoming import Incoming
from serving.gateway.plain_requests import MAX_HEADS, KnownHeads, PlainRequests, cut

CFG = Config()
LINE = "POST /v1/models/houses:regress HTTP/1.1"
JSON = "Content-Type: application/json"
LIMIT = 1000


def head(*fields: str, line: str = LINE, host: str = "Host: gateway") -> bytes:
    return "\r\n".join((line, *([host] if host else []), *fields, "", "")).encode("latin-1")


def ask(*fields: str, line: str = LINE, host: str = "Host: gateway", body: bytes = b"{}") -> bytes:
    return head(*fields, f"Content-Length: {len(body)}", line=line, host=host) + body


def requests_in(*pieces: bytes, keys: ApiKeys | None = None, heads: KnownHeads | None = None):
    heads = heads or KnownHeads(PlainRequests(("houses",), keys).recognise)
    found = []
    for piece in pieces:
        incoming = Incoming(CFG, ("127.0.0.1", 1), LIMIT, heads)
        incoming.receive(piece)
        while request := incoming.next_request():
            found.append(request)
    return found


@pytest.mark.parametrize(
    ("line", "fields", "version"),
    [
        (LINE, (JSON,), None),
        (LINE, ("content-type: Application/JSON; charset=UTF-8",), None),
        (LINE, ("Content-Type: application/octet-stream",), None),
        (LINE, (JSON, "Accept: */*", "User-Agent: me", "X-Whatever: a, b"), None),
        (LINE, (JSON, "Host: [::1]:8080"), None),
        ("POST /v1/models/houses/versions/7:predict HTTP/1.1", (JSON,), 7),
        ("POST /v1/models/houses:classify HTTP/1.1", (JSON,), None),
    ],
)
def test_an_ordinary_prediction_is_told_by_its_head(line, fields, version):
    host = "" if any(field.startswith("Host") for field in fields) else "Host: gateway:8080"
    [request] = requests_in(ask(*fields, line=line, host=host))

    assert request.plain is not None
    assert (request.plain.model, request.plain.version) == ("houses", version)
    assert request.message.uri == request.plain.path == line.split()[1]


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("GET /v1/models/houses:regress HTTP/1.1", (JSON,)),
        ("POST /v1/models/houses:regress HTTP/1.0", (JSON,)),
        ("POST /v1/models/houses:explain HTTP/1.1", (JSON,)),
        ("POST /v1/models/cars:predict HTTP/1.1", (JSON,)),
        ("POST /v1/models/ho%75ses:predict HTTP/1.1", (JSON,)),
        ("POST /v1/models/houses:predict?top_k=1 HTTP/1.1", (JSON,)),
        ("POST http://gateway/v1/models/houses:predict HTTP/1.1", (JSON,)),
        ("POST /v1/models/houses/labels/stable:predict HTTP/1.1", (JSON,)),
        ("POST /v1/models/houses/versions/x:predict HTTP/1.1", (JSON,)),
        ("POST /v2/models/houses/infer HTTP/1.1", (JSON,)),
        (LINE, ()),
        (LINE, ("Content-Type: text/csv",)),
        (LINE, ("Content-Type: application/json; charset=latin-1",)),
        (LINE, (JSON, "Content-Encoding: gzip")),
        (LINE, (JSON, "Expect: 100-continue")),
        (LINE, (JSON, "Upgrade: h2c")),
        (LINE, (JSON, "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")),
        (LINE, (JSON, "X-Request-Timeout: soon")),
        (LINE, (JSON, "X-Request-Timeout: 0")),
        (LINE, (JSON, "X-Request-Id: a", "X-Request-Id: b")),
        (LINE, (JSON, "Host: gateway..here")),
        (LINE, (JSON, "Host: " + "a" * 64)),
    ],
)
def test_what_may_mean_more_is_left_to_the_application(line, fields):
    host = "" if any(field.startswith("Host") for field in fields) else "Host: gateway"
    [request] = requests_in(ask(*fields, line=line, host=host))

    assert request.plain is None


def test_a_request_without_a_length_is_not_plain():
    [chunked] = requests_in(head(JSON, "Transfer-Encoding: chunked") + b"0\r\n\r\n")

    assert chunked.plain is None


def test_a_head_that_differs_in_length_and_id_alone_is_known_from_before():
    heads = KnownHeads(PlainRequests(("houses",), None).recognise)
    read = []
    heads._recognise = lambda request, recognise=heads._recognise: read.append(request) or recognise(request)

    first, second, third = requests_in(
        ask(JSON, "X-Request-Id: first"),
        ask(JSON, "X-Request-Id: the-second", body=b'{"instances": []}'),
        ask(JSON, "X-Request-Id: third", "X-More: 1"),
        heads=heads,
    )

    assert [len(read), first.request_id, second.request_id, third.request_id] == [2, "first", "the-second", "third"]
    assert first.plain is second.plain is not third.plain
    assert dict(second.message.headers)["X-REQUEST-ID"] == "the-second"
    assert dict(second.message.headers)["CONTENT-LENGTH"] == "17"


@pytest.mark.parametrize(
    "field", ["X-Request-Id:abc", "X-Request-Id:  abc", "x-request-id: abc ", "X-Request-Id:\tabc\t "]
)
def test_an_id_is_the_same_whatever_white_space_is_around_it(field):
    first, again = requests_in(ask(JSON, field), ask(JSON, field))

    assert first.plain is not None
    assert (first.request_id, again.request_id) == ("abc", "abc")


def test_requests_of_known_heads_keep_their_places_in_a_pipeline():
    text = (
        ask(JSON, body=b"one")
        + ask(JSON, body=b"")
        + ask(JSON, body=b"three")
        + b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    )

    requests = requests_in(text, text)

    assert [request.body.read() for request in requests] == [b"one", b"", b"three", b""] * 2
    assert [request.path for request in requests] == ["/v1/models/houses:regress"] * 3 + ["/livez"] + [
        "/v1/models/houses:regress"
    ] * 3 + ["/livez"]


def test_a_known_head_whose_body_is_too_large_ends_the_connection():
    small, large = requests_in(ask(JSON), head(JSON, f"Content-Length: {LIMIT + 1}"))

    assert small.plain is not None
    assert not small.is_last
    assert large.is_last
    assert large.message.should_close()


def test_a_client_that_closes_is_known_to():
    [request] = requests_in(ask(JSON, "Connection: close"))

    assert request.is_last


@pytest.mark.parametrize(
    "other",
    [
        head(JSON, "Content-Length: 7 "),
        head(JSON, "Content-Length:  7"),
        head(JSON, "Content-Length: +7"),
        head(JSON, "Content-Length: 7", "Content-Length: 7"),
        head(JSON, "Content-Length: 7", "X-Request-Id: a"),
        head(JSON, "X-Request-Id: a", "Content-Length: 7"),
        head(JSON, "Content-Length: 7", "X-Request-Id: a b"),
        head(JSON, "Content-Length: 7", "X-Request-Id: a", "X-Request-Id: a"),
        head(JSON, "Content-Length: 7", "Content-Length: \n"),
        head(JSON, "CONTENT-LENGTH: 7"),
        head("Content-Length: 7", JSON),
    ],
)
def test_another_head_is_not_taken_for_this_one(other):
    this = cut(head(JSON, "Content-Length: 7"))
    that = cut(other)

    assert that is None or that.digest != this.digest


def test_only_so_many_heads_are_remembered():
    heads = KnownHeads(lambda _request: object())
    for number in range(MAX_HEADS + 1):
        heads.learn(cut(head(JSON, f"X-Number: {number}", "Content-Length: 2")), None)

    assert len(heads._known) <= MAX_HEADS


def test_a_key_is_looked_up_once_and_kept_nowhere():
    key, line = make_key("me")
    keys = ApiKeys((ApiKey("me", bytes.fromhex(line.split("sha256:")[1]), None),))
    heads = KnownHeads(PlainRequests(("houses",), keys).recognise)

    good, wrong, none = requests_in(
        ask(JSON, f"X-API-Key: {key}"), ask(JSON, "Authorization: Bearer x"), ask(JSON), heads=heads
    )

    assert good.plain.key == 0
    assert wrong.plain is none.plain is None
    assert key not in repr(heads.__dict__)
