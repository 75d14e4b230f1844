"""Image instances (nested or flat lists of pixels, one byte a pixel, files) become the tensor a model is sent.

Paths that must agree (property tests say so): `accept_images` and all it tries are fast and say no, `_explain` is slow
and says why.
"""

import math
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.contract import ImageInput
from serving.errors import Violation
from serving.gateway.encoded_images import endless
from serving.gateway.image_files import read_files
from serving.gateway.json_numbers import as_float64
from serving.gateway.model_server import Tensor
from serving.gateway.violations import Path, kind_of, refuse, violation, wrong_integer


def read_images(spec: ImageInput, instances: list[Any], time_left_s: Callable[[], float] = endless) -> Tensor:
    """Check raw images: one tensor of shape (batch, *spec.shape), as `to_tensor` makes it.

    Raises:
        InvalidInput: with a pointer to each wrong row or pixel.
        DeadlineExceeded: while the files of other requests were decoded.
    """
    pixels = _accept_bytes(spec, instances)
    if pixels is None:
        instances = read_files(spec, instances, time_left_s)
        pixels = _accept(spec, instances)
    if pixels is None:
        raise refuse(_explain(spec, instances))
    return pixels


def accept_images(spec: ImageInput, instances: list[Any], *, no_booleans: bool) -> Tensor | None:
    """The same of raw images that are no files; None where one breaks the contract, or where more must be tried.

    Args:
        no_booleans: there are none among the pixels, for sure; then it takes a quarter of the time.
    """
    blocks = _as_bytes(spec, instances) if no_booleans else None
    pixels = _accept_bytes(spec, instances if blocks is None else blocks)
    return _accept(spec, instances) if pixels is None else pixels


def to_tensor(spec: ImageInput, pixels: NDArray[Any]) -> Tensor | None:
    """Raw values as the model is sent them, in the shape they have; None where one breaks the contract.

    uint8, as they are, where a signature takes them so; else float32, scaled.
    """
    if pixels.dtype.kind == "f" and not (pixels == np.rint(pixels)).all():
        return None
    is_within = pixels.dtype == np.uint8 and spec.minimum <= 0 and spec.maximum >= 255
    if not is_within and (pixels.min() < spec.minimum or pixels.max() > spec.maximum):
        return None
    if spec.raw_signature is not None:
        return pixels.astype(np.uint8, copy=False)
    return pixels.astype(np.float32) * np.float32(spec.scale)


def explain_pixel(spec: ImageInput, value: Any, path: Path) -> Iterator[Violation]:
    """What is wrong with one raw value, if anything is."""
    if got := wrong_integer(spec.minimum, spec.maximum, value):
        yield violation(path, f"expected an integer from {spec.minimum} to {spec.maximum}, got {got}")


def _accept_bytes(spec: ImageInput, instances: list[Any]) -> Tensor | None:
    """Where all are one byte a pixel, without a Python object a pixel: 0.6 ms a thousand images of 28 x 28, not 70."""
    size = math.prod(spec.shape)
    if set(map(type, instances)) != {bytes} or set(map(len, instances)) != {size}:
        return None
    return to_tensor(spec, np.frombuffer(b"".join(instances), np.uint8).reshape(-1, *spec.shape))


def _as_bytes(spec: ImageInput, instances: list[Any]) -> list[Any] | None:
    """Lists of whole numbers from 0 to 255 as one byte a pixel; None where they are others. Takes true for 1."""
    blocks = []
    for instance in instances:
        rows = _rows(instance, spec.shape)
        if rows is None:
            return None
        try:
            blocks.append(b"".join(map(bytes, rows)))
        except (TypeError, ValueError):  # no whole number; no byte
            return None
    return blocks


def _accept(spec: ImageInput, instances: list[Any]) -> Tensor | None:
    flat: list[Any] = []
    for instance in instances:
        pixels = _flatten(instance, spec.shape)
        if pixels is None:
            return None
        flat += pixels
    values = as_float64(flat)
    return None if values is None else to_tensor(spec, values.reshape(-1, *spec.shape))


def _flatten(instance: Any, shape: tuple[int, ...]) -> list[Any] | None:
    """All pixels of one instance in one list; None where a list is missing or has the wrong length."""
    rows = _rows(instance, shape)
    return None if rows is None else list(chain.from_iterable(rows))


def _rows(instance: Any, shape: tuple[int, ...]) -> list[list[Any]] | None:
    """The innermost lists of one instance; None where a list is missing or has the wrong length."""
    if type(instance) is not list:
        return None
    level = [[instance]]
    for length in shape if _is_nested(instance) else (math.prod(shape),):
        level = list(chain.from_iterable(level))
        if set(map(type, level)) != {list} or set(map(len, level)) != {length}:
            return None
    return level


def _is_nested(instance: list[Any]) -> bool:
    return bool(instance) and type(instance[0]) is list


def _explain(spec: ImageInput, instances: list[Any]) -> Iterator[Violation]:
    for index, instance in enumerate(instances):
        path: Path = ("instances", index)
        if type(instance) is not list or not instance:
            yield violation(path, f"expected {_whole(spec)}, got {_kind_or_empty(instance)}")
        elif _is_nested(instance):
            yield from _explain_level(spec, instance, spec.shape, path)
        elif len(instance) != math.prod(spec.shape):
            yield violation(path, f"expected {_whole(spec)}, got a flat array of {len(instance)}")
        else:
            yield from _explain_level(spec, instance, (len(instance),), path)


def _explain_level(spec: ImageInput, value: Any, shape: tuple[int, ...], path: Path) -> Iterator[Violation]:
    if not shape:
        yield from explain_pixel(spec, value, path)
    elif type(value) is not list:
        yield violation(path, f"expected an array of {shape[0]}, got {kind_of(value)}")
    elif len(value) != shape[0]:
        yield violation(path, f"expected an array of {shape[0]}, got one of {len(value)}")
    else:
        for index, item in enumerate(value):
            yield from _explain_level(spec, item, shape[1:], (*path, index))


def _whole(spec: ImageInput) -> str:
    sides = " x ".join(map(str, spec.shape))
    return f"a {sides} array of integers from {spec.minimum} to {spec.maximum}, nested or flat"


def _kind_or_empty(instance: Any) -> str:
    return kind_of(instance) if type(instance) is not list else "an empty array"
