import numpy as np
import pytest
from google.protobuf.wrappers_pb2 import Int64Value

from serving.gateway.batches import join
from serving.gateway.joined_request import joined_request
from serving.gateway.tensors import encode
from serving.generated.atelier.modelserver.v1 import model_server_pb2 as wire

SPEC = wire.ModelSpec(name="houses", version=Int64Value(value=300), signature_name="serving_default")
BATCHES = {
    "one number": [{"x": np.array([[1.5]], np.float32)}],
    "several batches": [{"x": np.arange(n * 6, dtype=np.float32).reshape(n, 2, 3)} for n in (1, 4, 2)],
    "several inputs": [{"x": np.ones((n, 2), np.float32), "much longer": np.arange(n)} for n in (3, 1)],
    "not in one piece of memory": [{"x": np.arange(24, dtype=np.float32).reshape(4, 6)[::2, ::3]}] * 2,
    "more than two bytes of length": [{"x": np.full((40, 28, 28), 0.25, np.float32)}] * 3,
    "bytes and words": [{"x": np.array([[0, 255]], np.uint8), "yes": np.array([True])}],
    "no rows": [{"x": np.zeros((0, 3), np.float32)}],
}


@pytest.mark.parametrize("batches", BATCHES.values(), ids=BATCHES)
def test_is_the_message_of_all_rows(batches):
    message = wire.PredictRequest(model_spec=SPEC)
    for name, array in join(batches).items():
        message.inputs[name].CopyFrom(encode(array))

    assert wire.PredictRequest.FromString(joined_request(SPEC, batches)) == message


def test_a_dtype_the_wire_does_not_have_is_named():
    with pytest.raises(TypeError, match="complex64"):
        joined_request(SPEC, [{"x": np.zeros(1, np.complex64)}])
