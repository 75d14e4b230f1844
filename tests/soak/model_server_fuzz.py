"""Twenty thousand made-up requests over both doors: no crash, no hang, no INTERNAL, and right answers afterwards.

`python -m tests.soak.model_server_fuzz [rest] [grpc]`; hypothesis shrinks what fails, which the traceback
shows.
"""

import collections
import gzip
import http.client
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tensorflow.core.example import feature_pb2
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    input_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from tests import tiny_models
from tests.conformance.models import write_models
from tests.model_server_process import ModelServerProcess

REQUESTS_A_DOOR = 10_000
TIMEOUT_S = 30.0
# `wait` is left out: it does what it is told, for as long as it is told.
MODELS = ["half_plus_two", "sum_and_diff", "shout", "next_number", "row_times_two", "counter", "two_versions", "nobody"]
SIGNATURES = ["", "serving_default", "regress", "classify", "contract", "echo_int8", "echo_string", "incr_counter", "x"]
INPUTS = ["x", "a", "b", "s", "n", "value", "inputs", "probe", "b64", ""]

numbers = st.one_of(
    st.integers(-(2**70), 2**70), st.integers(-3, 3), st.floats(), st.sampled_from([1e308, 2**31, 2**63])
)
b64 = st.fixed_dictionaries({"b64": st.sampled_from(["aGk=", "", "!", "AAAA"])})
leaves = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=8), b64)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(INPUTS), inner, max_size=3),
    max_leaves=12,
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "instances": values,
        "inputs": values,
        "examples": values,
        "context": values,
        "signature_name": st.sampled_from(SIGNATURES) | values,
    },
)
good_bodies = st.fixed_dictionaries({"instances": st.lists(st.integers(-3, 3), min_size=1, max_size=4)})


def damaged(body: bytes, damage: list[tuple[int, int]]) -> bytes:
    """The body with some bytes changed."""
    changed = bytearray(body)
    for position, byte in damage:
        changed[position % len(changed)] = byte
    return bytes(changed)


written = (good_bodies | documents | values).map(lambda document: json.dumps(document).encode())
rest_bodies = st.one_of(
    good_bodies.map(lambda document: json.dumps(document).encode()),
    written,
    st.builds(damaged, written, st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=2)),
    st.binary(max_size=64),
)


rest_targets = st.one_of(
    st.sampled_from(MODELS).map("/v1/models/{}:predict".format),
    st.builds(
        "/v1/models/{}{}{}".format,
        st.sampled_from(MODELS),
        st.sampled_from(
            ["", "/versions/1", "/versions/99999999999999999999", "/labels/stable", "/metadata", "/versions/"]
        ),
        st.sampled_from([":predict", ":classify", ":regress", "", ":", "%00", "?a"]),
    ),
    st.text("/v1modelshf:%20?&#\\\"'<>", max_size=30).map(lambda text: "/" + text),
)


def rest_call(connection: http.client.HTTPConnection, method: str, target: str, body: bytes, encoding: str) -> int:
    """The status; the reply must have been read within the time."""
    packed = gzip.compress(body) if encoding == "gzip" else body
    headers = {"Content-Encoding": encoding.replace("broken", "gzip")} if encoding else {}
    connection.request(method, target, packed, headers)
    response = connection.getresponse()
    response.read()
    return response.status


specs = st.builds(model_pb2.ModelSpec, name=st.sampled_from([*MODELS, ""]), signature_name=st.sampled_from(SIGNATURES))
int64s = st.integers(-(2**63), 2**63 - 1)
# Shapes in between would be answered too, but with gigabytes of zeros.
sizes = st.sampled_from([-1, 0, 1, 1, 2, 2, 3, 7, 100, 2**40, 2**62])


@st.composite
def tensors(draw: st.DrawFn) -> tensor_pb2.TensorProto:
    """A TensorProto: any dtype, a shape, and values in one field or more, which need not fit."""
    proto = tensor_pb2.TensorProto(dtype=draw(st.sampled_from([1, 1, 3, 7, 9]) | st.integers(0, 30)))  # type: ignore[arg-type]
    for size in draw(st.lists(sizes, max_size=3)):
        proto.tensor_shape.dim.add(size=size)
    proto.float_val.extend(draw(st.lists(st.floats(width=32), max_size=4)))
    for field, elements in (
        ("int_val", st.integers(-(2**31), 2**31 - 1)),
        ("int64_val", int64s),
        ("string_val", st.binary(max_size=4)),
        ("bool_val", st.booleans()),
        ("half_val", st.integers(0, 2**31 - 1)),
    ):
        if draw(st.integers(0, 3)) == 0:
            getattr(proto, field).extend(draw(st.lists(elements, max_size=4)))
    if draw(st.integers(0, 4)) == 0:
        proto.tensor_content = draw(st.binary(max_size=16))
    return proto


@st.composite
def inputs(draw: st.DrawFn) -> input_pb2.Input:
    """Examples whose features are of any kind."""
    message = input_pb2.Input()
    for _ in range(draw(st.integers(0, 3))):
        example = message.example_list.examples.add()
        kind = draw(st.sampled_from(["float_list", "int64_list", "bytes_list", "none"]))
        feature = feature_pb2.Feature()
        if kind != "none":
            elements = {"float_list": st.floats(width=32), "int64_list": int64s, "bytes_list": st.binary(max_size=4)}
            getattr(feature, kind).value.extend(draw(st.lists(elements[kind], max_size=3)))
        example.features.feature[draw(st.sampled_from(INPUTS))].CopyFrom(feature)
    return message


tasks = st.lists(
    st.builds(
        inference_pb2.InferenceTask,
        model_spec=specs,
        method_name=st.sampled_from(["tensorflow/serving/classify", "tensorflow/serving/regress", "x", ""]),
    ),
    max_size=3,
)
grpc_requests = st.one_of(
    st.builds(
        predict_pb2.PredictRequest,
        model_spec=specs,
        inputs=st.dictionaries(st.sampled_from(INPUTS), tensors(), max_size=2),
        output_filter=st.lists(st.sampled_from(["y", "sum", ""]), max_size=2),
    ),
    st.builds(classification_pb2.ClassificationRequest, model_spec=specs, input=inputs()),
    st.builds(regression_pb2.RegressionRequest, model_spec=specs, input=inputs()),
    st.builds(inference_pb2.MultiInferenceRequest, tasks=tasks, input=inputs()),
    st.builds(
        get_model_metadata_pb2.GetModelMetadataRequest,
        model_spec=specs,
        metadata_field=st.lists(st.sampled_from(["signature_def", "x"]), max_size=2),
    ),
    st.builds(get_model_status_pb2.GetModelStatusRequest, model_spec=specs),
)
METHODS = {
    predict_pb2.PredictRequest: "Predict",
    classification_pb2.ClassificationRequest: "Classify",
    regression_pb2.RegressionRequest: "Regress",
    inference_pb2.MultiInferenceRequest: "MultiInference",
    get_model_metadata_pb2.GetModelMetadataRequest: "GetModelMetadata",
}


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
        flags = (f"--model_config_file={config}", "--allow_version_labels_for_unavailable_models")
        server = ModelServerProcess(Path(scratch) / "log", *flags)
        try:
            server.wait_until_ready()
            for door in doors or DOORS:
                print(f"{door}: {dict(DOORS[door](server))}", flush=True)
            assert server.is_running
            response = server.client.prediction.Predict(tiny_models.predict_request("half_plus_two", x=[2.0]))
            assert list(response.outputs["y"].float_val) == [3.0]
            assert "in an unforeseen way" not in server.log
        finally:
            server.kill()
    return 0


thorough = settings(max_examples=REQUESTS_A_DOOR, deadline=None, database=None, suppress_health_check=list(HealthCheck))


def fuzz_rest(server: ModelServerProcess) -> collections.Counter[int]:
    """How often each status was answered."""
    seen: collections.Counter[int] = collections.Counter()
    connection = http.client.HTTPConnection(server.client.rest_address, timeout=TIMEOUT_S)

    @thorough
    @given(
        st.sampled_from([*["POST"] * 6, "GET", "PUT", "OPTIONS"]),
        rest_targets,
        rest_bodies,
        st.sampled_from([*[""] * 6, "gzip", "broken"]),
    )
    def one(method: str, target: str, body: bytes, encoding: str) -> None:
        status = rest_call(connection, method, target, body, encoding)
        seen[status] += 1
        assert status not in (500, 503, 504), status

    one()
    connection.close()
    return seen


def fuzz_grpc(server: ModelServerProcess) -> collections.Counter[str]:
    """How often each code was answered."""
    seen: collections.Counter[str] = collections.Counter()

    @thorough
    @given(grpc_requests)
    def one(request: Any) -> None:
        seen[grpc_call(server, request).name] += 1

    one()
    return seen


DOORS = {"rest": fuzz_rest, "grpc": fuzz_grpc}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
