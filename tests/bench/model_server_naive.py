"""What one would write first: a gRPC server around `tf.saved_model.load`. The measure for `tests.bench.model_server`.

`python -m tests.bench.model_server_naive VERSION_DIRECTORY PORT`
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

THREADS = 16  # calls at a time


class NaivePredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, by TensorFlow's public functions alone."""

    def __init__(self, path: str) -> None:
        self._model = tf.saved_model.load(path)
        self._predict = self._model.signatures["serving_default"]

    def Predict(self, request: Any, context: grpc.ServicerContext) -> predict_pb2.PredictResponse:  # noqa: N802
        """Answer one call."""
        inputs = {name: tf.constant(tf.make_ndarray(proto)) for name, proto in request.inputs.items()}
        response = predict_pb2.PredictResponse()
        for name, tensor in self._predict(**inputs).items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(tensor.numpy()))
        return response


def main(path: str, port: str) -> None:
    server = grpc.server(ThreadPoolExecutor(THREADS))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(NaivePredictionService(path), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
