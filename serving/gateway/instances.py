"""Raw instances become the model's input tensors, as its contract says. Knows no transport and no model."""

import math
from collections.abc import Callable
from typing import Any

from serving.contract import ImageInput, ModelContract
from serving.gateway.encoded_images import endless
from serving.gateway.features import accept_features, read_features
from serving.gateway.images import accept_images, read_images, to_tensor
from serving.gateway.model_server import Tensors
from serving.gateway.pixel_text import LEAST_BYTES, parse_pixels
from serving.gateway.raw_tensors import TensorBatch, check_form
from serving.gateway.tensor_values import read_tensors
from serving.gateway.violations import Path, invalid, kind_of


class PixelBlock(bytes):
    """The pixels of one or more images, one byte each, one image after the other."""


# What a batch is once its form is known: raw instances, or all of them as tensors.
Instances = list[Any] | TensorBatch


def split_block(contract: ModelContract, instances: Any) -> Any:
    """A PixelBlock as a list of images, a TensorBatch if it has the contract's form; anything else as it is."""
    if isinstance(instances, TensorBatch):
        check_form(contract, instances)
    if type(instances) is not PixelBlock:
        return instances
    if not isinstance(contract.input, ImageInput):
        raise invalid((), f"model {contract.name!r} takes features, so it does not take a block of pixels")
    size = math.prod(contract.input.shape)
    if len(instances) % size:
        raise invalid((), f"expected {size} bytes an image, one after the other, got {len(instances)} bytes in all")
    return [instances[start : start + size] for start in range(0, len(instances), size)]


def check_batch(instances: Any, max_instances: int) -> Instances:
    """Refuse what is not one to `max_instances` instances."""
    if isinstance(instances, TensorBatch):
        _check_size(instances.rows, max_instances, ("inputs", 0, "shape"))
        return instances
    if type(instances) is not list:
        raise invalid(("instances",), f"expected an array of instances, got {kind_of(instances)}")
    if not instances:
        raise invalid(("instances",), "expected at least one instance, got an empty array")
    _check_size(len(instances), max_instances, ("instances",))
    return instances


def read_instances(
    contract: ModelContract, instances: Instances, time_left_s: Callable[[], float] = endless
) -> Tensors:
    """Input tensor name -> array whose first dimension is the batch, as the contract's signature takes it.

    Raises:
        InvalidInput: with a pointer to each place that breaks the contract.
        DeadlineExceeded: it waited too long for a turn to decode files.
    """
    if isinstance(instances, TensorBatch):
        return read_tensors(contract, instances)
    if isinstance(contract.input, ImageInput):
        return {contract.input.tensor: read_images(contract.input, instances, time_left_s)}
    return read_features(contract.input, instances)


def accept_instances(contract: ModelContract, instances: list[Any], *, no_booleans: bool) -> Tensors | None:
    """The same tensors, soon; None where an instance breaks the contract, or takes longer: read_instances can say."""
    if isinstance(contract.input, ImageInput):
        pixels = accept_images(contract.input, instances, no_booleans=no_booleans)
        return None if pixels is None else {contract.input.tensor: pixels}
    return accept_features(contract.input, instances)


def accept_text(contract: ModelContract, body: bytes, max_instances: int) -> Tensors | None:
    """The same of JSON, sooner; None where it takes a parser, or would take one as long."""
    spec = contract.input
    if not isinstance(spec, ImageInput) or len(body) < LEAST_BYTES:
        return None
    raw = parse_pixels(spec.shape, body, max_instances)
    pixels = None if raw is None else to_tensor(spec, raw)
    return None if pixels is None else {spec.tensor: pixels}


def _check_size(size: int, max_instances: int, path: Path) -> None:
    if size > max_instances:
        raise invalid(path, f"expected at most {max_instances} instances in one request, got {size}")
