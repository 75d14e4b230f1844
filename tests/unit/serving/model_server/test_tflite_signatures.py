"""What a TFLite file says of its signatures, and what is made up where it says nothing."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.lite.python import schema_py_generated as schema

from serving.model_server.status import Code, StatusError
from serving.model_server.tflite_signatures import tflite_signatures
from tests.tiny_models import with_signatures


def tensor(name: str, dtype: Any = np.float32, shape: tuple[int, ...] = (1,)) -> Mapping[str, Any]:
    """What an interpreter tells of a tensor."""
    return {"name": name, "dtype": dtype, "shape": np.array(shape, np.int32)}


def recorded(**tensors: str) -> bytes:
    """A file with the signature `s` of one input `x` and one output `y`."""
    signature = meta_graph_pb2.SignatureDef()
    signature.inputs["x"].name, signature.outputs["y"].name = tensors["x"], tensors["y"]
    return with_signatures(schema.ModelT(), {"s": signature.SerializeToString()})


def test_a_recorded_signature_is_taken() -> None:
    signatures = tflite_signatures(recorded(x="in", y="out"), [tensor("in")], [tensor("out")])
    assert list(signatures) == ["s"]
    assert (signatures["s"].inputs["x"].name, signatures["s"].outputs["y"].name) == ("in", "out")


def test_names_with_an_index_fit_tensors_without_one() -> None:
    signature = tflite_signatures(recorded(x="in:0", y="out:0"), [tensor("in")], [tensor("out:0")])["s"]
    assert (signature.inputs["x"].name, signature.outputs["y"].name) == ("in", "out:0")


def test_a_signature_of_unknown_tensors_is_refused() -> None:
    with pytest.raises(StatusError, match="Signature output y references an unknown tensor: Unknown tensor 'other'"):
        tflite_signatures(recorded(x="in", y="other:0"), [tensor("in")], [tensor("out")])


def test_without_a_recorded_one_the_tensors_make_a_signature() -> None:
    model = with_signatures(schema.ModelT(), {})
    signatures = tflite_signatures(model, [tensor("in:0", np.bytes_)], [tensor("out:0", np.int64, (1, 10))])
    signature = signatures["serving_default"]
    assert signature.method_name == "tensorflow/serving/predict"
    assert (signature.inputs["in"].name, signature.inputs["in"].dtype) == ("in:0", types_pb2.DT_STRING)
    output = signature.outputs["out"]
    assert (output.name, output.dtype) == ("out:0", types_pb2.DT_INT64)
    assert [dim.size for dim in output.tensor_shape.dim] == [1, 10]


def test_two_inputs_of_one_name_are_refused() -> None:
    with pytest.raises(StatusError, match="Input tensor name: in has multiple indices") as caught:
        tflite_signatures(with_signatures(schema.ModelT(), {}), [tensor("in"), tensor("in")], [])
    assert caught.value.code is Code.ALREADY_EXISTS


def test_what_is_no_signature_is_refused() -> None:
    with pytest.raises(StatusError, match="Invalid SignatureDefs found in TfLite model"):
        tflite_signatures(with_signatures(schema.ModelT(), {"s": b"no SignatureDef"}), [], [])
