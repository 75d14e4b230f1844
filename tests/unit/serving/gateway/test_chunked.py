import io
import itertools

import pytest
from gunicorn.config import Config
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader
from hypothesis import given
from hypothesis import strategies as st

from serving.gateway.chunked import MAX_SIZE_LINE_BYTES, BadChunk, ChunkedDecoder

HEAD = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


def decode(pieces: list[bytes]) -> tuple[bytes, bytes, bool]:
    """The body, what is left over, and whether the body is whole."""
    decoder, arrived, body = ChunkedDecoder(), bytearray(), io.BytesIO()
    for piece in pieces:
        arrived += piece
        decoder.decode(arrived, body)
    return body.getvalue(), bytes(arrived), decoder.is_whole


def coded(chunks: list[bytes], trailers: bytes = b"") -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailers + b"\r\n"


def cut(text: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(edges)]


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.lists(st.integers(0, 300)), st.binary(max_size=9))
def test_any_chunks_in_any_pieces_give_the_body_and_leave_what_follows(chunks, places, after):
    assert decode(cut(coded(chunks) + after, places)) == (b"".join(chunks), after, True)


@given(st.lists(st.sampled_from([b"3", b"\r\n", b"abc", b"0", b";", b"x", b" ", b"\n", b"A=1", b"a" * 9, b"-1"])))
def test_takes_no_body_that_gunicorn_refuses_and_finds_the_same_in_the_others(parts):
    text = b"".join(parts)
    try:
        ours = decode([text])
    except BadChunk:
        return
    if not ours[2]:
        return
    unreader = IterUnreader([HEAD + text])
    request = Request(Config(), unreader, ("127.0.0.1", 1))
    assert (request.body.read(), unreader.take_buffered()) == ours[:2]


def test_drops_trailers():
    assert decode([coded([b"abc"], b"Digest: x\r\nOther: y\r\n") + b"GET"]) == (b"abc", b"GET", True)


@pytest.mark.parametrize(
    "text",
    [
        b"0\r\n3\r\n\r\n",
        b"0\r\nno name\r\n\r\n",
        b"0\r\na b: c\r\n\r\n",
        b"xyz\r\n",
        b"-1\r\n",
        b"+3\r\nabc\r\n",
        b"0x3\r\nabc\r\n",
        b"3 \r\nabc\r\n",
        b"\r\n",
        b"ffffffffffffffff\r\n",
        b"3;a=\x00\r\nabc\r\n",
        b"3\r\nabcd\r\n",
        b"3\nabc\n0\n\n" + b" " * MAX_SIZE_LINE_BYTES,
        b"1;" + b"a" * MAX_SIZE_LINE_BYTES,
        b"0\r\n" + b"a: b\r\n" * 2000,
        b"".join(b"1;" + b"a" * 1000 + b"\r\nx\r\n" for _ in range(20)),
    ],
)
def test_refuses_what_breaks_the_coding_or_hides_in_its_framing(text):
    with pytest.raises(BadChunk):
        decode([text])


def test_takes_a_body_of_one_byte_chunks():
    assert decode([coded([b"x"] * 20_000)]) == (b"x" * 20_000, b"", True)
