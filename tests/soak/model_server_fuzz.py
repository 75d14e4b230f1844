"""Twenty thousand made-up requests over both doors: no crash, no hang, no INTERNAL, and right answers afterwards.

About half of them are good ones with odd values, the others are anything; the share of answers by code is printed.
`python -m tests.soak.model_server_fuzz [rest] [grpc]`; hypothesis shrinks what fails, which the traceback
shows.
"""

import collections
import gzip
import http.client
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    inference_pb2,
    predict_pb2,
    regression_pb2,
)

from tests import tiny_models
from tests.conformance.models import write_models
from tests.model_server_process import ModelServerProcess
from tests.soak.made_up_grpc_requests import any_grpc_requests, good_grpc_requests
from tests.soak.made_up_rest_requests import RestCall, any_rest_calls, good_rest_calls

REQUESTS_A_DOOR = 10_000
TIMEOUT_S = 30.0
METHODS = {
    predict_pb2.PredictRequest: "Predict",
    classification_pb2.ClassificationRequest: "Classify",
    regression_pb2.RegressionRequest: "Regress",
    inference_pb2.MultiInferenceRequest: "MultiInference",
    get_model_metadata_pb2.GetModelMetadataRequest: "GetModelMetadata",
}


def rest_call(connection: http.client.HTTPConnection, method: str, target: str, body: bytes, encoding: str) -> int:
    """The status; the reply must have been read within the time."""
    packed = gzip.compress(body) if encoding == "gzip" else body
    headers = {"Content-Encoding": encoding.replace("broken", "gzip")} if encoding else {}
    connection.request(method, target, packed, headers)
    response = connection.getresponse()
    response.read()
    return response.status


NEVER = (
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
)


def grpc_call(server: ModelServerProcess, request: Any) -> grpc.StatusCode:
    """The status code of a call; raises what no request may cause."""
    method = METHODS.get(type(request))
    call = getattr(server.client.prediction, method) if method else server.client.model.GetModelStatus
    try:
        call(request, timeout=TIMEOUT_S)
    except grpc.RpcError as error:
        if error.code() in NEVER:
            raise
        return error.code()
    return grpc.StatusCode.OK


def main(doors: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        config = write_models(Path(scratch))
        flags = (
            f"--model_config_file={config}",
            "--allow_version_labels_for_unavailable_models",
            "--prefer_tflite_model",
        )
        server = ModelServerProcess(Path(scratch) / "log", *flags)
        try:
            server.wait_until_ready()
            for door in doors or DOORS:
                report(door, DOORS[door](server))
            assert server.is_running
            response = server.client.prediction.Predict(tiny_models.predict_request("half_plus_two", x=[2.0]))
            assert list(response.outputs["y"].float_val) == [3.0]
            assert "in an unforeseen way" not in server.log
        finally:
            server.kill()
    return 0


def report(door: str, seen: collections.Counter[Any]) -> None:
    """How many answers there were, and the share of each code."""
    total = sum(seen.values())
    shares = ", ".join(f"{code} {count / total:.1%}" for code, count in seen.most_common())
    print(f"{door}: {total} requests: {shares}", flush=True)


thorough = settings(max_examples=REQUESTS_A_DOOR, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def fuzz_rest(server: ModelServerProcess) -> collections.Counter[int]:
    """How often each status was answered."""
    seen: collections.Counter[int] = collections.Counter()
    connection = http.client.HTTPConnection(server.client.rest_address, timeout=TIMEOUT_S)

    @thorough
    @given(st.booleans(), good_rest_calls, any_rest_calls)
    def one(is_good: bool, good: RestCall, anything: RestCall) -> None:
        status = rest_call(connection, *(good if is_good else anything))
        seen[status] += 1
        assert status not in (500, 503, 504), status

    one()
    connection.close()
    return seen


def fuzz_grpc(server: ModelServerProcess) -> collections.Counter[str]:
    """How often each code was answered."""
    seen: collections.Counter[str] = collections.Counter()

    @thorough
    @given(st.booleans(), good_grpc_requests, any_grpc_requests)
    def one(is_good: bool, good: Any, anything: Any) -> None:
        seen[grpc_call(server, good if is_good else anything).name] += 1

    one()
    return seen


DOORS = {"rest": fuzz_rest, "grpc": fuzz_grpc}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
