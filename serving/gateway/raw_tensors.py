"""A batch as raw tensors, as tensor-level clients send it: which ones a contract takes and gives, and their form.

Datatypes and shapes are the Open Inference Protocol's. The tensors are the model's own by name, but hold raw values,
as instances do: no client scales. Knows no transport.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from serving.contract import ImageInput, ModelContract
from serving.errors import Violation
from serving.gateway.outputs import output_widths
from serving.gateway.violations import Path, refuse_any, violation

INTEGERS: Mapping[str, np.dtype[Any]] = {
    name: np.dtype(name.lower()).newbyteorder("<")
    for name in ("UINT8", "INT8", "UINT16", "INT16", "UINT32", "INT32", "UINT64", "INT64")  # smallest first
}
FLOATS: Mapping[str, np.dtype[Any]] = {"FP32": np.dtype("<f4"), "FP64": np.dtype("<f8")}
DATATYPES = {**INTEGERS, **FLOATS}


@dataclass(frozen=True)
class TensorSpec:
    """A tensor that a model takes or gives. The first dimension is the batch, -1."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class RawTensor:
    """One input as a client sent it, not checked yet; elements in row-major order."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: list[Any] | bytes  # JSON, flat or nested as the shape says; or the elements, little-endian


@dataclass(frozen=True)
class TensorBatch:
    """Every instance of a call, and the outputs wanted of it."""

    inputs: tuple[RawTensor, ...]
    outputs: tuple[str, ...] = ()  # none: all

    @property
    def rows(self) -> int:
        """How many instances; only where the form was checked."""
        return self.inputs[0].shape[0]


def input_specs(contract: ModelContract) -> tuple[TensorSpec, ...]:
    """The tensors a client sends: an image as integers that hold its range, features as 32-bit numbers."""
    spec = contract.input
    if isinstance(spec, ImageInput):
        return (TensorSpec(spec.tensor, _smallest_integer(spec), (-1, *spec.shape)),)
    return tuple(TensorSpec(tensor.name, "FP32", (-1, len(tensor.features))) for tensor in spec.tensors)


def output_specs(contract: ModelContract) -> tuple[TensorSpec, ...]:
    """The tensors a client gets: all that the contract promises."""
    return tuple(TensorSpec(name, "FP32", (-1, width)) for name, width in output_widths(contract).items())


def check_form(contract: ModelContract, batch: TensorBatch) -> None:
    """Refuse tensors of other names, datatypes or shapes than the contract's; values are not looked at."""
    refuse_any(chain(_explain_inputs(contract, batch.inputs), _explain_outputs(contract, batch.outputs)))


def _smallest_integer(spec: ImageInput) -> str:
    return next(
        (
            name
            for name, dtype in INTEGERS.items()
            if np.iinfo(dtype).min <= spec.minimum and spec.maximum <= np.iinfo(dtype).max
        ),
        "INT64",
    )


def _explain_inputs(contract: ModelContract, inputs: tuple[RawTensor, ...]) -> Iterator[Violation]:
    specs = {spec.name: spec for spec in input_specs(contract)}
    given: set[str] = set()
    for index, tensor in enumerate(inputs):
        path: Path = ("inputs", index)
        if tensor.name not in specs:
            yield violation((*path, "name"), f"no such input; expected {', '.join(specs)}")
        elif tensor.name in given:
            yield violation((*path, "name"), "expected each input once, got this one again")
        else:
            given.add(tensor.name)
            yield from _explain_datatype(contract, specs[tensor.name], tensor, path)
            yield from _explain_shape(specs[tensor.name], tensor.shape, path)
    for name in [name for name in specs if name not in given]:
        yield violation(("inputs",), f"expected an input {name!r}, but it is missing")
    if len({tensor.shape[0] for tensor in inputs if tensor.shape}) > 1:
        yield violation(("inputs",), "expected as many instances in one input as in the other, got different numbers")


def _explain_datatype(contract: ModelContract, spec: TensorSpec, tensor: RawTensor, path: Path) -> Iterator[Violation]:
    image = contract.input if isinstance(contract.input, ImageInput) else None
    if tensor.datatype not in (INTEGERS if image else DATATYPES):
        raw = f" (raw values from {image.minimum} to {image.maximum}, which the service scales)" if image else ""
        got = tensor.datatype if tensor.datatype in DATATYPES else "another datatype"
        yield violation((*path, "datatype"), f"expected {spec.datatype}{raw}, got {got}")


def _explain_shape(spec: TensorSpec, shape: tuple[int, ...], path: Path) -> Iterator[Violation]:
    if len(shape) != len(spec.shape):
        yield violation((*path, "shape"), f"expected {list(spec.shape)}, got {len(shape)} dimensions")
    elif shape[1:] != spec.shape[1:]:
        yield violation((*path, "shape"), f"expected {list(spec.shape)}, got {list(shape)}")
    elif shape[0] < 1:
        yield violation((*path, "shape"), "expected at least one instance, got none")


def _explain_outputs(contract: ModelContract, names: tuple[str, ...]) -> Iterator[Violation]:
    known = output_widths(contract)
    for index, name in enumerate(names):
        if name not in known:
            yield violation(("outputs", index, "name"), f"no such output; expected {', '.join(known)}")
