import itertools
import json

import pytest
from gunicorn.config import Config
from hypothesis import given
from hypothesis import strategies as st

from serving.gateway.incoming import MAX_HEAD_BYTES, Incoming, can_begin_request
from serving.gateway.refusals import Refused, answer_bytes

CFG = Config()
GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
SIZED = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
LIMIT = 100


def make() -> Incoming:
    return Incoming(CFG, ("127.0.0.1", 1), LIMIT)


def requests_in(pieces: list[bytes]) -> list[tuple[str, bytes]]:
    incoming, found = make(), []
    for piece in pieces:
        incoming.receive(piece)
        while request := incoming.next_request():
            found.append((request.path, request.body.read()))
    assert not incoming.has_begun
    return found


@given(st.lists(st.integers(0, 400)))
def test_pipelined_requests_are_the_same_however_they_are_cut(places):
    text = GET + SIZED + CHUNKED + GET
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]

    found = requests_in([text[start:end] for start, end in itertools.pairwise(edges)])

    assert found == [("/a", b""), ("/b", b"hello"), ("/c", b"hello"), ("/a", b"")]


def test_nothing_is_given_out_before_the_last_byte():
    for text in (GET, SIZED, CHUNKED):
        incoming = make()
        incoming.receive(text[:-1])
        assert incoming.next_request() is None
        incoming.receive(text[-1:])
        assert incoming.next_request() is not None


@pytest.mark.parametrize(
    "text",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\nExpect: 100-continue\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + b"x" * 101,
    ],
)
def test_a_body_over_the_limit_is_not_waited_for_and_ends_the_connection(text):
    incoming = make()
    incoming.receive(text)

    request = incoming.next_request()

    assert request.is_last
    assert not incoming.wants_continue
    assert len(request.body.read()) in (0, 101)


def test_a_body_of_the_limit_is_whole():
    [(_, body)] = requests_in([b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n" + b"x" * 100])
    assert len(body) == 100


def test_says_when_the_client_waits_to_be_asked_for_its_body():
    incoming = make()
    incoming.receive(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")

    assert incoming.next_request() is None
    assert incoming.wants_continue

    incoming.receive(b"hello")
    assert incoming.next_request() is not None
    assert not incoming.wants_continue


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: secret/\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nno colon secret\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n folded\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nsecret\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: secret\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: x\r\nExpect: secret\r\n\r\n", 417),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"a" * MAX_HEAD_BYTES, 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * MAX_HEAD_BYTES, 431),
    ],
)
def test_what_is_no_request_is_refused_in_fixed_words(text, status):
    incoming = make()
    incoming.receive(text)

    with pytest.raises(Refused) as refused:
        incoming.next_request()

    head, _, body = answer_bytes(refused.value.problem, tls=False).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert json.loads(body)["status"] == status
    assert b"secret" not in body


LINES = st.tuples(
    st.sampled_from([b"GET", b"get", b"", b"G\xff", b"\x16\x03"]),
    st.sampled_from([b" ", b"  ", b"\t", b"\n", b""]),
    st.sampled_from([b"/", b"*", b"/\xff", b"", b"http://x/"]),
    st.sampled_from([b" HTTP/1.1", b" HTTP/1.0", b" HTTP/2.0", b" HTTP/1", b"", b" \n"]),
    st.sampled_from([b"\r\n", b"\n", b"\r", b""]),
).map(b"".join)


@given(st.binary(max_size=50) | LINES, st.sampled_from([b"\r\n\r\n", b" HTTP/1.1\r\n\r\n", b"\r\nHost: x\r\n\r\n"]))
def test_what_can_begin_no_request_is_refused_whatever_follows(beginning, rest):
    if can_begin_request(memoryview(beginning)):
        return
    incoming = make()
    incoming.receive(beginning + rest)

    with pytest.raises(Refused):
        incoming.next_request()


@pytest.mark.parametrize("request_", [SIZED, b"\r\n" + SIZED, b"GET http://x/a%20b?c=d HTTP/1.0\r\n\r\n"])
def test_whatever_has_come_of_a_request_can_begin_one(request_):
    assert all(can_begin_request(memoryview(request_[:length])) for length in range(1, len(request_) + 1))


HEAD = b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("text", [HEAD, b"\r\n" + HEAD, HEAD[:-2], b"HEAD "])
def test_knows_a_head_request_however_much_of_it_has_come(text):
    incoming = make()
    incoming.receive(SIZED + text)
    incoming.next_request()
    assert not incoming.is_head

    incoming.next_request()
    assert incoming.is_head


@pytest.mark.parametrize("text", [GET, SIZED, SIZED[:-2], SIZED[:9]])
def test_what_follows_a_head_request_is_none(text):
    incoming = make()
    incoming.receive(HEAD + text)
    incoming.next_request()
    assert incoming.is_head

    incoming.next_request()
    assert not incoming.is_head


def test_forgets_what_it_is_told_to_forget():
    incoming = make()
    incoming.receive(SIZED[:-2])
    incoming.next_request()
    assert incoming.held_bytes > 0

    incoming.discard()

    assert incoming.held_bytes == 0
    assert not incoming.has_begun
