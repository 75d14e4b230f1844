"""PNG and JPEG files become raw pixels of a contract's shape. Knows no transport.

A file is turned upright (EXIF), laid on black where it is transparent, made grey where the contract has one channel,
scaled into the shape with its proportions kept (the rest is black), and never inverted. Black is the contract's
smallest value.
"""

import io
import threading

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from serving.contract import ImageInput

FORMATS = ("PNG", "JPEG")
# 4096 x 4096, over all images of a request: more than most cameras give. Converting one such image takes up to 320 MB,
# measured on one with transparency.
MAX_PIXELS = 4096 * 4096
# A progressive JPEG has about ten scans. Each is a pass over all pixels and may be a few bytes long: a thousand more of
# them, 33 kB, took half a minute to decode.
MAX_SCANS = 32
START_OF_SCAN = b"\xff\xda"  # in no pixel data: there, 0xff is followed by 0 (ITU-T T.81, B.1.1.5)
# Pillow only warns at its own limit; ours is smaller, and looked at before anything is decoded.
Image.MAX_IMAGE_PIXELS = None

# One image is decoded at a time in a process, so that many at once cannot take all its memory.
_decoding = threading.Lock()


class EncodedImage(bytes):
    """A PNG or JPEG file, as a client sent it."""


class UnreadableImage(ValueError):
    """What cannot be taken of a file: what was expected and what came."""


def open_image(file: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The image, of which only the header is read.

    Raises:
        UnreadableImage: it is neither PNG nor JPEG, broken, or has too many pixels or scans.
    """
    try:
        image = Image.open(io.BytesIO(file), formats=FORMATS)
    except Exception as error:  # a broken file leads Pillow's readers into errors of every kind
        raise UnreadableImage("expected a PNG or JPEG image, got bytes that are neither") from error
    if image.width * image.height > max_pixels:
        raise UnreadableImage(f"expected at most {MAX_PIXELS} pixels in the images of one request, got more")
    if image.format == "JPEG" and file.count(START_OF_SCAN) > MAX_SCANS:
        raise UnreadableImage(f"expected a JPEG of at most {MAX_SCANS} scans, got more")
    return image


def decode_image(spec: ImageInput, image: Image.Image) -> list[int]:
    """The raw values, flat, as the contract has them.

    Raises:
        UnreadableImage: the file is broken, or the model takes images of other channels.
    """
    channels = 1 if len(spec.shape) == 2 else spec.shape[2]
    if channels not in (1, 3):
        raise UnreadableImage(f"this model takes arrays only: it has {channels} channels a pixel")
    with _decoding:
        try:
            pixels = _fit(image, "L" if channels == 1 else "RGB", size=(spec.shape[1], spec.shape[0]))
        except Exception as error:  # as above
            raise UnreadableImage("expected a whole PNG or JPEG image, got a broken one") from error
    values = spec.minimum + pixels * ((spec.maximum - spec.minimum) / 255)
    flat: list[int] = np.rint(values).astype(np.int64).ravel().tolist()
    return flat


def _fit(image: Image.Image, mode: str, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The image upright, in this mode and of this (width, height): uint8 (height, width[, 3])."""
    converted = _convert(ImageOps.exif_transpose(image), mode)
    if converted.size != size:
        converted = ImageOps.pad(converted, size, Image.Resampling.LANCZOS, color=0)
    return np.asarray(converted, np.uint8)


def _convert(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow would cut off at 255
        image = Image.fromarray((np.asarray(image, np.int64) // 257).astype(np.uint8))
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image.convert("RGBA"))
    return image if image.mode == mode else image.convert("RGB").convert(mode)
