"""The metrics of TensorFlow Serving, under its names, labels and buckets. Latencies are in microseconds, as there.

After tensorflow_serving/servables/tensorflow/util.cc, saved_model_warmup_util.cc and batching_session.cc.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from serving.model_server.monitoring import Counter, Histogram, Registry, StringGauge, exponential
from serving.model_server.status import Code

REGISTRY = Registry()

_LATENCY_LIMITS = exponential(10, 1.8, 33)  # up to about 20 minutes
_SERVING = "/tensorflow/serving"

request_count = Counter(REGISTRY, f"{_SERVING}/request_count", "model_name", "status")
request_latency = Histogram(
    REGISTRY, f"{_SERVING}/request_latency", "model_name", "API", "entrypoint", limits=_LATENCY_LIMITS
)
runtime_latency = Histogram(
    REGISTRY, f"{_SERVING}/runtime_latency", "model_name", "API", "runtime", limits=_LATENCY_LIMITS
)
request_example_counts = Histogram(
    REGISTRY, f"{_SERVING}/request_example_counts", "model", limits=exponential(1, 2, 15)
)
request_example_count_total = Counter(REGISTRY, f"{_SERVING}/request_example_count_total", "model")
model_warmup_latency = Histogram(
    REGISTRY, f"{_SERVING}/model_warmup_latency", "model_path", "status", limits=_LATENCY_LIMITS
)
model_warmup_records_read = Counter(REGISTRY, f"{_SERVING}/model_warmup_records_read", "model_path", "status")
# Requests are not logged here: it is on the page, and stays without a line.
request_log_count = Counter(REGISTRY, f"{_SERVING}/request_log_count", "model_name", "status_code")
mlmd_map = StringGauge(REGISTRY, f"{_SERVING}/mlmd_map", "model_name", "version")
queuing_latency = Histogram(
    REGISTRY,
    f"{_SERVING}/batching_session/queuing_latency",
    "thread_pool_name",
    limits=exponential(100, 1.2, 52),
)
wrapped_run_count = Counter(REGISTRY, f"{_SERVING}/batching_session/wrapped_run_count")
padding_size = Histogram(
    REGISTRY, f"{_SERVING}/batching_session/padding_size", "execution_batch_size", limits=exponential(1, 2, 14)
)
input_batch_size = Histogram(REGISTRY, f"{_SERVING}/batching_session/input_batch_size", limits=exponential(1, 2, 14))
processed_batch_size = Histogram(
    REGISTRY, f"{_SERVING}/batching_session/processed_batch_size", limits=exponential(1, 2, 14)
)
load_attempt_count = Counter(REGISTRY, "/tensorflow/cc/saved_model/load_attempt_count", "model_path", "status")


def microseconds_since(start_s: float) -> float:
    """Time gone since `time.perf_counter()` said `start_s`."""
    return (time.perf_counter() - start_s) * 1e6


@contextmanager
def run_of(model: str, api: str) -> Iterator[None]:
    """Measure a run of the graph; a run that fails does not count."""
    start_s = time.perf_counter()
    yield
    record_run(model, api, start_s)


def record_run(model: str, api: str, start_s: float) -> None:
    """Count a run of the graph that ended well."""
    runtime_latency.add(microseconds_since(start_s), model, api, "TF1")


def record_request(model: str, api: str, entrypoint: str, code: Code, start_s: float) -> None:
    """Count a request by its status, and the time it took if that is OK."""
    request_count.increment(model, code.name)
    if code is Code.OK:
        request_latency.add(microseconds_since(start_s), model, api, entrypoint)
