import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from serving.contract import ImageInput
from serving.gateway.encoded_images import (
    MAX_PIXELS,
    MAX_SCANS,
    START_OF_SCAN,
    UnreadableImage,
    decode_image,
    open_image,
)
from tests.image_files import empty_png, png, saved

SPEC = ImageInput("pixels", (28, 28), 0, 255, 1 / 255)
GRADIENT = np.arange(784, dtype=np.uint32).reshape(28, 28).astype(np.uint8)

NOISE = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)


def decoded(file: bytes, spec: ImageInput = SPEC) -> np.ndarray:
    return np.array(decode_image(spec, open_image(file))).reshape(spec.shape)


def test_a_grey_image_of_the_right_size_comes_through_unchanged():
    np.testing.assert_array_equal(decoded(png(GRADIENT)), GRADIENT)


def test_a_jpeg_comes_through_almost_unchanged():
    smooth = np.tile(np.arange(0, 252, 9, dtype=np.uint8), (28, 1))

    assert np.abs(decoded(saved(Image.fromarray(smooth), "JPEG", quality=95)) - smooth).max() < 8


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_white_is_white_and_black_is_black_in_every_mode(mode):
    half = np.zeros((28, 28), np.uint8)
    half[:, :14] = 255
    image = Image.fromarray(half)
    image = Image.fromarray(half.astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    assert image.mode == mode

    np.testing.assert_array_equal(decoded(saved(image, "PNG")), half)


def test_a_cmyk_jpeg_is_read():
    white = Image.new("CMYK", (28, 28), (0, 0, 0, 0))

    assert decoded(saved(white, "JPEG")).min() > 250


def test_colours_become_grey_by_their_brightness():
    red, green = (decoded(saved(Image.new("RGB", (28, 28), colour), "PNG"))[0, 0] for colour in ("red", "lime"))

    assert (red, green) == (76, 150)  # ITU-R 601-2: 0.299 and 0.587


def test_what_is_transparent_is_black():
    image = Image.new("RGBA", (28, 28), (255, 255, 255, 0))

    assert decoded(saved(image, "PNG")).max() == 0


def test_a_larger_image_is_averaged_and_not_sampled():
    checks = np.indices((280, 280)).sum(axis=0) % 2 * 255

    assert np.abs(decoded(png(checks.astype(np.uint8))).astype(float) - 127.5).max() < 10


def test_proportions_are_kept_and_the_rest_is_black():
    pixels = decoded(png(np.full((100, 50), 255, np.uint8)))

    assert pixels[:, 7:21].min() == 255
    assert pixels[:, :7].max() == pixels[:, 21:].max() == 0


def test_nothing_is_inverted():
    dark_on_light = np.full((56, 56), 255, np.uint8)
    dark_on_light[14:42, 14:42] = 0

    pixels = decoded(png(dark_on_light))
    assert (pixels[0, 0], pixels[14, 14]) == (255, 0)


def test_a_photograph_is_turned_upright():
    sideways = np.zeros((28, 28), np.uint8)
    sideways[:, :14] = 255  # bright left
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to look at it

    np.testing.assert_array_equal(decoded(png(sideways, exif=exif)), np.rot90(sideways, -1))


def test_the_contract_chooses_channels_and_range():
    rgb = ImageInput("pixels", (1, 2, 3), 0, 255, 1.0)
    image = Image.new("RGB", (2, 1), (1, 2, 3))
    assert decoded(saved(image, "PNG"), rgb).tolist() == [[[1, 2, 3], [1, 2, 3]]]

    small = ImageInput("pixels", (1, 2, 1), -1, 1, 1.0)
    assert decoded(png(np.array([[0, 255]], np.uint8)), small).ravel().tolist() == [-1, 1]

    five = ImageInput("pixels", (1, 2, 5), 0, 255, 1.0)
    with pytest.raises(UnreadableImage, match="it has 5 channels a pixel"):
        decoded(png(GRADIENT), five)


@pytest.mark.parametrize("size", [(30_000, 30_000), (4097, 4096), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_before_it_is_decoded(size):
    with pytest.raises(UnreadableImage, match=f"expected at most {MAX_PIXELS} pixels"):
        open_image(empty_png(*size))


def test_a_jpeg_that_would_be_decoded_over_and_over_is_refused_before_it_is():
    progressive = saved(Image.fromarray(GRADIENT), "JPEG", progressive=True)
    *start, last_scan = progressive.split(START_OF_SCAN)
    scans = START_OF_SCAN.join([*start, *[last_scan.removesuffix(b"\xff\xd9")] * MAX_SCANS])

    assert decoded(progressive).shape == (28, 28)
    with pytest.raises(UnreadableImage, match=f"expected a JPEG of at most {MAX_SCANS} scans"):
        open_image(scans + b"\xff\xd9")


@pytest.mark.parametrize(
    "file",
    [b"", b"boot", b"GIF89a" + bytes(50), saved(Image.new("L", (28, 28)), "BMP"), png(GRADIENT)[:20]],
    ids=["nothing", "text", "gif", "bmp", "a cut header"],
)
def test_what_is_neither_png_nor_jpeg_is_refused(file):
    with pytest.raises(UnreadableImage, match="got bytes that are neither"):
        open_image(file)


@pytest.mark.parametrize("file", [png(NOISE)[:-80], empty_png(28, 28)], ids=["cut off", "empty"])
def test_a_broken_image_is_refused(file):
    with pytest.raises(UnreadableImage, match="got a broken one"):
        decoded(file)


JPEG = saved(Image.fromarray(GRADIENT), "JPEG")


@given(file=st.sampled_from([JPEG, png(NOISE)]), at=st.integers(0, 2000), junk=st.binary(min_size=1, max_size=8))
def test_a_damaged_file_is_read_or_refused_and_nothing_else(file, at, junk):
    damaged = bytearray(file)
    at %= len(damaged)
    damaged[at : at + len(junk)] = junk
    try:
        pixels = decoded(bytes(damaged))
    except UnreadableImage:
        return
    assert pixels.shape == (28, 28)
