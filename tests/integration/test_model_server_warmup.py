"""Requests that a version carries with it, replayed before it is served."""

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    input_pb2,
    predict_pb2,
    prediction_log_pb2,
    regression_pb2,
    session_service_pb2,
)

from serving.model_server import metrics
from serving.model_server.loader import SavedModelLoader
from serving.model_server.servable import Servable, ServableId
from serving.model_server.status import Code, StatusError
from serving.model_server.warmup import REQUESTS_FILE, warm_up
from tests import tiny_models
from tests.conformance.rows import row
from tests.model_server_in_process import Main, Start, half_server, put

Log = prediction_log_pb2.PredictionLog


@pytest.fixture(scope="module")
def half(versions: dict[int, Path]) -> Servable:
    return SavedModelLoader(
        ServableId("half", 2), versions[2], ["serve"], config_pb2.ConfigProto(), lambda *_: None, lambda r, _: r
    ).load()


def write(version: Path, *logs: Any) -> Path:
    """Put records beside a version; return the version."""
    (version / REQUESTS_FILE).parent.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(version / REQUESTS_FILE)) as writer:
        for log in logs:
            writer.write(log.SerializeToString())
    return version


def logs_of_each_kind() -> list[Any]:
    examples = input_pb2.Input()
    examples.example_list.examples.add().features.feature["x"].float_list.value.append(2.0)
    classify = classification_pb2.ClassificationRequest(input=examples)
    classify.model_spec.signature_name = "classify"
    regress = regression_pb2.RegressionRequest(input=examples)
    regress.model_spec.signature_name = "regress"
    multi = inference_pb2.MultiInferenceRequest(input=examples)
    task = multi.tasks.add(method_name="tensorflow/serving/regress")
    task.model_spec.name, task.model_spec.signature_name = "any", "regress"
    return [
        Log(predict_log=prediction_log_pb2.PredictLog(request=tiny_models.predict_request("any", version=9, x=[1.0]))),
        Log(classify_log=prediction_log_pb2.ClassifyLog(request=classify)),
        Log(regress_log=prediction_log_pb2.RegressLog(request=regress)),
        Log(multi_inference_log=prediction_log_pb2.MultiInferenceLog(request=multi)),
    ]


@row("3.6/5")
def test_warm_up_runs_before_a_version_is_available(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    base = tmp_path / "half"
    version = put(versions[2], base)
    tiny_models.add_warmup(version, [tiny_models.predict_request("any", x=[1.0])] * 3)
    server = half_server(start, base)
    assert "Number of warmup records read: 3." in server.log
    assert server.log.index("Finished reading warmup data") < server.log.index("Successfully loaded servable version")


@row("3.4/9", "3.6/4", "3.6/6")
@pytest.mark.parametrize(
    ("records", "error"),
    [
        (b"this is no TFRecord file", "DATA_LOSS"),
        ([tiny_models.predict_request("any", z=[1.0])], "INVALID_ARGUMENT: Signature input alias: x"),
    ],
)
def test_a_failing_warm_up_fails_the_start(
    main: Main, tmp_path: Path, versions: dict[int, Path], records: Any, error: str
) -> None:
    version = put(versions[2], tmp_path / "half")
    file = tiny_models.add_warmup(version, records if isinstance(records, list) else [])
    if isinstance(records, bytes):
        file.write_bytes(records)
    status, printed = main("--model_name=half", f"--model_base_path={tmp_path / 'half'}", "--max_num_load_retries=0")
    assert status == 255
    assert f"1 servable(s) did not become available: {{{{{{name: half version: 2}} due to error: {error}" in printed


def test_warm_up_can_be_switched_off(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    tiny_models.add_warmup(put(versions[2], tmp_path / "half"), []).write_bytes(b"this is no TFRecord file")
    half_server(start, tmp_path / "half", "--enable_model_warmup=false")


@row("3.6/1", "3.6/5", "4/9")
def test_records_of_four_kinds_are_replayed_and_counted(half: Servable, tmp_path: Path) -> None:
    version = write(tmp_path / "1", *logs_of_each_kind())
    assert warm_up(half, version, 1) == 4
    page = metrics.REGISTRY.page()
    assert f':tensorflow:serving:model_warmup_records_read{{model_path="{version}",status="OK"}} 4' in page
    assert f':tensorflow:serving:model_warmup_latency_count{{model_path="{version}",status="OK"}} 1' in page


@row("3.6/2")
def test_each_record_is_replayed_as_often_as_told(half: Servable, tmp_path: Path) -> None:
    runs = CountingRunner(half)
    counted = Servable(half.id, half.signatures, runs)
    assert warm_up(counted, write(tmp_path / "1", *logs_of_each_kind()), 3) == 4
    assert runs.count == 12


class CountingRunner:
    """Counts what it hands on."""

    def __init__(self, servable: Servable) -> None:
        self._runner = servable.runner
        self.count = 0

    def run(self, *arguments: Any) -> Any:
        self.count += 1
        return self._runner.run(*arguments)

    def close(self) -> None:
        raise AssertionError("warm-up closes nothing")


@row("3.6/3")
@pytest.mark.parametrize(
    "log",
    [
        Log(session_run_log=prediction_log_pb2.SessionRunLog(request=session_service_pb2.SessionRunRequest())),
        Log(predict_streamed_log=prediction_log_pb2.PredictStreamedLog(request=[predict_pb2.PredictRequest()])),
    ],
)
def test_records_of_other_kinds_fail(half: Servable, tmp_path: Path, log: Any) -> None:
    with pytest.raises(StatusError, match="Unsupported log_type for warmup: ") as caught:
        warm_up(half, write(tmp_path / "1", log), 1)
    assert caught.value.code is Code.UNIMPLEMENTED


@row("3.6/7")
def test_there_may_be_a_thousand_records(half: Servable, tmp_path: Path) -> None:
    record = logs_of_each_kind()[0]
    assert warm_up(half, write(tmp_path / "1", *[record] * 1000), 1) == 1000
    with pytest.raises(StatusError, match=r"Number of warmup records exceeds the maximum \(1000\)"):
        warm_up(half, write(tmp_path / "2", *[record] * 1001), 1)


@row("3.6/8")
def test_without_a_file_there_is_nothing_to_do(half: Servable, tmp_path: Path) -> None:
    assert warm_up(half, tmp_path, 1) == 0
