import base64
import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.contract import ImageInput
from serving.errors import InvalidInput
from serving.gateway import image_files
from serving.gateway.encoded_images import EncodedImage
from serving.gateway.images import _accept, _explain, accept_images, read_images
from tests.image_files import png

SPEC = ImageInput("pixels", (2, 3), 0, 255, 1 / 255)
RAW = dataclasses.replace(SPEC, raw_signature="raw")
IMAGE = [[0, 1, 2], [3, 4, 255]]
FLAT = [0, 1, 2, 3, 4, 255]


def violations(*instances: object) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        read_images(SPEC, list(instances))
    return {v.pointer: v.detail for v in caught.value.violations}


def test_scales_nested_and_flat_images_alike():
    images = read_images(SPEC, [IMAGE, FLAT])

    assert images.dtype == np.float32
    assert images.shape == (2, 2, 3)
    np.testing.assert_array_equal(images[0], np.array(IMAGE, np.float32) * np.float32(1 / 255))
    np.testing.assert_array_equal(images[0], images[1])


def test_takes_whole_numbers_written_with_a_point():
    np.testing.assert_array_equal(read_images(SPEC, [[0.0, 1.0, 2.0, 3.0, 4.0, 255.0]]), read_images(SPEC, [FLAT]))


def test_an_image_may_have_channels():
    spec = ImageInput("pixels", (1, 2, 3), 0, 255, 1.0)

    np.testing.assert_array_equal([[[[1, 2, 3], [4, 5, 6]]]], read_images(spec, [[[[1, 2, 3], [4, 5, 6]]]]))


@pytest.mark.parametrize(
    ("pixel", "got"),
    [
        (256, "a larger number"),
        (-1, "a smaller number"),
        (1.5, "a fraction"),
        pytest.param(10**400, "a larger number", id="beyond floats"),
        (-1e300, "a smaller number"),
        (float("nan"), "not a number"),
        (float("inf"), "a larger number"),
        (True, "a boolean"),
        ("7", "a string"),
        (None, "null"),
        ([7], "an array"),
        ({}, "an object"),
    ],
)
def test_a_wrong_pixel_is_pointed_at_and_its_kind_named(pixel, got):
    expected = {"/instances/1/1/2": f"expected an integer from 0 to 255, got {got}"}

    assert expected == violations(IMAGE, [[0, 1, 2], [3, 4, pixel]])


def test_a_wrong_pixel_of_a_flat_image_has_one_index():
    assert violations([0, 1, 2, 3, 4, None]) == {"/instances/0/5": "expected an integer from 0 to 255, got null"}


def test_refuses_an_image_with_a_row_missing():
    assert violations([[0, 1, 2]]) == {"/instances/0": "expected an array of 2, got one of 1"}


def test_refuses_a_ragged_row():
    assert violations([[0, 1, 2], [3, 4]]) == {"/instances/0/1": "expected an array of 3, got one of 2"}


def test_refuses_a_row_that_is_no_array():
    assert violations([[0, 1, 2], 3]) == {"/instances/0/1": "expected an array of 3, got a number"}


WHOLE = "expected a 2 x 3 array of integers from 0 to 255, nested or flat"


@pytest.mark.parametrize(
    ("instance", "got"),
    [
        ([0, 1, 2, 3, 4], "a flat array of 5"),
        ([], "an empty array"),
        ("pixels", "a string"),
        (7, "a number"),
        (None, "null"),
    ],
)
def test_refuses_what_is_no_image(instance, got):
    assert {"/instances/0": f"{WHOLE}, got {got}"} == violations(instance)


def test_names_every_wrong_place_up_to_twenty():
    assert len(violations([["x"] * 3] * 2)) == 6
    assert len(violations(*[[["x"] * 3] * 2] * 9)) == 20


pixels = st.integers(-1, 256) | st.floats() | st.booleans() | st.none() | st.just("x") | st.just(10**400)
almost = st.integers(0, 255) | st.sampled_from([0.0, 12.0, 255.0])
rows = st.lists(st.one_of(almost, almost, almost, pixels), min_size=2, max_size=3)
images = st.one_of(
    st.lists(rows, min_size=1, max_size=3),
    st.lists(almost, min_size=6, max_size=6),
    st.lists(st.one_of(almost, almost, pixels, rows), max_size=7),
    pixels,
    st.lists(st.lists(almost, min_size=3, max_size=3), min_size=2, max_size=2),
)


@given(st.lists(images, min_size=1, max_size=3))
def test_the_fast_path_refuses_exactly_what_the_slow_one_explains(instances):
    accepted = _accept(SPEC, instances) is not None
    explained = list(_explain(SPEC, instances))

    assert accepted == (not explained)


@given(st.lists(images, min_size=1, max_size=3))
def test_the_lane_accepts_the_same_pictures_to_the_same_tensors(instances):
    expected = _accept(SPEC, instances)
    no_booleans = "True" not in repr(instances) and "False" not in repr(instances)
    for promised in {False, no_booleans}:
        accepted = accept_images(SPEC, instances, no_booleans=promised)
        assert (accepted is None) == (expected is None)
        np.testing.assert_array_equal(accepted, expected)


@given(st.lists(images | st.binary(min_size=5, max_size=7), min_size=1, max_size=3))
def test_a_raw_signature_is_sent_the_bytes_of_what_is_scaled_for_another(instances):
    """Whichever way they are read, and refused in the same words."""

    def outcomes(spec: ImageInput) -> list[object]:
        try:
            read: object = read_images(spec, instances)
        except InvalidInput as refused:
            read = refused.violations
        return [read, accept_images(spec, instances, no_booleans=False)]

    for sent, scaled in zip(outcomes(RAW), outcomes(SPEC), strict=True):
        if isinstance(sent, np.ndarray):
            assert (sent.dtype, scaled.dtype) == (np.uint8, np.float32)
            np.testing.assert_array_equal(sent.astype(np.float32) * np.float32(SPEC.scale), scaled)
        else:
            assert sent == scaled


@given(st.lists(st.integers(0, 10), min_size=6, max_size=6))
def test_a_raw_signature_is_sent_only_what_the_contract_takes(image):
    narrow = dataclasses.replace(RAW, minimum=1, maximum=9)
    taken = accept_images(narrow, [image], no_booleans=True)

    assert (taken is not None) == all(1 <= pixel <= 9 for pixel in image)


def test_a_file_is_sent_raw_too():
    sent = read_images(RAW, [EncodedImage(png(np.array(IMAGE, np.uint8)))])

    assert sent.dtype == np.uint8
    np.testing.assert_array_equal([IMAGE], sent)


def test_raw_pixels_are_a_flat_image():
    np.testing.assert_array_equal(read_images(SPEC, [bytes(FLAT)]), read_images(SPEC, [FLAT]))
    assert violations(bytes(FLAT[1:])) == violations(FLAT[1:])
    assert violations(b"") == violations([])


@pytest.mark.parametrize("as_instance", [EncodedImage, lambda file: {"b64": base64.b64encode(file).decode()}])
def test_a_file_is_an_image_by_itself_or_in_base64(as_instance):
    file = as_instance(png(np.array(IMAGE, np.uint8)))

    np.testing.assert_array_equal(read_images(SPEC, [FLAT, file, IMAGE]), read_images(SPEC, [FLAT] * 3))


@pytest.mark.parametrize(
    ("instance", "place", "words"),
    [
        ({"b64": "AA=="}, "/instances/1", "expected a PNG or JPEG image, got bytes that are neither"),
        ({"b64": "boot!"}, "/instances/1/b64", "expected a PNG or JPEG in base64, got a string that is not base64"),
        ({"b64": "ß"}, "/instances/1/b64", "expected a PNG or JPEG in base64, got a string that is not base64"),
        ({"b64": [1]}, "/instances/1/b64", "expected a PNG or JPEG in base64, got an array"),
        ({"b64": "AA==", "x": 1}, "/instances/1", 'or {"b64": "<PNG or JPEG>"}, got an object of other members'),
        ({}, "/instances/1", 'or {"b64": "<PNG or JPEG>"}, got an object of other members'),
        (EncodedImage(b"boot"), "/instances/1", "expected a PNG or JPEG image, got bytes that are neither"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_place(instance, place, words):
    [(pointer, detail)] = violations(IMAGE, instance).items()

    assert pointer == place
    assert words in detail


def test_the_images_of_one_request_have_a_limit_together(monkeypatch):
    monkeypatch.setattr(image_files, "MAX_PIXELS", 17)
    file = EncodedImage(png(np.array(IMAGE, np.uint8)))  # 6 pixels

    assert len(read_images(SPEC, [file] * 2)) == 2
    assert list(violations(*[file] * 3)) == ["/instances/2"]


@given(st.lists(st.binary(min_size=5, max_size=7), min_size=1, max_size=3), st.integers(0, 2), st.integers(250, 255))
def test_one_byte_a_pixel_is_taken_and_refused_as_the_same_list_is(images: list[bytes], minimum: int, maximum: int):
    spec = ImageInput("pixels", (2, 3), minimum, maximum, 1 / 255)

    def outcome(instances: list[object]) -> object:
        try:
            return read_images(spec, instances).tolist()
        except InvalidInput as refused:
            return refused.violations

    assert outcome(list(images)) == outcome([list(image) for image in images])
