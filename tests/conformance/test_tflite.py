"""TFLite models through both doors: section 3.8 of the TensorFlow Serving reference.

The server prefers them: `half_in_both` would add 3 as a SavedModel, and adds 2 as the TFLite model beside it.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2

from tests.model_server_process import ModelServerClient
from tests.tiny_models import predict_request

IN = "serving_default_x"  # what the converter calls the input; without a recorded signature it is the alias


def test_the_tflite_model_is_served_rather_than_the_savedmodel(server: ModelServerClient) -> None:
    (output,) = server.prediction.Predict(predict_request("half_in_both", **{IN: [1.0, 2.0]})).outputs.values()
    assert list(output.float_val) == [2.5, 3.0]


def test_without_a_recorded_signature_tensor_names_are_the_aliases(server: ModelServerClient) -> None:
    document = server.http("GET", "/v1/models/half_in_both/metadata").json
    signature = document["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"] == {
        IN: {
            "dtype": "DT_FLOAT",
            "tensor_shape": {"dim": [{"size": "1", "name": ""}], "unknown_rank": False},
            "name": f"{IN}:0",
        }
    }
    assert signature["method_name"] == "tensorflow/serving/predict"


def test_a_recorded_signature_is_served_by_its_name(server: ModelServerClient) -> None:
    response = server.prediction.Predict(predict_request("tflite_with_signature", "halve", x=[2.0]))
    assert (response.model_spec.signature_name, list(response.outputs["y"].float_val)) == ("halve", [3.0])
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "tflite_with_signature"
    signatures = get_model_metadata_pb2.SignatureDefMap()
    server.prediction.GetModelMetadata(request).metadata["signature_def"].Unpack(signatures)
    assert list(signatures.signature_def) == ["halve"]


@pytest.mark.parametrize(
    ("instances", "predictions"),
    [([2], [3.0]), ([1, 2, 5], [2.5, 3.0, 4.5]), ([[1, 2], [3, 4]], [[2.5, 3.0], [3.5, 4.0]])],
)
def test_inputs_are_resized_to_the_request(
    server: ModelServerClient, instances: list[object], predictions: list[object]
) -> None:
    body = {"signature_name": "halve", "instances": instances}
    assert server.http("POST", "/v1/models/tflite_with_signature:predict", body).json == {"predictions": predictions}


def test_concurrent_requests_of_unequal_size_get_their_own_answers(server: ModelServerClient) -> None:
    def ask(size: int) -> list[float]:
        request = predict_request("tflite_with_signature", "halve", x=[float(size)] * size)
        return list(server.prediction.Predict(request, timeout=60).outputs["y"].float_val)

    with ThreadPoolExecutor(8) as callers:
        assert list(callers.map(ask, range(1, 33))) == [[size / 2 + 2] * size for size in range(1, 33)]


def test_strings_go_in_and_out(server: ModelServerClient) -> None:
    request = predict_request("shout_in_tflite")
    request.inputs["serving_default_s"].CopyFrom(tf.make_tensor_proto([b"a\x00", b"\xff", b""]))
    outputs = server.prediction.Predict(request).outputs.values()
    assert sorted([*output.string_val] for output in outputs) == [[b"a\x00", b"\xff"], [b"a\x00", b"\xff", b""]]


def test_a_run_that_fails_spoils_no_later_one(server: ModelServerClient) -> None:
    path = "/v1/models/shout_in_tflite:predict"
    for _ in range(2):
        reply = server.http("POST", path, {"inputs": ["only one"]})
        assert (reply.status, reply.error) == (500, "Failed to invoke TfLite interpreter")
        reply = server.http("POST", path, {"inputs": [["no", "list"]]})
        assert (reply.status, reply.error) == (500, "Failed to allocate tensors")
    assert server.http("POST", path, {"inputs": ["a", "b"]}).status == 200
