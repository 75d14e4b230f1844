"""Rows of the wire are held by tests/conformance; here is what only the pure function can be asked."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from serving.model_server.json_request import RequestFormat, parse_predict_request
from serving.model_server.json_tensor import IrregularValue, decode_b64_object, read_dense, read_item
from serving.model_server.json_writer import to_bytes
from serving.model_server.status import StatusError
from tests.conformance.rows import row


def infos(**dtypes: int) -> dict[str, Any]:
    return {name: meta_graph_pb2.TensorInfo(dtype=dtype) for name, dtype in dtypes.items()}


def request(body: str, **dtypes: int) -> Any:
    return parse_predict_request(to_bytes(body), lambda _: infos(**dtypes or {"x": types_pb2.DT_FLOAT}))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-300, 2**64) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=8,
)
DTYPES = [
    types_pb2.DT_FLOAT,
    types_pb2.DT_UINT8,
    types_pb2.DT_INT64,
    types_pb2.DT_UINT64,
    types_pb2.DT_BOOL,
    types_pb2.DT_STRING,
]


@given(JSON_VALUES, st.sampled_from(DTYPES))
def test_the_quick_way_and_the_thorough_way_agree(value: Any, dtype: int) -> None:
    """Whatever is converted whole could have been walked, and what is walked in vain is never converted."""
    try:
        array = read_dense(value, dtype)
    except IrregularValue:
        return
    shape, flat = read_item(value, dtype)
    assert array.shape == shape
    assert array.size == len(flat)


@given(
    hnp.arrays(
        np.float32, hnp.array_shapes(max_side=3), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
    )
)
def test_arrays_come_through_both_formats(array: np.ndarray) -> None:
    for key in ("instances", "inputs"):
        read = request(f'{{"{key}": {array.tolist()}}}')
        assert read.format is RequestFormat(key)
        np.testing.assert_array_equal(read.inputs["x"], array)


def test_named_rows_become_one_tensor_an_input() -> None:
    read = request(
        '{"instances": [{"a": 1, "b": [1, 2]}, {"b": [3, 4], "a": 2}]}', a=types_pb2.DT_INT32, b=types_pb2.DT_FLOAT
    )
    assert {name: array.tolist() for name, array in read.inputs.items()} == {"a": [1, 2], "b": [[1, 2], [3, 4]]}


def test_the_signature_is_asked_for_by_its_name() -> None:
    asked = []

    def inputs_of(name: str) -> dict[str, Any]:
        asked.append(name)
        return infos(x=types_pb2.DT_FLOAT)

    parse_predict_request(b'{"signature_name": "s", "inputs": 1}', inputs_of)
    assert asked == ["s"]


def test_a_signature_without_inputs_cannot_be_called() -> None:
    with pytest.raises(StatusError, match="Failed to get input map for signature: DEFAULT"):
        parse_predict_request(b'{"inputs": 1}', lambda _: {})


def test_b64_rows_are_the_first_input_alone_however_many_there_are() -> None:
    """As in the original, where Predict then says which inputs are missing."""
    inputs = request(
        '{"instances": [{"b64": "aGk="}, {"b64": ""}]}', a=types_pb2.DT_STRING, b=types_pb2.DT_STRING
    ).inputs
    assert {name: array.tolist() for name, array in inputs.items()} == {"a": [b"hi", b""]}


@row("1.4/18")
@pytest.mark.parametrize(("text", "data"), [("aGk=", b"hi"), ("aGk", b"hi"), (" aG\nk= ", b"hi"), ("", b"")])
def test_base64_needs_no_padding_and_takes_white_space(text: str, data: bytes) -> None:
    assert decode_b64_object({"b64": text}) == data


@pytest.mark.parametrize("text", ["a", "aGk==", "aG=k", "a-_k"])
def test_bad_base64_is_refused(text: str) -> None:
    with pytest.raises(StatusError, match="Unable to base64 decode"):
        decode_b64_object({"b64": text})
