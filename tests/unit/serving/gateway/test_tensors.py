import numpy as np
import pytest

from serving.gateway.tensors import decode, encode
from serving.generated.atelier.modelserver.v1 import model_server_pb2 as wire
from tests.fakes import in_typed_field

ARRAYS = [
    np.array([[1.5, -2.0, 1e30]], np.float32),
    np.array([1.5, 2.5], np.float64),
    np.array([[[-1], [2]]], np.int32),
    np.array([2**40, -1], np.int64),
    np.array([0, 255], np.uint8),
    np.array([True, False]),
    np.array([b"", b"\xff\x00"], object),
    np.zeros((0, 3), np.float32),
    np.float32(7).reshape(()),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{list(array.shape)}")
def test_an_array_comes_back_as_it_was(array):
    back = decode(encode(array))

    assert (array.dtype, array.shape) == (back.dtype, back.shape)
    np.testing.assert_array_equal(array, back)


@pytest.mark.parametrize(
    ("dtype", "field", "values", "expected"),
    [
        (wire.DATA_TYPE_FLOAT, "float_val", np.array([1.5, 2.5], "<f4").tobytes(), np.array([1.5, 2.5], np.float32)),
        (wire.DATA_TYPE_DOUBLE, "double_val", np.array([1.5, 2.5], "<f8").tobytes(), np.array([1.5, 2.5])),
        (wire.DATA_TYPE_INT32, "int_val", [1, 2], np.array([1, 2], np.int32)),
        (wire.DATA_TYPE_UINT8, "int_val", [1, 255], np.array([1, 255], np.uint8)),
        (wire.DATA_TYPE_INT64, "int64_val", [1, 2**40], np.array([1, 2**40])),
        (wire.DATA_TYPE_BOOL, "bool_val", [True, False], np.array([True, False])),
        (wire.DATA_TYPE_STRING, "string_val", [b"a", b"b"], np.array([b"a", b"b"], object)),
    ],
)
def test_reads_the_typed_fields_that_tensorflow_serving_replies_in(dtype, field, values, expected):
    shape = wire.TensorShape(dim=[wire.TensorShape.Dim(size=2)])
    tensor = wire.Tensor(dtype=dtype, tensor_shape=shape, **{field: values})

    back = decode(tensor)

    assert expected.dtype == back.dtype
    np.testing.assert_array_equal(expected, back)


def test_one_value_stands_for_all_of_a_constant_tensor():
    tensor = in_typed_field(np.zeros((2, 3), np.float32))
    tensor.float_val = tensor.float_val[:4]

    np.testing.assert_array_equal(np.zeros((2, 3), np.float32), decode(tensor))


@pytest.mark.parametrize(
    "tensor",
    [
        wire.Tensor(dtype=wire.DATA_TYPE_UNSPECIFIED),
        wire.Tensor(dtype=99),
        wire.Tensor(
            dtype=wire.DATA_TYPE_FLOAT,
            tensor_shape=wire.TensorShape(dim=[wire.TensorShape.Dim(size=3)]),
            float_val=bytes(8),
        ),
        wire.Tensor(
            dtype=wire.DATA_TYPE_FLOAT,
            tensor_shape=wire.TensorShape(dim=[wire.TensorShape.Dim(size=3)]),
            tensor_content=b"1234567",
        ),
        wire.Tensor(
            dtype=wire.DATA_TYPE_FLOAT,
            tensor_shape=wire.TensorShape(dim=[wire.TensorShape.Dim(size=1)]),
            float_val=b"12345",
        ),
    ],
    ids=["no dtype", "unknown dtype", "too few values", "bytes of no float", "part of a float"],
)
def test_a_message_that_is_no_tensor_is_a_value_error(tensor):
    with pytest.raises(ValueError, match=r"expected a dtype|reshape|buffer size"):
        decode(tensor)


def test_a_dtype_the_wire_lacks_is_refused():
    with pytest.raises(TypeError, match="got complex64"):
        encode(np.zeros(1, np.complex64))
