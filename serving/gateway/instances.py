"""Raw JSON instances become the model's input tensors, as its contract says. Knows no transport and no model."""

from typing import Any

from serving.contract import ImageInput, ModelContract
from serving.gateway.features import read_features
from serving.gateway.images import read_images
from serving.gateway.model_server import Tensors
from serving.gateway.violations import invalid, kind_of


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
