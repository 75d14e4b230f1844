"""PNG and JPEG files become raw pixels of a contract's shape. Knows no transport.

A file is turned upright (EXIF), laid on black where it is transparent, made grey where the contract has one channel,
scaled into the shape with its proportions kept (the rest is black), and never inverted. Black is the contract's
smallest value.
"""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from serving.contract import ImageInput
from serving.errors import DeadlineExceeded
from serving.gateway import turns
from serving.gateway.image_pieces import JPEG, PNG, UnreadableImage, check_chunks, check_segments

# 4096 x 4096, over all images of a request: more than most cameras give. Converting one such image takes up to 320 MB,
# measured on one with transparency.
MAX_PIXELS = 4096 * 4096
NEITHER = "expected a PNG or JPEG image, got bytes that are neither"
# Pillow only warns at its own limit; ours is smaller, and looked at before anything is decoded.
Image.MAX_IMAGE_PIXELS = None

# One image is decoded at a time in a process, so that many at once cannot take all its memory.
_decoding = threading.Lock()


def endless() -> float:
    """The seconds left to who may wait for ever."""
    return threading.TIMEOUT_MAX


class EncodedImage(bytes):
    """A PNG or JPEG file, as a client sent it."""


def open_image(file: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The image, of which only the header is read.

    Raises:
        UnreadableImage: it is neither PNG nor JPEG, broken, or has too many pixels or pieces.
    """
    try:
        image = _open(file)
    except UnreadableImage:
        raise
    except Exception as error:  # a broken file leads Pillow's readers into errors of every kind
        raise UnreadableImage(NEITHER) from error
    if image.width * image.height > max_pixels:
        raise UnreadableImage(f"expected at most {MAX_PIXELS} pixels in the images of one request, got more")
    return image


def decode_image(spec: ImageInput, image: Image.Image, timeout_s: float) -> list[int]:
    """The raw values, flat, as the contract has them.

    Raises:
        UnreadableImage: the file is broken, or the model takes images of other channels.
        DeadlineExceeded: the images of other requests took all the time.
    """
    channels = 1 if len(spec.shape) == 2 else spec.shape[2]
    if channels not in (1, 3):
        raise UnreadableImage(f"this model takes arrays only: it has {channels} channels a pixel")
    with _alone(timeout_s):
        try:
            pixels = _fit(image, "L" if channels == 1 else "RGB", size=(spec.shape[1], spec.shape[0]))
        except Exception as error:  # as above
            raise UnreadableImage("expected a whole PNG or JPEG image, got a broken one") from error
    values = spec.minimum + pixels * ((spec.maximum - spec.minimum) / 255)
    flat: list[int] = np.rint(values).astype(np.int64).ravel().tolist()
    return flat


def _open(file: bytes) -> Image.Image:
    """Not Pillow's own choice: it takes a JPEG with a list of further images for a format of its own, and reads on."""
    if file.startswith(PNG):
        check_chunks(file)
        return PngImageFile(io.BytesIO(file))
    if file.startswith(JPEG):
        check_segments(file)
        return JpegImageFile(io.BytesIO(file))
    raise UnreadableImage(NEITHER)


@contextmanager
def _alone(timeout_s: float) -> Iterator[None]:
    with turns.given_up():
        if not _decoding.acquire(timeout=timeout_s):
            raise DeadlineExceeded("the time for this request ran out while other images were decoded")
    try:
        yield
    finally:
        _decoding.release()


def _fit(image: Image.Image, mode: str, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The image upright, in this mode and of this (width, height): uint8 (height, width[, 3])."""
    converted = _convert(ImageOps.exif_transpose(image), mode)
    if converted.size != size:
        converted = ImageOps.pad(converted, size, Image.Resampling.LANCZOS, color=0)
    return np.asarray(converted, np.uint8)


def _convert(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow would cut off at 255
        image = _eight_bits(image)
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image.convert("RGBA"))
    return image if image.mode == mode else image.convert("RGB").convert(mode)


def _eight_bits(image: Image.Image) -> Image.Image:
    values = np.array(image, np.int32)
    values[values == image.info.get("transparency", -1)] = 0  # the one value that is transparent
    values //= 257
    return Image.fromarray(values.astype(np.uint8))
