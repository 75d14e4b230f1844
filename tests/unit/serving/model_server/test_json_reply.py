import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorflow.core.framework import types_pb2

from serving.model_server.json_reply import Output, decimals, predict_document
from serving.model_server.json_request import RequestFormat
from serving.model_server.status import StatusError
from tests.conformance.rows import row


def document(format_: RequestFormat, **outputs: Output) -> str:
    return predict_document(outputs, format_).decode()


def floats(values: object) -> Output:
    return Output(np.array(values, np.float32), types_pb2.DT_FLOAT)


def strings(values: object) -> Output:
    return Output(np.array(values, object), types_pb2.DT_STRING)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_reads_back(value: float) -> None:
    (text,) = decimals(np.array([value], np.float32))
    assert np.float32(text) == np.float32(value)
    assert "." in text or "e" in text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_reads_back(value: float) -> None:
    (text,) = decimals(np.array([value]), types_pb2.DT_DOUBLE)
    assert float(text) == value


def test_a_row_document_breaks_the_line_before_the_last_bracket() -> None:
    assert (
        document(RequestFormat.ROW, y=floats([[1, 2], [3, 4]]))
        == '{\n    "predictions": [[1.0, 2.0], [3.0, 4.0]\n    ]\n}'
    )


def test_an_empty_batch_is_an_empty_list() -> None:
    assert document(RequestFormat.ROW, y=floats(np.zeros((0, 3)))) == '{\n    "predictions": []\n}'
    assert document(RequestFormat.COLUMNAR, y=floats(np.zeros((0, 3)))) == '{\n    "outputs": []\n}'


def test_rows_of_several_outputs_are_objects() -> None:
    assert document(RequestFormat.ROW, a=floats([1]), b=floats([[2, 3]])) == (
        '{\n    "predictions": [\n        {\n            "a": 1.0,\n            "b": [2.0, 3.0]\n        }\n    ]\n}'
    )


def test_bytes_are_objects_that_stand_as_deep_as_they_are() -> None:
    assert document(RequestFormat.ROW, y_bytes=strings([b"\xff"])) == (
        '{\n    "predictions": [{\n            "b64": "/w=="\n        }\n    ]\n}'
    )
    assert document(RequestFormat.COLUMNAR, y_bytes=strings([b"\xff"])) == (
        '{\n    "outputs": [\n        {\n            "b64": "/w=="\n        }\n    ]\n}'
    )


@pytest.mark.parametrize("format_", RequestFormat)
def test_every_document_is_json(format_: RequestFormat) -> None:
    array = np.arange(12).reshape(2, 3, 2)
    text = document(
        format_,
        a=Output(array, types_pb2.DT_INT64),
        b=floats(array),
        c_bytes=strings(array.astype(str).astype("S").astype(object)),
    )
    values = json.loads(text)
    assert (
        values["predictions"][1] if format_ is RequestFormat.ROW else {k: v[1] for k, v in values["outputs"].items()}
    )["a"] == array[1].tolist()


@row("1.5/10", "1.8/21")
@pytest.mark.parametrize(
    ("outputs", "error"),
    [
        ({}, "Cannot convert empty tensor map to JSON"),
        ({"y": floats(1.0)}, "Tensor name: y has no shape information "),
        ({"a": floats([1]), "b": floats([1, 2])}, "Tensor name: b has inconsistent batch size: 2 expecting: 1"),
        ({"y": Output(np.zeros(1, np.float16), types_pb2.DT_HALF)}, "Failed to write JSON value for tensor type: half"),
    ],
)
def test_refuses_what_has_no_row_form(outputs: dict[str, Output], error: str) -> None:
    with pytest.raises(StatusError) as caught:
        predict_document(outputs, RequestFormat.ROW)
    assert caught.value.message == error
