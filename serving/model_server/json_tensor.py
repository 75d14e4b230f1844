"""One JSON value → the values of one tensor. Pure. Rules and texts are those of json_tensor.cc.

`read_dense` converts a regular value at once and says nothing about an irregular one; `read_item` walks the value and
finds TensorFlow Serving's words for what is wrong with it.
"""

import base64
import binascii
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from tensorflow.core.framework import types_pb2

from serving.model_server.json_parser import Json
from serving.model_server.json_writer import debug_string
from serving.model_server.status import Code, StatusError, invalid_argument
from serving.model_server.tensors import MAX_RANK, Array, dtype_name

_NUMBERS = frozenset({int, float})
_INT32 = (-(2**31), 2**31 - 1)
_FLOAT_DTYPES = {types_pb2.DT_FLOAT: np.float32, types_pb2.DT_DOUBLE: np.float64}
# dtype -> (array type, the range of literals taken); the narrow types take any int32, and wrap
_INTEGER_DTYPES: dict[int, tuple[Any, tuple[int, int]]] = {
    types_pb2.DT_INT32: (np.int32, _INT32),
    types_pb2.DT_INT16: (np.int16, _INT32),
    types_pb2.DT_INT8: (np.int8, _INT32),
    types_pb2.DT_UINT8: (np.uint8, _INT32),
    types_pb2.DT_INT64: (np.int64, (-(2**63), 2**63 - 1)),
    types_pb2.DT_UINT32: (np.uint32, (0, 2**32 - 1)),
    types_pb2.DT_UINT64: (np.uint64, (0, 2**64 - 1)),
}


class IrregularValue(ValueError):
    """Not a dense array of values of the dtype."""


def is_b64_object(value: Json) -> bool:
    """Whether the value is bytes, written {"b64": "…"}."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def read_dense(value: Json, dtype: int) -> Array:
    """Convert a scalar or a regular list of lists.

    Raises:
        IrregularValue: ragged, mixed, or of another type; `read_item` says which.
    """
    shape = []
    level = [value]
    while level and type(level[0]) is list:
        size = len(level[0])
        if any(type(item) is not list or len(item) != size for item in level):
            raise IrregularValue
        shape.append(size)
        level = list(chain.from_iterable(level))
    types = set(map(type, level))
    if dtype in _FLOAT_DTYPES:
        is_regular = types <= _NUMBERS
    elif dtype in _INTEGER_DTYPES:
        low, high = _INTEGER_DTYPES[dtype][1]
        is_regular = types <= {int} and (not level or (min(level) >= low and max(level) <= high))
    else:
        is_regular = (dtype == types_pb2.DT_BOOL and types <= {bool}) or (
            dtype == types_pb2.DT_STRING and types <= {str}
        )
    if not is_regular:
        raise IrregularValue
    return to_dense_array([text_bytes(text) for text in level] if str in types else level, tuple(shape), dtype)


def to_dense_array(values: list[Any], shape: Sequence[int], dtype: int) -> Array:
    """Make the array of values that fit the dtype. Floats beyond the dtype become infinite."""
    if len(shape) > MAX_RANK:
        raise invalid_argument(f"tensor parsing error: expected at most {MAX_RANK} dimensions, got {len(shape)}")
    if dtype == types_pb2.DT_STRING:
        array = np.empty(len(values), object)
        array[:] = values
    elif dtype in _FLOAT_DTYPES:
        with np.errstate(over="ignore"):
            array = np.array(values, np.float64).astype(_FLOAT_DTYPES[dtype])
    elif dtype == types_pb2.DT_BOOL:
        array = np.array(values, np.bool_)
    else:
        target, (_, high) = _INTEGER_DTYPES[dtype]
        array = np.array(values, np.uint64 if high > 2**63 else np.int64).astype(target)
    return array.reshape(tuple(shape))


def read_item(value: Json, dtype: int) -> tuple[tuple[int, ...], list[Any]]:
    """Read a value of unknown quality: its shape, and its values in order.

    Raises:
        StatusError: the first thing wrong with it, in depth-first order.
    """
    shape = _shape_by_first_elements(value)
    values: list[Any] = []
    _read_level(value, 0, shape, dtype, values)
    return shape, values


def _shape_by_first_elements(value: Json) -> tuple[int, ...]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if len(shape) > MAX_RANK:  # also keeps the walk below off the recursion limit
            raise invalid_argument(f"tensor parsing error: expected at most {MAX_RANK} dimensions")
        value = value[0] if value else None
    return tuple(shape)


def _read_level(value: Json, level: int, shape: tuple[int, ...], dtype: int, values: list[Any]) -> None:
    rank = len(shape)
    if not isinstance(value, list):
        if level != rank:
            raise invalid_argument(
                f"JSON Value: {debug_string(value)} found at incorrect level: {level + 1} in the JSON DOM. Expected at "
                f"level: {rank}"
            )
        values.append(_read_scalar(value, dtype))
        return
    if level >= rank:
        raise invalid_argument(f"Encountered list at unexpected level: {level} expected < {rank}")
    if len(value) != shape[level]:
        raise invalid_argument(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for item in value:
        _read_level(item, level + 1, shape, dtype, values)


def _read_scalar(value: Json, dtype: int) -> Any:
    if isinstance(value, dict):
        if dtype != types_pb2.DT_STRING:
            raise _type_error(value, dtype)
        return decode_b64_object(value)
    if dtype in _FLOAT_DTYPES:
        is_right = type(value) in _NUMBERS
    elif dtype in _INTEGER_DTYPES:
        low, high = _INTEGER_DTYPES[dtype][1]
        is_right = type(value) is int and low <= value <= high
    elif dtype == types_pb2.DT_STRING:
        is_right = type(value) is str
    elif dtype == types_pb2.DT_BOOL:
        is_right = type(value) is bool
    else:
        raise StatusError(
            Code.UNIMPLEMENTED, f"Conversion of JSON Value: {debug_string(value)} to type: {dtype_name(dtype)}"
        )
    if not is_right:
        raise _type_error(value, dtype)
    return text_bytes(value) if isinstance(value, str) else value


def decode_b64_object(value: Json) -> bytes:
    """The bytes of a {"b64": "…"} object: standard alphabet, padding optional, white space allowed."""
    if not is_b64_object(value):
        raise invalid_argument(f"JSON Value: {debug_string(value)} not formatted correctly for base64 data")
    text = "".join(value["b64"].split())
    stripped = text.rstrip("=")
    try:
        if len(text) - len(stripped) > 2 or ("=" in text and len(text) % 4):
            raise binascii.Error("bad padding")
        return base64.b64decode(stripped + "=" * (-len(stripped) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid_argument("Unable to base64 decode") from None


def _type_error(value: Json, dtype: int) -> StatusError:
    return invalid_argument(
        f"JSON Value: {debug_string(value)} Type: {type_name(value)} is not of expected type: {dtype_name(dtype)}"
    )


def type_name(value: Json) -> str:
    """rapidjson's name for the type of a value."""
    if isinstance(value, bool):
        return str(value)
    names = {type(None): "Null", dict: "Object", list: "Array", str: "String", int: "Number", float: "Number"}
    return names[type(value)]


def text_bytes(text: str) -> bytes:
    """The bytes that a JSON string stood for."""
    return text.encode("utf-8", "surrogateescape")
