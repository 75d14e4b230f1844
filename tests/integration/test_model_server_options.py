"""One model server with everything switched on: batching, monitoring, health. And TLS."""

import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import wrappers_pb2
from prometheus_client.parser import text_string_to_metric_families
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_pb2,
    prediction_service_pb2_grpc,
)

from tests import tiny_models
from tests.conformance.rows import row
from tests.model_server_in_process import ModelServerInProcess
from tests.model_server_process import ModelServerProcess, write_model_config

METRICS = "/monitoring/prometheus/metrics"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServerProcess]:
    base = tmp_path_factory.mktemp("options")
    models = {"half": base / "half", "rows": base / "rows", "two": base / "two"}
    tiny_models.publish(tiny_models.half_plus_two, models["half"], 1)
    tiny_models.publish(tiny_models.row_times_two, models["rows"], 1)
    tiny_models.publish(tiny_models.sum_and_diff, models["two"], 1)
    (base / "batching").write_text(
        "max_batch_size { value: 8 } batch_timeout_micros { value: 100000 } allowed_batch_sizes: 4 "
        'allowed_batch_sizes: 8 num_batch_threads { value: 2 } thread_pool_name { value: "pool" }'
    )
    (base / "monitoring").write_text("prometheus_config { enable: true }")
    process = ModelServerProcess(
        base / "log",
        f"--model_config_file={write_model_config(base / 'config', models)}",
        "--enable_batching",
        f"--batching_parameters_file={base / 'batching'}",
        f"--monitoring_config_file={base / 'monitoring'}",
        "--enable_grpc_healthcheck_service",
        "--grpc_max_threads=16",
    )
    try:
        yield process.wait_until_ready()
    finally:
        process.kill()


def samples(server: ModelServerProcess) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What Prometheus reads: (name, labels) -> value."""
    reply = server.client.http("GET", METRICS)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/plain")
    return {
        (sample.name.removeprefix(":tensorflow:serving:"), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(reply.body.decode())
        for sample in family.samples
    }


def value(all_samples: Any, name: str, **labels: str) -> float:
    return all_samples.get((name, tuple(sorted(labels.items()))), 0.0)


def predict(server: ModelServerProcess, number: float) -> float:
    response = server.client.prediction.Predict(tiny_models.predict_request("half", x=[number]), timeout=60)
    return response.outputs["y"].float_val[0]


@row("3.2/4", "4/11")
def test_concurrent_calls_share_runs_and_each_gets_its_own_answer(server: ModelServerProcess) -> None:
    before = samples(server)
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda number: predict(server, float(number)), range(64)))
    assert answers == [number / 2 + 2 for number in range(64)]
    after = samples(server)
    runs = value(after, "batching_session:wrapped_run_count_total") - value(
        before, "batching_session:wrapped_run_count_total"
    )
    assert 8 <= runs < 64
    sizes = [
        value(after, "batching_session:input_batch_size_count")
        - value(before, "batching_session:input_batch_size_count"),
        value(after, "batching_session:queuing_latency_count", thread_pool_name="pool")
        - value(before, "batching_session:queuing_latency_count", thread_pool_name="pool"),
    ]
    assert sizes == [64, 64]


def test_the_contract_can_be_asked_for_with_batching(server: ModelServerProcess) -> None:
    request = tiny_models.predict_request("half", "contract", probe=[0, 0])
    values = server.client.prediction.Predict(request, timeout=60).outputs["contract"].string_val
    assert list(values) == [tiny_models.CONTRACT] * 2


@row("3.7/3", "3.7/6")
@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"inputs": 1}, "Batching Run() input tensors must have at least one dimension"),
        ({"inputs": list(range(9))}, "Task size 9 is larger than maximum input batch size 8"),
    ],
)
def test_what_cannot_be_batched_is_refused(server: ModelServerProcess, body: Any, error: str) -> None:
    reply = server.client.http("POST", "/v1/models/half:predict", body)
    assert (reply.status, reply.error) == (400, error)


@row("3.7/3")
def test_inputs_of_a_batch_must_be_equally_long(server: ModelServerProcess) -> None:
    reply = server.client.http("POST", "/v1/models/two:predict", {"inputs": {"a": [1], "b": [1, 2]}})
    assert (reply.status, reply.error) == (
        400,
        "Batching Run() input tensors must have equal 0th-dimension size",
    )


@row("3.7/5")
def test_outputs_must_have_the_batch_dimension(server: ModelServerProcess) -> None:
    body = {"signature_name": "scalar", "inputs": [[1, 2]]}
    reply = server.client.http("POST", "/v1/models/rows:predict", body)
    assert (reply.status, reply.error) == (400, "Batched output tensor has 0 dimensions")


@row("4/5", "4/6", "4/7")
def test_requests_are_counted_by_status_and_timed_if_they_succeed(server: ModelServerProcess) -> None:
    before = samples(server)
    predict(server, 1.0)
    server.client.http("POST", "/v1/models/half:predict", {"instances": [1]})
    server.client.http("POST", "/v1/models/half:predict", {})
    server.client.http("GET", "/v1/models/half")
    with pytest.raises(grpc.RpcError):
        server.client.prediction.Predict(tiny_models.predict_request("nobody", x=[1.0]))
    server.client.http("GET", "/v1/models/half:predict")
    after = samples(server)

    def moved(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert moved("request_count_total", model_name="half", status="OK") == 3
    assert moved("request_count_total", model_name="half", status="INVALID_ARGUMENT") == 1
    assert moved("request_count_total", model_name="nobody", status="NOT_FOUND") == 1
    assert moved("request_count_total", model_name="", status="INVALID_ARGUMENT") == 1
    assert moved("request_latency_count", model_name="half", API="Predict", entrypoint="GRPC") == 1
    assert moved("request_latency_count", model_name="half", API="predict", entrypoint="REST") == 1
    assert moved("request_latency_count", model_name="half", API="", entrypoint="REST") == 1
    assert moved("runtime_latency_count", model_name="half", API="Predict", runtime="TF1") == 2


@row("4/8", "4/13")
def test_of_other_grpc_calls_only_examples_are_counted(server: ModelServerProcess) -> None:
    before = samples(server)
    task = inference_pb2.InferenceTask(method_name="tensorflow/serving/regress")
    task.model_spec.name, task.model_spec.signature_name = "half", "regress"
    request = inference_pb2.MultiInferenceRequest(tasks=[task])
    for value_ in (1.0, 2.0, 3.0):
        feature = request.input.example_list.examples.add().features.feature["x"]
        feature.float_list.value.append(value_)
    server.client.prediction.MultiInference(request)
    spec = model_pb2.ModelSpec(name="half")
    server.client.prediction.GetModelMetadata(
        get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
    )
    server.client.model.GetModelStatus(get_model_status_pb2.GetModelStatusRequest(model_spec=spec))
    after = samples(server)
    counted = [key for key in after if key[0] == "request_count_total"]
    assert all(after[key] == before.get(key, 0.0) for key in counted)
    for name in ("request_example_counts_sum", "request_example_count_total"):
        assert value(after, name, model="half") - value(before, name, model="half") == 3


@row("4/3", "4/10", "4/14")
def test_every_metric_has_its_type_and_load_attempts_are_counted(server: ModelServerProcess) -> None:
    page = server.client.http("GET", METRICS).body.decode()
    assert "# TYPE :tensorflow:serving:request_log_count counter\n" in page
    assert "# TYPE :tensorflow:serving:mlmd_map gauge\n" in page
    assert page.count(':tensorflow:cc:saved_model:load_attempt_count{model_path="') == 3
    assert "# HELP" not in page


@row("3.2/6", "4/1")
def test_the_metrics_path_takes_no_query(server: ModelServerProcess) -> None:
    reply = server.client.http("GET", METRICS + "?a=1")
    assert reply.status == 400
    assert reply.body.decode() == f"Unexpected path: {METRICS}?a=1. Should be {METRICS}"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_prometheus_own_tool_reads_the_page_and_dislikes_only_tensorflow_servings_names(
    server: ModelServerProcess,
) -> None:
    predict(server, 1.0)
    page = server.client.http("GET", METRICS).body
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False)
    assert done.returncode == 3, done  # 1: the page cannot be parsed; 3: it can, and lint has something to say
    complaints = {line.split(" ", 1)[1] for line in (done.stdout + done.stderr).decode().splitlines()}
    assert complaints <= {
        "metric names should not contain ':'",
        "no help text",
        'counter metrics should have "_total" suffix',
        'non-counter metrics should not have "_total" suffix',
        'non-histogram and non-summary metrics should not have "_count" suffix',
    }


@row("2.3/16")
def test_reload_reports_how_far_metrics_moved(server: ModelServerProcess) -> None:
    request = model_management_pb2.ReloadConfigRequest(metric_names=["/tensorflow/serving/request_count", "/unknown"])
    base = Path(str(server._log)).parent
    for name in ("half", "rows", "two"):
        request.config.model_config_list.config.add(name=name, base_path=str(base / name), model_platform="tensorflow")
    response = server.client.model.HandleReloadConfigRequest(request, timeout=60)
    assert {metric.name: metric.int64_value_increase for metric in response.metric} == {
        "/tensorflow/serving/request_count": 0,
        "/unknown": 0,
    }


@pytest.mark.parametrize("service", ["", "ModelService", "PredictionService"])
def test_health_is_serving(server: ModelServerProcess, service: str) -> None:
    check = server.client.channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=wrappers_pb2.StringValue.SerializeToString,
        response_deserializer=wrappers_pb2.Int32Value.FromString,
    )
    assert check(wrappers_pb2.StringValue(value=service)).value == 1
    watch = server.client.channel.unary_stream(
        "/grpc.health.v1.Health/Watch",
        request_serializer=wrappers_pb2.StringValue.SerializeToString,
        response_deserializer=wrappers_pb2.Int32Value.FromString,
    )
    call = watch(wrappers_pb2.StringValue(value=service))
    assert next(call).value == 1
    call.cancel()


def test_an_unknown_service_has_no_health(server: ModelServerProcess) -> None:
    check = server.client.channel.unary_unary("/grpc.health.v1.Health/Check")
    with pytest.raises(grpc.RpcError) as caught:
        check(wrappers_pb2.StringValue(value="other").SerializeToString())
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@row("3.2/7")
@pytest.mark.parametrize("client_verify", [False, True])
def test_grpc_can_be_secured(tmp_path: Path, client_verify: bool) -> None:
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    subprocess.run([*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    pem = {name: file.read_text().replace("\n", "\\n") for name, file in (("key", key), ("cert", certificate))}
    (tmp_path / "ssl").write_text(
        f'server_key: "{pem["key"]}" server_cert: "{pem["cert"]}" custom_ca: "{pem["cert"]}" '
        f"client_verify: {str(client_verify).lower()}"
    )
    tiny_models.publish(tiny_models.half_plus_two, tmp_path / "half", 1)
    server = ModelServerInProcess(
        tmp_path / "log",
        "--model_name=half",
        f"--model_base_path={tmp_path / 'half'}",
        f"--ssl_config_file={tmp_path / 'ssl'}",
    )
    ca, own = certificate.read_bytes(), (key.read_bytes(), certificate.read_bytes())
    try:
        server.wait_until_ready()
        assert secured_answer(server.port, grpc.ssl_channel_credentials(ca, *own)) == [3.0]
        without = grpc.ssl_channel_credentials(ca)
        if client_verify:
            with pytest.raises(grpc.RpcError):
                secured_answer(server.port, without)
        else:
            assert secured_answer(server.port, without) == [3.0]
    finally:
        server.kill()


def secured_answer(port: int, credentials: grpc.ChannelCredentials) -> list[float]:
    with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        response = stub.Predict(tiny_models.predict_request("half", x=[2.0]), timeout=60)
    return list(response.outputs["y"].float_val)
