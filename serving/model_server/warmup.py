"""Warm-up: replays recorded requests on a servable before it takes real ones.

After tensorflow_serving/servables/tensorflow/saved_model_warmup_util.cc.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tensorflow import errors
from tensorflow.compat import v1
from tensorflow_serving.apis import prediction_log_pb2

from serving.model_server import metrics
from serving.model_server.classify import run_classify
from serving.model_server.multi_inference import run_multi_inference
from serving.model_server.predict import run_predict
from serving.model_server.regress import run_regress
from serving.model_server.servable import Servable
from serving.model_server.status import Code, StatusError, invalid_argument

_logger = logging.getLogger(__name__)

REQUESTS_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
_REPLAYS: Mapping[str, Callable[[Servable, Any, None], Any]] = {
    "predict_log": run_predict,
    "classify_log": run_classify,
    "regress_log": run_regress,
    "multi_inference_log": run_multi_inference,
}
MAX_RECORDS = 1000  # WarmupConsts::kMaxNumRecords


def warm_up(servable: Servable, path: Path, iterations: int) -> int:
    """Replay the requests that lie beside the model, each `iterations` times; return how many records there were.

    Raises:
        StatusError: one of them failed, or the file is not what it should be; the model is then not served.
    """
    requests = path / REQUESTS_FILE
    if not requests.exists():
        _logger.info("No warmup data file found at %s", requests)
        return 0
    _logger.info("Starting to read warmup data for model at %s", requests)
    start_s, count = time.perf_counter(), 0
    for count, record in enumerate(_records(requests), start=1):
        for _ in range(iterations):
            _replay(servable, record)
        if count > MAX_RECORDS:
            raise invalid_argument(f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {requests}")
    latency = metrics.microseconds_since(start_s)
    metrics.model_warmup_latency.add(latency, str(path), "OK")
    metrics.model_warmup_records_read.increment(str(path), "OK", by=count)
    _logger.info(
        "Finished reading warmup data for model at %s. Number of warmup records read: %d. Elapsed time "
        "(microseconds): %d.",
        requests,
        count,
        latency,
    )
    return count


def _records(requests: Path) -> Iterator[Any]:
    """The PredictionLogs of a TFRecord file."""
    try:
        for record in v1.io.tf_record_iterator(str(requests)):
            log = prediction_log_pb2.PredictionLog()
            try:
                log.ParseFromString(record)
            except ValueError as error:  # DecodeError
                raise invalid_argument(f"Failed to parse warmup record from {requests}") from error
            yield log
    except errors.DataLossError as error:
        raise StatusError(
            Code.DATA_LOSS, f"{error.message}. Please verify your warmup data is in TFRecord format."
        ) from error


def _replay(servable: Servable, log: Any) -> None:
    kind = log.WhichOneof("log_type")
    if kind in _REPLAYS:
        _REPLAYS[kind](servable, getattr(log, kind).request, None)
    elif kind is not None:
        number = log.DESCRIPTOR.fields_by_name[kind].number
        raise StatusError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {number}")
