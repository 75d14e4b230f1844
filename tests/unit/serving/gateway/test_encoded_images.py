import struct
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from serving.contract import ImageInput
from serving.errors import DeadlineExceeded
from serving.gateway import turns
from serving.gateway.encoded_images import MAX_PIXELS, decode_image, endless, open_image
from serving.gateway.image_pieces import MAX_PIECES, MAX_SCANS, UnreadableImage
from tests.image_files import chunk, empty_png, png, saved, segment

SPEC = ImageInput("pixels", (28, 28), 0, 255, 1 / 255)
GRADIENT = np.arange(784, dtype=np.uint32).reshape(28, 28).astype(np.uint8)

JPEG, PNG = saved(Image.fromarray(GRADIENT), "JPEG"), png(GRADIENT)
START_OF_SCAN, END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"
NOISE = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)


def decoded(file: bytes, spec: ImageInput = SPEC) -> np.ndarray:
    return np.array(decode_image(spec, open_image(file), endless())).reshape(spec.shape)


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


@pytest.mark.parametrize("levels", [np.uint8, np.uint16])
def test_a_level_of_grey_that_is_transparent_is_black(levels):
    white, grey = np.iinfo(levels).max, np.iinfo(levels).max // 3
    half = np.full((28, 28), white, levels)
    half[:, :14] = grey

    pixels = decoded(png(half, transparency=int(white)))
    assert (pixels[:, 14:].max(), set(pixels[:, :14].ravel())) == (0, {85})


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


def scanned(times: int, between: bytes = b"") -> bytes:
    """A progressive JPEG whose last scan comes so many times."""
    *start, last = saved(Image.fromarray(GRADIENT), "JPEG", progressive=True).split(START_OF_SCAN)
    last = last.removesuffix(END_OF_IMAGE) + between
    return START_OF_SCAN.join([*start, *[last] * times]) + END_OF_IMAGE


# The index of further images in a file (CIPA DC-007), of two images: Pillow takes such a JPEG for another format.
INDEX = segment(
    0xE2,
    b"MPF\0MM\0*\0\0\0\x08" + struct.pack(">HHHIIHHIII", 2, 0xB001, 4, 1, 2, 0xB002, 7, 32, 38, 0) + bytes(32),
)


@pytest.mark.parametrize(
    "hidden",
    [
        lambda file: file,
        lambda file: file[:2] + INDEX + file[2:],
        lambda file: file.replace(START_OF_SCAN, b"\xff\x02\xff\xff" + START_OF_SCAN),
        lambda file: file.replace(START_OF_SCAN, b"\xff\xff" + START_OF_SCAN),
    ],
    ids=["plain", "with an index of images", "behind a marker that means nothing", "behind fill bytes"],
)
def test_a_jpeg_that_would_be_decoded_over_and_over_is_refused_before_it_is(hidden):
    assert decoded(scanned(1)).shape == (28, 28)
    with pytest.raises(UnreadableImage, match=f"expected a JPEG of at most {MAX_SCANS} scans"):
        open_image(hidden(scanned(MAX_SCANS)))


@pytest.mark.parametrize("file", [scanned(1), PNG], ids=["JPEG", "PNG"])
@pytest.mark.parametrize(
    "behind",
    [b"", bytes(9), bytes(2) + segment(0xDA) * 99, bytes(2) + segment(0xE9) * MAX_PIECES, bytes(12 * MAX_PIECES)],
    ids=["nothing", "a few bytes", "scans", "segments", "zeros"],
)
def test_what_is_behind_an_image_is_not_looked_at(file, behind):
    np.testing.assert_array_equal(decoded(file + behind), decoded(file))


def test_a_photograph_that_holds_another_as_a_thumbnail_is_read():
    with_thumbnail = JPEG[:2] + segment(0xE1, b"Exif\0\0" + scanned(99)) + JPEG[2:]

    np.testing.assert_array_equal(decoded(with_thumbnail), decoded(JPEG))


def test_the_first_of_the_images_in_a_file_is_taken():
    np.testing.assert_array_equal(decoded(JPEG[:2] + INDEX + JPEG[2:] + scanned(1)), decoded(JPEG))


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (JPEG[:2] + segment(0xE9) * MAX_PIECES + JPEG[2:], "a JPEG of at most 10000 segments"),
        (JPEG[:2] + b"\xff" * MAX_PIECES + JPEG[2:], "a JPEG of at most 10000 segments"),
        (JPEG[:-2] + segment(0xDD, bytes(2)) * MAX_PIECES + JPEG[-2:], "a JPEG of at most 10000 segments"),
        (PNG[:33] + chunk(b"prVt") * MAX_PIECES + PNG[33:], "a PNG of at most 10000 chunks"),
        (PNG[:-12] + chunk(b"IDAT") * MAX_PIECES + PNG[-12:], "a PNG of at most 10000 chunks"),
    ],
    ids=["empty segments", "fill bytes", "empty segments between scans", "empty chunks", "empty chunks at the end"],
)
def test_a_file_of_ever_so_many_pieces_is_refused_before_a_decoder_takes_them_one_by_one(file, expected):
    with pytest.raises(UnreadableImage, match=f"expected {expected}, got more"):
        open_image(file)


@pytest.mark.parametrize(
    "file",
    [JPEG[:2] + segment(0xE9, b"text") * 99 + JPEG[2:], PNG[:33] + chunk(b"tEXt", b"a\0b") * 99 + PNG[33:]],
    ids=["segments", "chunks"],
)
def test_a_hundred_pieces_are_nothing_unusual(file):
    assert decoded(file).shape == (28, 28)


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


def test_who_waits_for_others_images_lets_others_compute_and_ends_in_time(monkeypatch):
    """One image is decoded at a time; as many as there are turns wait for it, and one more."""
    decodes, may_end = threading.Event(), threading.Event()
    ended_when_told: list[bool] = []

    def slow(*_: object) -> None:
        decodes.set()
        ended_when_told.append(may_end.wait(20))
        raise OSError

    monkeypatch.setattr(ImageOps, "exif_transpose", slow)

    def decode(timeout_s: float, outcomes: list[Exception]) -> None:
        try:
            with turns.taken():
                decode_image(SPEC, open_image(PNG), timeout_s)
        except (UnreadableImage, DeadlineExceeded) as error:
            outcomes.append(error)

    first: list[Exception] = []
    decoding = threading.Thread(target=decode, args=(endless(), first))
    decoding.start()
    assert decodes.wait(60)
    patient: list[Exception] = []
    waiting = [threading.Thread(target=decode, args=(60, patient)) for _ in range(turns.MOST)]
    for thread in waiting:
        thread.start()
    hurried: list[Exception] = []
    decode(0.01, hurried)
    assert [type(error) for error in hurried] == [DeadlineExceeded]

    may_end.set()
    for thread in [decoding, *waiting]:
        thread.join(60)
    assert [type(error) for error in first + patient] == [UnreadableImage] * (1 + turns.MOST)
    assert all(ended_when_told)
