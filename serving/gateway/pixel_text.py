"""Images in JSON as programs write it, read without a Python object a pixel: of many, in a quarter of a parser's time.

Such text is known but for its digits: without them, what is left (its marks) is always the same for so many images.
Whatever differs is for a parser, which may still find it right.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST_BYTES = 4096  # of a body: fewer a parser reads as soon
# After an item and after a name: as JSON.stringify and most libraries write them, and as Python's json does.
_SEPARATORS = ((",", ":"), (", ", ": "))
_NO_NUMBER = 1024  # or more


@dataclass(frozen=True)
class _Layout:
    """One way to write images: nested or flat, with spaces or without."""

    opening: bytes  # all before the first pixel
    head: bytes  # the marks before the first image, without the very first mark
    image: bytes  # the marks of one image
    between: bytes  # of two images; no longer than the tail
    tail: bytes  # the marks after the last image
    ends: NDArray[np.intp]  # which of an image's marks come right after a pixel

    def count(self, marks: int) -> int:
        """How many images so many marks may be of."""
        around = len(self.head) + len(self.tail) - len(self.between)
        return (marks - around) // (len(self.image) + len(self.between))

    def marks(self, images: int) -> bytes:
        """All but the first, of so many images."""
        return self.head + self.between.join([self.image] * images) + self.tail

    def pixel_ends(self, marks: NDArray[np.intp], images: int) -> NDArray[np.intp]:
        """Of where the marks are, where those are that come after a pixel: (images, pixels)."""
        start, each = len(self.head), len(self.image) + len(self.between)
        return marks[start : start + images * each].reshape(images, each).take(self.ends, axis=1)


def parse_pixels(shape: tuple[int, ...], body: bytes, max_images: int) -> NDArray[np.uint16] | None:
    """{"instances": [image, ...]} -> (batch, *shape); None where it is not surely that, with numbers below 1000."""
    for layout in _layouts(shape):
        if body.startswith(layout.opening):
            pixels = _parse(layout, body, max_images)
            return None if pixels is None else pixels.reshape(-1, *shape)
    return None


def _parse(layout: _Layout, body: bytes, max_images: int) -> NDArray[np.uint16] | None:
    text = np.frombuffer(body, np.uint8)
    digits = text - np.uint8(ord("0"))
    is_digit = digits < 10
    before = np.flatnonzero(~is_digit[1:])  # where the byte before each mark is, but for the first mark
    images = layout.count(len(before))
    if images > max_images or text[1:].take(before).tobytes() != layout.marks(images):
        return None
    pixels = _numbers(digits, is_digit).take(layout.pixel_ends(before, images))
    if pixels.max() >= _NO_NUMBER:
        return None
    # None has fewer digits than its value needs. So if there are no more in all than all need, then none begins with a
    # needless 0 or has more than three, and none are where no pixel is.
    needed = pixels.size + np.count_nonzero(pixels > 9) + np.count_nonzero(pixels > 99)
    return pixels if needed == np.count_nonzero(is_digit) else None


def _numbers(digits: NDArray[np.uint8], is_digit: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """For each byte the number that ends there, of its last three digits; _NO_NUMBER or more where none does."""
    digits = digits * is_digit
    pairs = digits.copy()
    pairs[1:] += digits[:-1] * np.uint8(10)
    pairs *= is_digit
    numbers = np.multiply(~is_digit, _NO_NUMBER, dtype=np.uint16)
    numbers += digits
    numbers[1:] += np.multiply(pairs[:-1], 10, dtype=np.uint16)
    return numbers


@cache
def _layouts(shape: tuple[int, ...]) -> Sequence[_Layout]:
    """All that are read, the longest opening first: another may begin it."""
    nested = np.zeros(shape, int)
    layouts = [_layout(image.tolist(), *separators) for image in (nested, nested.ravel()) for separators in _SEPARATORS]
    return sorted(layouts, key=lambda layout: -len(layout.opening))


def _layout(image: list[Any], comma: str, colon: str) -> _Layout:
    """As an example shows it, all of whose pixels are 0."""
    text = json.dumps(image, separators=(comma, colon)).encode()
    head, tail = json.dumps({"instances": [0]}, separators=(comma, colon)).encode().split(b"0")
    marks = np.flatnonzero(np.frombuffer(text, np.uint8) != ord("0"))
    return _Layout(
        opening=head + text[: text.index(b"0")],
        head=head[1:],
        image=text.replace(b"0", b""),
        between=comma.encode(),
        tail=tail,
        ends=np.flatnonzero(np.diff(marks, prepend=-1) > 1),
    )
