import dataclasses
import json
import math

import numpy as np
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serving.contract import ImageInput
from serving.gateway.http_lane import read
from serving.gateway.instances import accept_text, check_batch, read_instances
from serving.gateway.pixel_text import parse_pixels
from tests.fakes import house_contract, picture_contract

MAX_IMAGES = 4
SEPARATORS = ((",", ":"), (", ", ": "))
SHAPES = ((2, 3), (1, 1), (2, 2, 3))


def written(images, separators=SEPARATORS[0]) -> bytes:
    return json.dumps({"instances": images}, separators=separators).encode()


def parsed(shape, body: bytes):
    """What a parser makes of the same body; an error where it is refused."""
    document = orjson.loads(body)
    assert list(document) == ["instances"]
    contract = picture_contract(input=ImageInput("pixels", shape, 0, 999, 1.0))
    return read_instances(contract, check_batch(document["instances"], MAX_IMAGES))["pixels"]


@st.composite
def bodies(draw):
    """A shape, and text as programs write it."""
    shape = draw(st.sampled_from(SHAPES))
    images = draw(st.integers(1, MAX_IMAGES))
    values = draw(st.lists(st.integers(0, 999), min_size=math.prod(shape), max_size=math.prod(shape)))
    pixels = np.array([np.roll(values, i) for i in range(images)])
    pixels = pixels.reshape(images, *(shape if draw(st.booleans()) else (-1,)))
    return shape, written(pixels.tolist(), draw(st.sampled_from(SEPARATORS)))


@st.composite
def broken_bodies(draw):
    """The same with a few bytes taken away, put in, changed or moved."""
    shape, body = draw(bodies())
    text = bytearray(body)
    for _ in range(draw(st.integers(1, 3))):
        place, other = (draw(st.integers(0, len(text) - 1)) for _ in range(2))
        byte = draw(st.sampled_from(b'0123456789019,,[]{}": .-+eE\\truf\n\0\xff'))
        match draw(st.sampled_from(["drop", "insert", "replace", "move"])):
            case "drop":
                del text[place]
            case "insert":
                text.insert(place, byte)
            case "replace":
                text[place] = byte
            case _:
                text.insert(other, text.pop(place))
    return shape, bytes(text)


@given(bodies())
def test_text_as_programs_write_it_is_read_as_a_parser_reads_it(made):
    shape, body = made
    pixels = parse_pixels(shape, body, MAX_IMAGES)

    assert pixels is not None
    np.testing.assert_array_equal(parsed(shape, body), pixels)


@settings(max_examples=1000)
@given(broken_bodies())
@example(((2, 3), b'{"instances":[[[0,,00],[0,0,0]]]}'))
@example(((2, 3), b'{"instances":[[[0,,0000],[0,0,0]]]}'))
@example(((2, 3), b'{"instances":[[[0,0,0],[0,0,]]1]}'))
@example(((2, 3), b'{"inst1ances":[[[0,0,0],[0,0,]]]}'))
@example(((2, 3), b'{"instances":[[[0,0,0],1[0,0,]]]}'))
@example(((2, 3), b'{"instances":[[[0,0,0],[0,0,0]]]}0'))
def test_what_is_read_of_any_text_is_what_a_parser_reads(made):
    shape, body = made
    pixels = parse_pixels(shape, body, MAX_IMAGES)

    if pixels is not None:
        np.testing.assert_array_equal(parsed(shape, body), pixels)


@pytest.mark.parametrize(
    "pixel", ["1000", "00", "01", "012", "1.0", "1e1", "-1", "-0", "true", "null", '"1"', "", " 1", "[1]"]
)
def test_any_other_pixel_is_for_a_parser(pixel):
    for place in range(6):
        row = ["7", "80", "255", "0", "10", "100"]
        row[place] = pixel

        assert parse_pixels((2, 3), f'{{"instances":[[{",".join(row)}]]}}'.encode(), MAX_IMAGES) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"instances":[]}',
        b'{"instances":[[]]}',
        b'{"instances":[[1,2,3,4,5]]}',
        b'{"instances":[[1,2,3,4,5,6],[[1,2,3],[4,5,6]]]}',
        b'{"instances":[[[1,2],[3,4],[5,6]]]}',
        b'{"instances":[[1,2,3,4,5,6]]}\n',
        b'{"instances":[[1,2,3,4,5,6]],"instances":[[1,2,3,4,5,6]]}',
        written([[0] * 6] * (MAX_IMAGES + 1)),
    ],
)
def test_any_other_form_and_too_many_images_are_for_a_parser(body):
    assert parse_pixels((2, 3), body, MAX_IMAGES) is None


@pytest.mark.parametrize("separators", SEPARATORS)
def test_long_bodies_come_to_the_same_tensors_without_a_parser(separators, monkeypatch):
    spec = ImageInput("pixels", (28, 28), 0, 255, 1 / 255)
    contract = picture_contract(input=spec)
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28))
    body = written(images.tolist(), separators)
    slowly = read_instances(contract, images.tolist())["pixels"]
    monkeypatch.setattr(orjson, "loads", None)
    soon = read("json", body, contract, 64)["pixels"]

    assert (soon.dtype, soon.shape, soon.flags.c_contiguous) == (np.float32, (20, 28, 28), True)
    assert soon.tobytes() == slowly.tobytes()


def test_long_bodies_with_a_pixel_out_of_range_are_refused():
    contract = picture_contract(input=ImageInput("pixels", (28, 28), 0, 255, 1 / 255))
    images = np.full((20, 28, 28), 255)
    images[9, 9, 9] = 256

    assert read("json", written(images.tolist()), contract, 64) is None
    images[9, 9, 9] = 4
    narrow = dataclasses.replace(contract, input=dataclasses.replace(contract.input, minimum=5))
    assert read("json", written(images.tolist()), narrow, 64) is None


def test_only_long_texts_of_images_are_read_so():
    long = b'{"instances":[[0,1,2,3,4,5]' + b",[0,1,2,3,4,5]" * 400 + b"]}"

    assert accept_text(picture_contract(), long, 1000)["pixels"].shape == (401, 2, 3)
    assert accept_text(house_contract(), long, 1000) is None
    assert accept_text(picture_contract(), written([[0] * 6]), 1000) is None
