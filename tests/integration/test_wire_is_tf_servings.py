"""Our messages' bytes are TensorFlow Serving's: both are loaded into this process, and each reads the other's."""

import numpy as np
import pytest

from serving.gateway import tensors
from serving.gateway.model_server_client import GET_MODEL_STATUS, PREDICT
from serving.generated.atelier.modelserver.v1 import model_server_pb2 as ours

ARRAYS = {
    "float": np.array([[1.5, -2.0], [0.0, 1e30]], np.float32),
    "double": np.array([1.5, -2.5]),
    "int32": np.array([[-1, 2]], np.int32),
    "int64": np.array([2**40, -1]),
    "uint8": np.array([0, 255], np.uint8),
    "bool": np.array([[True], [False]]),
    "string": np.array([b"", b"\xff\x00", b"{}"], object),
    "empty": np.zeros((0, 3), np.float32),
    "scalar": np.array(7, np.float32),
}


@pytest.fixture(scope="module")
def theirs():
    """tensorflow-serving-api's modules; importing them takes seconds and all of TensorFlow."""
    import tensorflow as tf
    from tensorflow_serving.apis import (
        get_model_status_pb2,
        model_service_pb2_grpc,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

    class Theirs:
        make_tensor, read_tensor = staticmethod(tf.make_tensor_proto), staticmethod(tf.make_ndarray)
        tensor = tf.core.framework.tensor_pb2.TensorProto if hasattr(tf, "core") else type(tf.make_tensor_proto(0))
        predict, status = predict_pb2, get_model_status_pb2
        prediction_stub = prediction_service_pb2_grpc.PredictionServiceStub
        model_stub = model_service_pb2_grpc.ModelServiceStub

    return Theirs


def as_bytes(message) -> bytes:
    return message.SerializeToString(deterministic=True)


@pytest.mark.parametrize("name", ARRAYS)
def test_a_tensor_of_ours_is_the_same_array_to_tensorflow(theirs, name):
    array = ARRAYS[name]

    read = theirs.read_tensor(theirs.tensor.FromString(as_bytes(tensors.encode(array))))

    np.testing.assert_array_equal(array, read)
    assert (array.dtype, array.shape) == (read.dtype, read.shape)


@pytest.mark.parametrize("name", ARRAYS)
def test_a_tensor_of_tensorflows_is_the_same_array_to_us(theirs, name):
    array = ARRAYS[name]

    read = tensors.decode(ours.Tensor.FromString(as_bytes(theirs.make_tensor(array, shape=array.shape))))

    np.testing.assert_array_equal(array, read)
    assert (array.dtype, array.shape) == (read.dtype, read.shape)


@pytest.mark.parametrize("name", ["float", "double", "int32", "int64", "uint8", "string"])
def test_a_tensor_has_the_same_bytes(theirs, name):
    """Of what TensorFlow packs as we do; booleans and single values it keeps in typed fields, which says the same."""
    array = ARRAYS[name]

    assert as_bytes(theirs.make_tensor(array)) == as_bytes(tensors.encode(array))


def filled(messages, tensor, wrapper):
    """A request with every field the gateway uses, of either side."""
    spec = {"name": "fashion", "version": wrapper, "signature_name": "serving_default"}
    request = messages.PredictRequest(model_spec=spec, output_filter=["probabilities"])
    request.inputs["pixels"].CopyFrom(tensor)
    request.inputs["more"].CopyFrom(tensor)
    return request


def test_a_predict_request_has_the_same_bytes(theirs):
    array = ARRAYS["float"]
    mine = filled(ours, tensors.encode(array), {"value": 2**40})
    their = filled(theirs.predict, theirs.make_tensor(array), {"value": 2**40})

    assert as_bytes(mine) == as_bytes(their)
    assert theirs.predict.PredictRequest.FromString(as_bytes(mine)) == their
    assert ours.PredictRequest.FromString(as_bytes(their)) == mine


def test_a_version_label_has_the_same_bytes(theirs):
    spec = {"name": "fashion", "version_label": "stable"}

    assert as_bytes(ours.PredictRequest(model_spec=spec)) == as_bytes(theirs.predict.PredictRequest(model_spec=spec))


def test_a_predict_response_reads_the_same(theirs):
    their = theirs.predict.PredictResponse(model_spec={"name": "fashion", "version": {"value": 3}})
    their.outputs["probabilities"].dtype = 1
    their.outputs["probabilities"].tensor_shape.dim.add(size=2)
    their.outputs["probabilities"].float_val.extend([0.25, 0.75])

    mine = ours.PredictResponse.FromString(as_bytes(their))

    assert as_bytes(mine) == as_bytes(their)
    np.testing.assert_array_equal(np.array([0.25, 0.75], np.float32), tensors.decode(mine.outputs["probabilities"]))


@pytest.mark.parametrize("state", ["UNKNOWN", "START", "LOADING", "AVAILABLE", "UNLOADING", "END"])
def test_a_status_reads_the_same(theirs, state):
    their = theirs.status.GetModelStatusResponse(
        model_version_status=[
            {"version": 2**40, "state": state, "status": {"error_code": "NOT_FOUND", "error_message": "gone"}}
        ]
    )
    mine = ours.GetModelStatusResponse.FromString(as_bytes(their))

    name = ours.State.Name(mine.model_version_status[0].state)
    assert name == ("STATE_UNSPECIFIED" if state == "UNKNOWN" else f"STATE_{state}")
    assert mine.model_version_status[0].status.error_code == 5
    assert as_bytes(mine) == as_bytes(their)


def test_a_status_request_has_the_same_bytes(theirs):
    spec = {"name": "fashion"}

    assert as_bytes(ours.GetModelStatusRequest(model_spec=spec)) == as_bytes(
        theirs.status.GetModelStatusRequest(model_spec=spec)
    )


def test_every_enum_value_has_their_number(theirs):
    import tensorflow as tf

    for name, number in ours.DataType.items():
        short = name.removeprefix("DATA_TYPE_")
        if short != "UNSPECIFIED":
            assert tf.dtypes.DType(number).name == {"FLOAT": "float32", "DOUBLE": "float64"}.get(short, short.lower())


def test_the_paths_are_those_their_stubs_call(theirs):
    paths = []

    class Channel:
        def unary_unary(self, path, **_):
            paths.append(path)

    theirs.prediction_stub(Channel())
    theirs.model_stub(Channel())

    assert {PREDICT, GET_MODEL_STATUS} <= set(paths)
