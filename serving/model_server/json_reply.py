"""REST predict replies: arrays → JSON, in rapidjson's layout and TensorFlow Serving's number format. Pure.

After MakeJsonFromTensors in json_tensor.cc.
"""

import base64
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tensorflow.core.framework import types_pb2

from serving.model_server.json_request import RequestFormat
from serving.model_server.json_writer import INDENT, quoted, quoted_bytes, to_bytes
from serving.model_server.status import invalid_argument
from serving.model_server.tensors import Array, dtype_name

_PLAIN_INTEGERS = frozenset(
    {
        types_pb2.DT_INT8,
        types_pb2.DT_INT16,
        types_pb2.DT_INT32,
        types_pb2.DT_INT64,
        types_pb2.DT_UINT8,
        types_pb2.DT_UINT32,
        types_pb2.DT_UINT64,
    }
)
_MAX_DIGITS = {types_pb2.DT_FLOAT: 9, types_pb2.DT_DOUBLE: 17}  # std::numeric_limits<T>::max_digits10
_BYTES_SUFFIX = "_bytes"  # a string output of such a name is base64


@dataclass(frozen=True)
class Output:
    """One named output tensor."""

    array: Array
    dtype: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.array.shape


def predict_document(outputs: Mapping[str, Output], format_: RequestFormat) -> bytes:
    """The reply to a predict call."""
    if not outputs:
        raise invalid_argument("Cannot convert empty tensor map to JSON")
    return to_bytes(_row_document(outputs) if format_ is RequestFormat.ROW else _columnar_document(outputs))


def _row_document(outputs: Mapping[str, Output]) -> str:
    """One entry an instance: items on one line, objects broken over lines, and the odd break before the last `]`."""
    count = _batch_size(outputs)
    is_named = len(outputs) > 1
    depth = 3 if is_named else 2  # objects and arrays that are open where an instance's value begins
    columns = {
        name: _instances(_texts(name, output, depth + len(output.shape) - 1), output.shape)
        for name, output in outputs.items()
    }
    if not count:
        items = ""
    elif is_named:
        rows = zip(*columns.values(), strict=True)
        members = [
            f",\n{INDENT * 3}".join(f"{quoted(name)}: {value}" for name, value in zip(columns, row, strict=True))
            for row in rows
        ]
        items = ",".join(f"\n{INDENT * 2}{{\n{INDENT * 3}{item}\n{INDENT * 2}}}" for item in members) + f"\n{INDENT}"
    else:
        (column,) = columns.values()
        items = ", ".join(column) + f"\n{INDENT}"
    return f'{{\n{INDENT}"predictions": [{items}]\n}}'


def _batch_size(outputs: Mapping[str, Output]) -> int:
    size = -1
    for name, output in outputs.items():
        if not output.shape:
            raise invalid_argument(f"Tensor name: {name} has no shape information ")
        if size not in (-1, output.shape[0]):
            raise invalid_argument(
                f"Tensor name: {name} has inconsistent batch size: {output.shape[0]} expecting: {size}"
            )
        size = output.shape[0]
    return size


def _instances(texts: Iterator[str], shape: tuple[int, ...]) -> list[str]:
    return [_on_one_line(texts, shape[1:]) for _ in range(shape[0])]


def _on_one_line(texts: Iterator[str], shape: tuple[int, ...]) -> str:
    if not shape:
        return next(texts)
    return f"[{', '.join([_on_one_line(texts, shape[1:]) for _ in range(shape[0])])}]"


def _columnar_document(outputs: Mapping[str, Output]) -> str:
    """Every element on a line of its own."""
    if len(outputs) == 1:
        ((name, output),) = outputs.items()
        value = _on_lines(_texts(name, output, 1 + len(output.shape)), output.shape, 1)
        return f'{{\n{INDENT}"outputs": {value}\n}}'
    members = ",".join(
        f"\n{INDENT * 2}{quoted(name)}: " + _on_lines(_texts(name, output, 2 + len(output.shape)), output.shape, 2)
        for name, output in outputs.items()
    )
    return f'{{\n{INDENT}"outputs": {{{members}\n{INDENT}}}\n}}'


def _on_lines(texts: Iterator[str], shape: tuple[int, ...], depth: int) -> str:
    if not shape:
        return next(texts)
    if not shape[0]:
        return "[]"
    inner = f"\n{INDENT * (depth + 1)}"
    items = f",{inner}".join([_on_lines(texts, shape[1:], depth + 1) for _ in range(shape[0])])
    return f"[{inner}{items}\n{INDENT * depth}]"


def _texts(name: str, output: Output, depth: int) -> Iterator[str]:
    """Every element as JSON, in order; `depth` is how deep an element stands."""
    flat: list[Any] = output.array.ravel().tolist()
    if output.dtype in _MAX_DIGITS:
        return iter(decimals(output.array.ravel(), output.dtype))
    if output.dtype in _PLAIN_INTEGERS:
        return map(str, flat)
    if output.dtype == types_pb2.DT_BOOL:
        return ("true" if value else "false" for value in flat)
    if output.dtype != types_pb2.DT_STRING:
        if not flat:
            return iter(())
        raise invalid_argument(f"Failed to write JSON value for tensor type: {dtype_name(output.dtype)}")
    if name.endswith(_BYTES_SUFFIX):
        return (_b64_object(value, depth) for value in flat)
    return map(quoted_bytes, flat)


def _b64_object(data: bytes, depth: int) -> str:
    text = base64.b64encode(data).decode("ascii")
    return f'{{\n{INDENT * (depth + 1)}"b64": "{text}"\n{INDENT * depth}}}'


def decimals(flat: Array, dtype: int = types_pb2.DT_FLOAT) -> list[str]:
    """Numbers as WriteDecimal prints them: 6 digits where they read back equal, else as many as always do."""
    texts = ["%g" % value for value in flat.tolist()]  # noqa: UP031 (C's %g is the rule)
    with np.errstate(over="ignore"):
        reads_back = np.array([float(text) for text in texts], np.float64).astype(flat.dtype) == flat
    for index in np.flatnonzero(~reads_back):
        value = float(flat[index])
        texts[index] = f"{value:.{_MAX_DIGITS[dtype]}g}" if math.isfinite(value) else "NaN"
    return [_with_point(text) for text in texts]


def _with_point(text: str) -> str:
    if text in _NOT_FINITE:
        return _NOT_FINITE[text]
    return text if "." in text or "e" in text else f"{text}.0"


_NOT_FINITE = {"inf": "Infinity", "-inf": "-Infinity", "NaN": "NaN", "nan": "NaN"}
