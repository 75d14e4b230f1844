"""The values of raw tensors become the tensors a model is sent, as its contract says. Knows no transport."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.contract import FeatureInput, ImageInput, ModelContract
from serving.errors import Violation
from serving.gateway.features import explain_number, to_float32
from serving.gateway.images import explain_pixel, to_tensor
from serving.gateway.json_numbers import as_float64, as_integers
from serving.gateway.model_server import Tensor
from serving.gateway.raw_tensors import DATATYPES, INTEGERS, RawTensor, TensorBatch
from serving.gateway.violations import Path, invalid, refuse, refuse_any, violation, wrong_integer


def read_tensors(contract: ModelContract, batch: TensorBatch) -> dict[str, Tensor]:
    """Tensors whose form was checked, as the model is sent them.

    Raises:
        InvalidInput: with a pointer to each element that breaks the contract: its place in row-major order, or its
            indices where the values came nested.
    """
    arrays = {tensor.name: _read(contract, index, tensor) for index, tensor in enumerate(batch.inputs)}
    if isinstance(contract.input, FeatureInput):
        refuse_any(_explain_shared(contract.input, batch, arrays))
    return arrays


def _read(contract: ModelContract, index: int, tensor: RawTensor) -> Tensor:
    path: Path = ("inputs", index, "data")
    values = _elements(tensor, path)
    array = _accept(contract, tensor.datatype, values)
    if array is None:
        raise refuse(_explain_elements(contract, tensor, values, path))
    return array.reshape(tensor.shape)


def _elements(tensor: RawTensor, path: Path) -> list[Any] | NDArray[Any]:
    """As many as the shape says, flat."""
    count = int(np.prod(tensor.shape, dtype=object))
    if isinstance(tensor.values, bytes):
        dtype = DATATYPES[tensor.datatype]
        got, rest = divmod(len(tensor.values), dtype.itemsize)
        if rest:
            raise invalid(path, f"expected {count * dtype.itemsize} bytes, got {len(tensor.values)}")
        _check_count(count, got, path)
        return np.frombuffer(tensor.values, dtype)
    if not _is_nested(tensor.values):
        _check_count(count, len(tensor.values), path)
        return tensor.values
    flat = _flatten(tensor.values, tensor.shape)
    if flat is None:
        raise invalid(path, "expected the values flat, or nested as the shape says, got other arrays")
    return flat


def _check_count(count: int, got: int, path: Path) -> None:
    if got != count:
        raise invalid(path, f"expected {count} values, got {got}")


def _is_nested(values: list[Any]) -> bool:
    return bool(values) and type(values[0]) is list


def _flatten(values: list[Any], shape: tuple[int, ...]) -> list[Any] | None:
    level = [values]
    for length in shape:
        if set(map(type, level)) != {list} or set(map(len, level)) != {length}:
            return None
        level = list(chain.from_iterable(level))
    return level


def _accept(contract: ModelContract, datatype: str, values: list[Any] | NDArray[Any]) -> Tensor | None:
    numbers = _numbers(datatype, values) if isinstance(values, list) else values
    if numbers is None:
        return None
    return to_tensor(contract.input, numbers) if isinstance(contract.input, ImageInput) else to_float32(numbers)


def _numbers(datatype: str, values: list[Any]) -> NDArray[Any] | None:
    """None where one is no number of that datatype."""
    return as_integers(values, INTEGERS[datatype]) if datatype in INTEGERS else as_float64(values)


def _explain_elements(
    contract: ModelContract, tensor: RawTensor, values: list[Any] | NDArray[Any], path: Path
) -> Iterator[Violation]:
    is_nested = isinstance(tensor.values, list) and _is_nested(tensor.values)
    for index, value in enumerate(values if isinstance(values, list) else values.tolist()):
        place = tuple(map(int, np.unravel_index(index, tensor.shape))) if is_nested else (index,)
        yield from _explain_element(contract, tensor.datatype, value, (*path, *place))


def _explain_element(contract: ModelContract, datatype: str, value: Any, path: Path) -> Iterator[Violation]:
    """What the contract has against it, or else its datatype."""
    spec = contract.input
    found = explain_pixel(spec, value, path) if isinstance(spec, ImageInput) else explain_number(value, path)
    return iter(list(found) or _explain_integer(datatype, value, path))


def _explain_integer(datatype: str, value: Any, path: Path) -> Iterator[Violation]:
    if datatype in INTEGERS:
        reach = np.iinfo(INTEGERS[datatype])
        if got := wrong_integer(reach.min, reach.max, value):
            yield violation(path, f"expected an integer from {reach.min} to {reach.max}, as {datatype} is, got {got}")


def _explain_shared(spec: FeatureInput, batch: TensorBatch, arrays: Mapping[str, Tensor]) -> Iterator[Violation]:
    """An instance has one value a feature, so tensors that share a feature must agree on it."""
    columns: dict[str, NDArray[np.float32]] = {}
    features = {tensor.name: tensor.features for tensor in spec.tensors}
    for index, tensor in enumerate(batch.inputs):
        for position, feature in enumerate(features[tensor.name]):
            column = arrays[tensor.name][:, position]
            if not np.array_equal(columns.setdefault(feature, column), column):
                yield violation(
                    ("inputs", index, "data"), f"expected the values of {feature} that another input has, got others"
                )
