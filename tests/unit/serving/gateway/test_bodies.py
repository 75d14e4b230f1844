import gzip
import io
import json
import tracemalloc

import pytest
from flask import Request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.test import EnvironBuilder

from serving.errors import InvalidInput
from serving.gateway import forms
from serving.gateway.bodies import read_body
from serving.gateway.compression import TakeRoom
from serving.gateway.encoded_images import EncodedImage
from serving.gateway.instances import PixelBlock


def read(
    body: bytes,
    content_type: str | None = "application/json",
    query: str = "",
    take_room: TakeRoom = lambda _size_bytes: None,
    **headers: str,
) -> dict[str, object]:
    builder = EnvironBuilder(method="POST", data=body, content_type=content_type, headers=headers, query_string=query)
    return read_body(Request(builder.get_environ()), 12_000, take_room)


def form(*parts: tuple[str, bytes]) -> bytes:
    """A form of (disposition, content)."""
    texts = (b"--X\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (d.encode(), c) for d, c in parts)
    return b"".join(texts) + b"--X--\r\n"


FORM = "multipart/form-data; boundary=X"
ONE, TWO = ('name="b"; filename="1.png"', b"one"), ('name="a"; filename="2.png"', b"two")


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_reads_json(content_type):
    assert read(b'{"instances": [1], "top_k": 2}', content_type) == {"instances": [1], "top_k": 2}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body is empty"),
        (b"{", "line 1 column"),
        (b'{"instances":\n  [1, 2,]}', "trailing comma is not allowed, at line 2 column"),
        (b'{"instances": [NaN]}', "at line 1 column 16"),
        (b'{"instances": [Infinity]}', "at line 1 column 16"),
        (b'{"instances": [1e999]}', "number is infinity"),
        (b"{'instances': []}", "at line 1 column 2"),
        (b'{"instances": []} []', "unexpected content after document"),
        (b"[" * 5000 + b"]" * 5000, "depth limit"),
        (b'{"instances": ["\xff"]}', "UTF-8"),
        (b"instances=1", "at line 1 column 1"),
    ],
)
def test_what_is_no_json_is_refused_with_the_place(body, words):
    with pytest.raises(BadRequest) as caught:
        read(body)

    assert words in str(caught.value.description)


@pytest.mark.parametrize(
    ("content_type", "words"),
    [
        (None, "got no Content-Type; send Content-Type: application/json"),
        ("application/x-www-form-urlencoded", "got another Content-Type; send Content-Type: application/json"),
        ("text/plain", "got another Content-Type"),
    ],
)
def test_another_type_is_refused_and_told_what_to_send(content_type, words):
    with pytest.raises(UnsupportedMediaType) as caught:
        read(b'{"instances": [1]}', content_type)

    assert words in str(caught.value.description)


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP"])
def test_a_gzipped_body_is_inflated(coding):
    assert read(gzip.compress(b'{"instances": [1]}'), **{"Content-Encoding": coding}) == {"instances": [1]}


@pytest.mark.parametrize("body", [b'{"instances": [1]}', gzip.compress(b"[1]")[:-4], gzip.compress(b"[1]") * 2])
def test_a_body_that_is_no_whole_gzip_is_refused(body):
    with pytest.raises(BadRequest, match="gzip"):
        read(body, **{"Content-Encoding": "gzip"})


def test_a_gzipped_body_takes_the_room_it_needs_and_a_plain_one_none():
    taken: list[int] = []
    body = b'{"instances": [1]}'

    read(body, take_room=taken.append)
    read(gzip.compress(body), take_room=taken.append, **{"Content-Encoding": "gzip"})

    assert taken == [len(body) + 1]  # one more shows that there is no more


def test_a_gzipped_body_that_is_larger_than_it_says_is_inflated_as_far_as_it_says():
    taken: list[int] = []
    lie = gzip.compress(b'{"instances": [1]}'.ljust(10_000))[:-4] + (100).to_bytes(4, "little")

    with pytest.raises(BadRequest, match="not one whole gzip member"):
        read(lie, take_room=taken.append, **{"Content-Encoding": "gzip"})

    assert taken == [101]


@pytest.mark.parametrize("coding", ["br", "gzip, gzip", "deflate"])
def test_another_coding_is_refused(coding):
    with pytest.raises(UnsupportedMediaType, match="another Content-Encoding than gzip"):
        read(b'{"instances": [1]}', **{"Content-Encoding": coding})


def test_a_zip_bomb_is_too_large_and_never_in_memory():
    bomb = gzip.compress(bytes(50_000_000), mtime=0)[:12_000]  # what is cut off is never reached

    tracemalloc.start()
    with pytest.raises(RequestEntityTooLarge, match="at most 12000 bytes once it is inflated"):
        read(bomb, **{"Content-Encoding": "gzip"})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_an_inflated_body_may_be_as_large_as_the_limit():
    body = b'{"instances": [1]}'
    assert read(gzip.compress(body.ljust(12_000)), **{"Content-Encoding": "gzip"})

    with pytest.raises(RequestEntityTooLarge):
        read(gzip.compress(body.ljust(12_001)), **{"Content-Encoding": "gzip"})


@pytest.mark.parametrize("content_type", ["image/png", "image/jpeg", "application/octet-stream", "text/csv"])
def test_a_body_without_a_place_for_it_has_top_k_in_the_query(content_type):
    assert read(b"1234", content_type, "top_k=3")["top_k"] == 3
    assert read(b"1234", content_type, "top_k=three")["top_k"] == "three"


@pytest.mark.parametrize("content_type", ["application/json", FORM])
def test_a_body_with_a_place_for_it_may_not_have_top_k_in_the_query(content_type):
    body = b'{"instances": [1], "top_k": 2}' if content_type != FORM else form(ONE)
    with pytest.raises(BadRequest, match="top_k belongs into a body of this type"):
        read(body, content_type, "top_k=3")


def test_a_body_may_be_as_large_as_the_limit_and_no_larger():
    body = b'{"instances": [1]}'
    assert read(body.ljust(12_000))

    with pytest.raises(RequestEntityTooLarge, match="a body may have at most 12000 bytes"):
        read(body.ljust(12_001))


@pytest.mark.parametrize("size", [12_001, 1_000_000])
def test_a_body_of_unknown_length_is_refused_when_it_proves_too_large(size):
    environ = EnvironBuilder(method="POST", content_type="application/json").get_environ()
    environ |= {"wsgi.input": io.BytesIO(b'{"instances": [1]}'.ljust(size)), "HTTP_TRANSFER_ENCODING": "chunked"}
    environ.pop("CONTENT_LENGTH", None)

    with pytest.raises(RequestEntityTooLarge):
        read_body(Request(environ), 12_000, take_room=lambda _size_bytes: None)


@pytest.mark.parametrize(
    ("document", "pointer", "detail"),
    [
        ([], "", "expected an object with instances, got an array"),
        (None, "", "expected an object with instances, got null"),
        (7, "", "expected an object with instances, got a number"),
        ({}, "/instances", "expected an array of instances, but the member is missing"),
        ({"instances": [], "inputs": []}, "/inputs", "unknown member; expected only instances, top_k"),
        ({"x/y~" * 50: 1}, "/" + ("x/y~" * 16).replace("~", "~0").replace("/", "~1") + "…", "unknown member"),
    ],
)
def test_json_that_is_no_call_is_refused_with_a_pointer(document, pointer, detail):
    with pytest.raises(InvalidInput) as caught:
        read(json.dumps(document).encode())

    [violation] = caught.value.violations
    assert violation.pointer == pointer
    assert violation.detail.startswith(detail)


@pytest.mark.parametrize("content_type", ["image/png", "image/jpeg", "Image/PNG"])
def test_an_image_body_is_one_instance(content_type):
    assert read(b"file", content_type) == {"instances": [EncodedImage(b"file")]}


def test_an_octet_stream_is_a_block_of_pixels():
    instances = read(b"1234", "application/octet-stream")["instances"]

    assert (type(instances), instances) == (PixelBlock, b"1234")


def test_the_files_of_a_form_are_instances_in_their_order():
    body = form(ONE, TWO, ('name="b"; filename="3.png"', b"three"), ('name="top_k"', b"2"))

    assert read(body, FORM) == {"instances": [b"one", b"two", b"three"], "top_k": 2}
    assert {type(instance) for instance in read(body, FORM)["instances"]} == {EncodedImage}


def test_a_form_without_files_has_no_instances():
    assert read(form(('name="top_k"', b"two")), FORM) == {"instances": [], "top_k": "two"}


def test_a_form_with_an_unknown_field_is_refused():
    with pytest.raises(InvalidInput, match="/image: unknown field; expected files, and perhaps top_k"):
        read(form(('name="image"', b"no file name, so no file")), FORM)


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (form(ONE), "multipart/form-data", "the form has no boundary"),
        (form(ONE), "multipart/form-data; boundary=Y", "the form cannot be read"),
        (form(ONE)[:-12], FORM, "the form cannot be read"),
        (b"boot", FORM, "the form cannot be read"),
    ],
)
def test_what_is_no_form_is_refused(body, content_type, words):
    with pytest.raises(BadRequest) as caught:
        read(body, content_type)

    assert words in str(caught.value.description)


def test_a_form_of_too_many_parts_is_too_large(monkeypatch):
    monkeypatch.setattr(forms, "MAX_PARTS", 2)
    assert read(form(ONE, TWO), FORM)

    with pytest.raises(RequestEntityTooLarge):
        read(form(ONE, TWO, ONE), FORM)
