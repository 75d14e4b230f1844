"""Image instances that are no arrays become flat arrays of pixels: {"b64": …}, files, and one byte a pixel.

What is wrong with an array is not looked at here.
"""

import base64
import binascii
from collections.abc import Callable
from typing import Any

from serving.contract import ImageInput
from serving.gateway.encoded_images import MAX_PIXELS, EncodedImage, decode_image, open_image
from serving.gateway.image_pieces import UnreadableImage
from serving.gateway.violations import Path, invalid, kind_of


def read_files(spec: ImageInput, instances: list[Any], time_left_s: Callable[[], float]) -> list[Any]:
    """The instances, with arrays in the place of all that was encoded.

    Raises:
        InvalidInput: with a pointer to the first that cannot be read: decoding is too dear to go on after that.
        DeadlineExceeded: while the images of other requests were decoded.
    """
    pixels_left = MAX_PIXELS
    arrays: list[Any] = []
    for index, instance in enumerate(instances):
        path: Path = ("instances", index)
        file = _from_base64(instance, path) if type(instance) is dict else instance
        if type(file) is EncodedImage:
            try:
                image = open_image(file, pixels_left)
                arrays.append(decode_image(spec, image, time_left_s()))
            except UnreadableImage as error:
                raise invalid(path, str(error)) from error
            pixels_left -= image.width * image.height
        else:
            arrays.append(list(file) if type(file) is bytes else file)
    return arrays


def _from_base64(instance: dict[str, Any], path: Path) -> EncodedImage:
    if set(instance) != {"b64"}:
        raise invalid(path, 'expected an array of pixels or {"b64": "<PNG or JPEG>"}, got an object of other members')
    text, here = instance["b64"], (*path, "b64")
    if type(text) is not str:
        raise invalid(here, f"expected a PNG or JPEG in base64, got {kind_of(text)}")
    try:
        return EncodedImage(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:  # ValueError: not ASCII
        raise invalid(here, "expected a PNG or JPEG in base64, got a string that is not base64") from error
