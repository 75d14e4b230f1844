"""Raw instances become the model's input tensors, as its contract says. Knows no transport and no model."""

import math
from typing import Any

from serving.contract import ImageInput, ModelContract
from serving.gateway.features import read_features
from serving.gateway.images import read_images
from serving.gateway.model_server import Tensors
from serving.gateway.violations import invalid, kind_of


class PixelBlock(bytes):
    """The pixels of one or more images, one byte each, one image after the other."""


def split_block(contract: ModelContract, instances: Any) -> Any:
    """A PixelBlock as a list of images; anything else as it is."""
    if type(instances) is not PixelBlock:
        return instances
    if not isinstance(contract.input, ImageInput):
        raise invalid((), f"model {contract.name!r} takes features, so it does not take a block of pixels")
    size = math.prod(contract.input.shape)
    if len(instances) % size:
        raise invalid((), f"expected {size} bytes an image, one after the other, got {len(instances)} bytes in all")
    return [instances[start : start + size] for start in range(0, len(instances), size)]


def check_batch(instances: Any, max_instances: int) -> list[Any]:
    """Refuse what is not a list of one to `max_instances` instances."""
    if type(instances) is not list:
        raise invalid(("instances",), f"expected an array of instances, got {kind_of(instances)}")
    if not instances:
        raise invalid(("instances",), "expected at least one instance, got an empty array")
    if len(instances) > max_instances:
        raise invalid(
            ("instances",), f"expected at most {max_instances} instances in one request, got {len(instances)}"
        )
    return instances


def read_instances(contract: ModelContract, instances: list[Any]) -> Tensors:
    """Input tensor name -> float32 array whose first dimension is the batch.

    Raises:
        InvalidInput: with a pointer to each place that breaks the contract.
    """
    if isinstance(contract.input, ImageInput):
        return {contract.input.tensor: read_images(contract.input, instances)}
    return read_features(contract.input, instances)
