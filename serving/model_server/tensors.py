"""TensorProto ↔ numpy, as TensorFlow's C++ `Tensor::FromProto` and `Tensor::AsProtoField` do it. Pure.

`tf.make_ndarray` and `tf.make_tensor_proto` differ on the edges (too few values, too many, no shape) and pack replies
into `tensor_content`, where clients of TensorFlow Serving look for `float_val`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tensorflow import dtypes
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving.protobuf_fields import field

Array = npt.NDArray[Any]

MAX_RANK = 64  # numpy's; TensorFlow's own is 254
_MAX_BYTES = 2**63 - 1  # of an array; what is less may still be more than there is memory


@dataclass(frozen=True)
class _Encoding:
    """Where a TensorProto keeps the values of one dtype, and as what."""

    dtype: np.dtype[Any]  # of the array
    field: str
    stored: np.dtype[Any]  # of the field's values


def _encodings() -> Mapping[int, _Encoding]:
    table = {
        "float_val": {"DT_FLOAT": "f4"},
        "double_val": {"DT_DOUBLE": "f8"},
        "int_val": {"DT_INT32": "i4", "DT_INT16": "i4", "DT_INT8": "i4", "DT_UINT16": "i4", "DT_UINT8": "i4"},
        "int64_val": {"DT_INT64": "i8"},
        "uint32_val": {"DT_UINT32": "u4"},
        "uint64_val": {"DT_UINT64": "u8"},
        "bool_val": {"DT_BOOL": "?"},
        "half_val": {"DT_HALF": "i4", "DT_BFLOAT16": "i4"},
        "scomplex_val": {"DT_COMPLEX64": "f4"},
        "dcomplex_val": {"DT_COMPLEX128": "f8"},
        "string_val": {"DT_STRING": "O"},
    }
    return {
        types_pb2.DataType.Value(name): _Encoding(
            np.dtype(dtypes.as_dtype(types_pb2.DataType.Value(name)).as_numpy_dtype), field, np.dtype(stored)
        )
        for field, names in table.items()
        for name, stored in names.items()
    }


_ENCODINGS = _encodings()
_FIXED_WIDTH = frozenset({"float_val", "double_val"})
_REFERENCE_OFFSET = 100  # types.proto: DT_FLOAT_REF = DT_FLOAT + 100
_CPP_NAMES = {"float32": "float", "float64": "double", "float16": "half"}


class TensorParsingError(ValueError):
    """A TensorProto that `Tensor::FromProto` refuses."""


def dtype_name(dtype: int) -> str:
    """The name C++ prints for a dtype: `float` where Python says `float32`."""
    name = str(dtypes.as_dtype(dtype).name)
    return _CPP_NAMES.get(name, name)


def array_dtype_name(array: Array) -> str:
    """The DataType of an array, by the name in types.proto."""
    return str(types_pb2.DataType.Name(dtypes.as_dtype(array.dtype).as_datatype_enum))


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape as C++ prints it: [2,3]."""
    return f"[{','.join(map(str, shape))}]"


def base_dtype(dtype: int) -> int:
    """The dtype of the value, where a TF1 graph says it is a reference."""
    return dtype - _REFERENCE_OFFSET if dtype > _REFERENCE_OFFSET else dtype


def to_array(proto: tensor_pb2.TensorProto) -> Array:
    """Read a tensor. Too few values: the last one fills the rest; none: zeros; too many: the rest is ignored.

    Raises:
        TensorParsingError: unknown dtype, bad shape, or content of another size than the shape asks for.
    """
    encoding = _ENCODINGS.get(proto.dtype)
    if encoding is None:
        raise TensorParsingError(f"dtype {proto.dtype} has no values")
    shape = _shape(proto, encoding.dtype.itemsize)
    count = math.prod(shape)
    if count and proto.tensor_content:
        return _from_content(proto.tensor_content, encoding, count).reshape(shape)
    return _fill(_from_field(proto, encoding), encoding, count).reshape(shape)


def _shape(proto: tensor_pb2.TensorProto, itemsize: int) -> tuple[int, ...]:
    """The dims, all of them known. C++ takes no notice of `unknown_rank`, and bounds elements, not bytes."""
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if len(shape) > MAX_RANK or any(size < 0 for size in shape):
        raise TensorParsingError(f"shape {shape} is not fully known")
    if math.prod(size for size in shape if size) * itemsize > _MAX_BYTES:
        raise TensorParsingError("the shape has too many elements")
    return shape


def _from_content(content: bytes, encoding: _Encoding, count: int) -> Array:
    """Read `tensor_content`: little-endian values, or for strings varint lengths and then the bytes."""
    if encoding.field == "string_val":
        return _object_array(_split_strings(content, count))
    if len(content) != count * encoding.dtype.itemsize:
        raise TensorParsingError(f"expected {count * encoding.dtype.itemsize} bytes, got {len(content)}")
    if encoding.field == "bool_val" and max(content) > 1:
        raise TensorParsingError("a bool is neither 0 nor 1")
    return np.frombuffer(content, encoding.dtype)


def _split_strings(content: bytes, count: int) -> list[bytes]:
    """TensorFlow's `port::DecodeStringList`."""
    lengths, position = [], 0
    for _ in range(count):
        length, shift = 0, 0
        while True:
            if position >= len(content) or shift > 28:
                raise TensorParsingError("a string length is cut off")
            byte = content[position]
            position += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        lengths.append(length)
    if position + sum(lengths) != len(content):
        raise TensorParsingError("the strings do not fill the content")
    strings = []
    for length in lengths:
        strings.append(content[position : position + length])
        position += length
    return strings


def _from_field(proto: tensor_pb2.TensorProto, encoding: _Encoding) -> Array:
    """The values of the dtype's own field, flat, as many as were sent."""
    values = getattr(proto, encoding.field)
    if encoding.field == "string_val":
        return _object_array(list(values))
    stored = np.array(values, encoding.stored)
    if encoding.field == "half_val":
        return stored.astype(np.uint16).view(encoding.dtype)
    if encoding.field in ("scomplex_val", "dcomplex_val"):
        return stored[: len(stored) // 2 * 2].view(encoding.dtype)
    return stored if stored.dtype == encoding.dtype else stored.astype(encoding.dtype)


def _fill(values: Array, encoding: _Encoding, count: int) -> Array:
    """Exactly `count` values, as C++ fills them."""
    if len(values) == count:
        return values
    if len(values) > count:
        return values[:count]
    try:
        missing = np.empty(count - len(values), encoding.dtype)
    except MemoryError as error:
        raise TensorParsingError(str(error)) from error
    missing.fill(values[-1] if len(values) else (b"" if encoding.field == "string_val" else 0))
    return np.concatenate([values, missing])


def _object_array(strings: list[bytes]) -> Array:
    array = np.empty(len(strings), object)
    array[:] = strings
    return array


def to_proto(array: Array, dtype: int, *, as_content: bool = False) -> tensor_pb2.TensorProto:
    """Write a tensor, one entry an element in the dtype's own field, or packed into `tensor_content`."""
    proto = tensor_pb2.TensorProto()
    fill_proto(proto, array, dtype, as_content=as_content)
    return proto


def fill_proto(proto: tensor_pb2.TensorProto, array: Array, dtype: int, *, as_content: bool = False) -> None:
    """Write a tensor into an empty message. See `to_proto`."""
    encoding = _ENCODINGS.get(dtype)
    if encoding is None:
        raise TensorParsingError(f"cannot write dtype {dtype_name(dtype)}")
    proto.dtype = dtype
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if as_content and encoding.field != "string_val":
        proto.tensor_content = array.tobytes()
    elif as_content:
        proto.tensor_content = _join_strings(array.ravel().tolist())
    elif encoding.field in _FIXED_WIDTH:
        # The wire's own form of the field, which is the array's: protobuf would make a Python object of each value.
        number = proto.DESCRIPTOR.fields_by_name[encoding.field].number
        proto.MergeFromString(b"".join(field(number, [array.tobytes()])))
    else:
        getattr(proto, encoding.field).extend(_field_values(array, encoding))


def _join_strings(strings: list[bytes]) -> bytes:
    """TensorFlow's `port::EncodeStringList`."""
    lengths = bytearray()
    for string in strings:
        length = len(string)
        while length >= 0x80:
            lengths.append(length & 0x7F | 0x80)
            length >>= 7
        lengths.append(length)
    return bytes(lengths) + b"".join(strings)


def _field_values(array: Array, encoding: _Encoding) -> list[Any]:
    flat = np.ascontiguousarray(array).ravel()
    if encoding.field == "half_val":
        flat = flat.view(np.uint16)
    elif encoding.field in ("scomplex_val", "dcomplex_val"):
        flat = flat.view(encoding.stored)
    values: list[Any] = flat.tolist()
    return values
