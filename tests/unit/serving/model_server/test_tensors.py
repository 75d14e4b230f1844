"""Our reading of TensorProto is TensorFlow's: held against `tf.io.parse_tensor`, which is C++ `Tensor::FromProto`."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving.model_server.tensors import TensorParsingError, base_dtype, dtype_name, to_array, to_proto

FIELDS = {
    "float_val": st.floats(width=32),
    "double_val": st.floats(),
    "int_val": st.integers(-(2**31), 2**31 - 1),
    "int64_val": st.integers(-(2**63), 2**63 - 1),
    "uint32_val": st.integers(0, 2**32 - 1),
    "uint64_val": st.integers(0, 2**64 - 1),
    "bool_val": st.booleans(),
    "half_val": st.integers(0, 65535),
    "scomplex_val": st.floats(width=32),
    "dcomplex_val": st.floats(),
    "string_val": st.binary(max_size=5),
}
DTYPES = {
    "DT_FLOAT": "float_val",
    "DT_DOUBLE": "double_val",
    "DT_INT8": "int_val",
    "DT_INT16": "int_val",
    "DT_INT32": "int_val",
    "DT_UINT8": "int_val",
    "DT_UINT16": "int_val",
    "DT_INT64": "int64_val",
    "DT_UINT32": "uint32_val",
    "DT_UINT64": "uint64_val",
    "DT_BOOL": "bool_val",
    "DT_HALF": "half_val",
    "DT_BFLOAT16": "half_val",
    "DT_COMPLEX64": "scomplex_val",
    "DT_COMPLEX128": "dcomplex_val",
    "DT_STRING": "string_val",
    "DT_INVALID": "float_val",
}


@st.composite
def tensor_protos(draw: Any) -> tensor_pb2.TensorProto:
    """Anything a client might send: the right field mostly, any number of values, any shape, some content."""
    dtype = draw(st.sampled_from(sorted(DTYPES)))
    proto = tensor_pb2.TensorProto(dtype=types_pb2.DataType.Value(dtype))
    field = draw(st.sampled_from([DTYPES[dtype]] * 9 + list(FIELDS)))
    getattr(proto, field).extend(draw(st.lists(FIELDS[field], max_size=7)))
    for size in draw(st.lists(st.integers(-1, 4), max_size=3)):
        proto.tensor_shape.dim.add(size=size)
    proto.tensor_shape.unknown_rank = draw(st.booleans())
    if draw(st.integers(0, 3)) == 0:
        proto.tensor_content = draw(st.binary(max_size=12))
    return proto


def as_tensorflow_reads_it(proto: tensor_pb2.TensorProto) -> np.ndarray | None:
    try:
        value = tf.io.parse_tensor(proto.SerializeToString(), proto.dtype or tf.float32).numpy()
    except (tf.errors.InvalidArgumentError, tf.errors.InternalError):
        return None
    return np.asarray(value, object if isinstance(value, bytes) else None)


@settings(max_examples=1500)
@given(tensor_protos())
def test_reads_what_tensorflow_reads(proto: tensor_pb2.TensorProto) -> None:
    expected = as_tensorflow_reads_it(proto)
    if expected is None:
        with pytest.raises(TensorParsingError):
            to_array(proto)
        return
    array = to_array(proto)
    assert (array.dtype, array.shape) == (expected.dtype, expected.shape)
    if array.dtype == object:
        assert array.tolist() == expected.tolist()
    else:
        assert array.tobytes() == expected.tobytes()  # bit by bit: NaN is NaN


@pytest.mark.parametrize("as_content", [False, True])
@pytest.mark.parametrize("dtype", sorted(set(DTYPES) - {"DT_INVALID"}))
def test_tensorflow_reads_what_we_write(dtype: str, as_content: bool) -> None:
    number = types_pb2.DataType.Value(dtype)
    values = {"DT_STRING": [[b"a" * 300, b""]], "DT_BOOL": [[True, False]]}.get(dtype, [[1, 2]])
    array = np.array(values, tf.as_dtype(number).as_numpy_dtype)
    proto = to_proto(array, number, as_content=as_content)
    assert bool(proto.tensor_content) == as_content
    assert tf.io.parse_tensor(proto.SerializeToString(), number).numpy().tolist() == array.tolist()


def test_a_transposed_array_is_written_in_its_own_order() -> None:
    array = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32).T
    assert list(to_proto(array, types_pb2.DT_FLOAT).float_val) == [1, 3, 2, 4]


@pytest.mark.parametrize("shape", [(2**62,), (2**31, 2**31), (0, 2**62)])
@pytest.mark.parametrize("dtype", [types_pb2.DT_FLOAT, types_pb2.DT_STRING, types_pb2.DT_COMPLEX128])
def test_a_shape_that_no_memory_could_hold_is_refused(dtype: types_pb2.DataType, shape: tuple[int, ...]) -> None:
    proto = tensor_pb2.TensorProto(dtype=dtype)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    with pytest.raises(TensorParsingError, match="too many elements"):
        to_array(proto)


def test_cut_off_string_content_is_refused() -> None:
    for content in (b"\x80", b"\x05ab", b"\x01abc"):
        proto = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, tensor_content=content)
        with pytest.raises(TensorParsingError):
            to_array(proto)


def test_names_are_those_of_c_plus_plus() -> None:
    names = {
        dtype_name(types_pb2.DataType.Value(d)) for d in ("DT_FLOAT", "DT_DOUBLE", "DT_HALF", "DT_INT32", "DT_STRING")
    }
    assert names == {"float", "double", "half", "int32", "string"}


def test_references_have_the_dtype_of_their_value() -> None:
    assert base_dtype(types_pb2.DT_FLOAT_REF) == types_pb2.DT_FLOAT
    assert base_dtype(types_pb2.DT_FLOAT) == types_pb2.DT_FLOAT
