"""NumPy arrays ↔ TensorFlow's TensorProto on the wire. Knows no model and makes no calls."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.gateway import model_server
from serving.generated.atelier.modelserver.v1 import model_server_pb2 as wire

# dtype on the wire -> NumPy's, and the typed field that holds it. `tensor_content` is little-endian.
_CODINGS: Mapping[wire.DataType, tuple[np.dtype[Any], str]] = {
    wire.DATA_TYPE_FLOAT: (np.dtype("<f4"), "float_val"),
    wire.DATA_TYPE_DOUBLE: (np.dtype("<f8"), "double_val"),
    wire.DATA_TYPE_INT32: (np.dtype("<i4"), "int_val"),
    wire.DATA_TYPE_UINT8: (np.dtype("u1"), "int_val"),
    wire.DATA_TYPE_INT64: (np.dtype("<i8"), "int64_val"),
    wire.DATA_TYPE_BOOL: (np.dtype("?"), "bool_val"),
    wire.DATA_TYPE_STRING: (np.dtype(object), "string_val"),
}
_WIRE_TYPES = {dtype: wire_type for wire_type, (dtype, _) in _CODINGS.items()}


def wire_type(dtype: np.dtype[Any]) -> wire.DataType:
    """A dtype as messages name it.

    Raises:
        TypeError: the wire has no such dtype.
    """
    if dtype not in _WIRE_TYPES:
        raise TypeError(f"expected a dtype of {[str(dtype) for dtype in _WIRE_TYPES]}, got {dtype}")
    return _WIRE_TYPES[dtype]


def encode(array: model_server.Tensor) -> wire.Tensor:
    """An array as a message; numbers travel as one block of bytes.

    Raises:
        TypeError: the wire has no such dtype.
    """
    tensor = wire.Tensor(dtype=wire_type(array.dtype))
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if array.dtype == object:
        tensor.string_val.extend(array.ravel().tolist())
    else:
        tensor.tensor_content = array.tobytes()
    return tensor


def decode(tensor: wire.Tensor) -> model_server.Tensor:
    """A message as an array, from tensor_content or from the typed field, as a model server may choose.

    Raises:
        ValueError: a dtype we do not know, or values that do not fill the shape.
    """
    if tensor.dtype not in _CODINGS:
        raise ValueError(f"expected a dtype of {sorted(_CODINGS)}, got {tensor.dtype}")
    dtype, name = _CODINGS[tensor.dtype]
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if tensor.tensor_content:
        return np.frombuffer(tensor.tensor_content, dtype).reshape(shape)
    field = getattr(tensor, name)
    values = np.frombuffer(field, dtype) if isinstance(field, bytes) else np.array(field, dtype)
    # One value stands for all when there are more elements: TensorFlow packs constant tensors so.
    return np.full(shape, values[0], dtype) if values.size == 1 < math.prod(shape) else values.reshape(shape)
