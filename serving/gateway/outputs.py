"""The output tensors a contract promises, and whether a model server's reply has them. Knows no transport."""

import numpy as np
from numpy.typing import NDArray

from serving.contract import ClassOutput, ModelContract
from serving.errors import ModelServerFault
from serving.gateway.model_server import Tensors
from serving.gateway.violations import refuse, violation

# Output tensor -> float32 of shape (batch, width), all finite.
Outputs = dict[str, NDArray[np.float32]]


def output_widths(contract: ModelContract) -> dict[str, int]:
    """Every output tensor the contract names -> how many values it has for one instance."""
    output = contract.output
    if isinstance(output, ClassOutput):
        widths = {output.tensor: len(output.class_names)}
    else:
        interval = output.interval
        widths = dict.fromkeys([output.tensor, *([interval.low, interval.high] if interval else [])], 1)
    if contract.domain:
        widths[contract.domain.tensor] = 1
    return widths


def check_outputs(contract: ModelContract, outputs: Tensors, rows: int) -> Outputs:
    """What the contract promises, out of what the model server gave.

    Raises:
        ModelServerFault: a tensor is missing, or of another shape or dtype.
        InvalidInput: the model gave no finite answer for some rows. It did for its goldens, so it is these instances
            that it cannot compute with, as when features near the largest number overflow in it.
    """
    checked = {
        name: _check(contract.name, name, outputs, (rows, width)) for name, width in output_widths(contract).items()
    }
    finite = np.logical_and.reduce([np.isfinite(tensor).all(axis=1) for tensor in checked.values()])  # (rows,)
    if not finite.all():
        raise refuse(
            violation(("instances", int(row)), "the model has no finite answer to it")
            for row in np.flatnonzero(~finite)
        )
    return checked


def _check(model: str, name: str, outputs: Tensors, shape: tuple[int, int]) -> NDArray[np.float32]:
    if name not in outputs:
        raise ModelServerFault(f"{model}: expected an output {name!r}, got {sorted(outputs)}")
    tensor = outputs[name]
    if tensor.shape != shape or tensor.dtype != np.float32:
        raise ModelServerFault(f"{model}: expected {name!r} as float32 {shape}, got {tensor.dtype} {tensor.shape}")
    return tensor
