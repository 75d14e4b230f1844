"""What Prometheus sees of the gateway. Base units, one prefix, and no label whose values a client could invent.

Several worker processes count into one folder (prometheus_client's multiprocess mode, chosen by
PROMETHEUS_MULTIPROC_DIR when that package is imported: __main__ sets it first), and any worker answers for all.
"""

import platform
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, start_http_server
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

import serving
from serving.gateway import phases
from serving.gateway.histograms import observe_all
from serving.gateway.phases import Phase
from serving.gateway.prediction_metrics import PredictionMetrics

# From a millisecond (a cached constant) to the request timeout's order, each about twice the last.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
REQUESTS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """All series of one process."""

    def __init__(self, folder: str | None = None) -> None:
        """`folder` is where all workers' counts lie, or None if this is the only process."""
        self._folder = folder
        self._registry = registry = CollectorRegistry()
        # Rate, errors: what alerts are made of.
        self.requests = Counter(
            "atelier_requests",
            "Requests answered.",
            ("model", "version", "verb", "code"),
            registry=registry,
        )
        self.request_seconds = Histogram(
            "atelier_request_duration_seconds",
            "Time from a request's arrival in a worker thread to its answer.",
            ("model", "verb"),
            buckets=SECONDS,
            registry=registry,
        )
        # Saturation: compare with workers x threads.
        self.in_flight = Gauge(
            "atelier_requests_in_flight",
            "Requests being answered now.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.refused_connections = Counter(
            "atelier_refused_connections",
            "Connections refused or closed before a request of theirs was whole, by reason.",
            ("reason",),
            registry=registry,
        )
        self.phase_seconds = Histogram(
            "atelier_request_phase_duration_seconds",
            "Where the time of an answered prediction went; its phases add up to it.",
            ("model", "version", "phase"),
            buckets=SECONDS,
            registry=registry,
        )
        self.refusals = Counter(
            "atelier_refusals",
            "Requests not answered as asked, by the reason the client was given.",
            ("model", "reason"),
            registry=registry,
        )
        # Above 1 where coalescing gains something.
        self.coalesced_requests = Histogram(
            "atelier_coalesced_requests",
            "Requests that went to the model server as one call.",
            ("model", "version"),
            buckets=REQUESTS,
            registry=registry,
        )
        self.predictions = PredictionMetrics(registry)
        self.model_server_calls = Counter(
            "atelier_model_server_calls",
            "Calls to the model server, by method and gRPC code.",
            ("method", "code"),
            registry=registry,
        )
        self.model_server_retries = Counter(
            "atelier_model_server_retries",
            "Calls to the model server made again because the one before was lost, by method.",
            ("method",),
            registry=registry,
        )
        self.model_server_seconds = Histogram(
            "atelier_model_server_call_duration_seconds",
            "Time a call to the model server took.",
            ("method",),
            buckets=SECONDS,
            registry=registry,
        )
        # The slowest worker's view; 0 is "not on offer".
        self.offered_version = Gauge(
            "atelier_offered_version",
            "The newest version on offer, 0 if none.",
            ("model",),
            registry=registry,
            multiprocess_mode="livemin",
        )
        build_info = Gauge(
            "atelier_build_info",
            "Always 1; the labels tell what runs.",
            ("version", "python"),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._series_of_call = cache(
            lambda method, code: (
                self.model_server_calls.labels(method, code),
                self.model_server_seconds.labels(method),
            )
        )
        build_info.labels(serving.__version__, platform.python_version()).set(1)

    def observe_call(self, method: str, code: str, seconds: float) -> None:
        """Count one call to the model server."""
        calls, call_seconds = self._series_of_call(method, code)
        calls.inc()
        call_seconds.observe(seconds)

    def observe_retry(self, method: str) -> None:
        """Count one call to the model server that is made again."""
        self.model_server_retries.labels(method).inc()

    def observe_phases(self, model: str, version: str) -> None:
        """Count where the time of this thread's request went, if a version answered it."""
        for phase, seconds in phases.end().items():
            if version:
                self.phase_seconds.labels(model, version, phase).observe(seconds)

    def observe_batch(self, model: str, version: int, requests: int) -> None:
        """Count one call of so many requests to the model server."""
        self.coalesced_requests.labels(model, str(version)).observe(requests)

    def serve(self, host: str, port: int) -> None:
        """Give this process's series over HTTP, from a thread of its own; OSError where the port is taken."""
        start_http_server(port, host, self._registry)

    def exposition(self) -> bytes:
        """All workers' series in Prometheus' text format."""
        if self._folder is None:
            return generate_latest(self._registry)
        everybody = CollectorRegistry()
        AllWorkers(everybody, path=self._folder)  # type: ignore[no-untyped-call]
        return generate_latest(everybody)


class AnsweredSeries:
    """Where one version's answered predictions by one verb are counted, looked up once."""

    def __init__(self, metrics: Metrics, model: str, version: str, verb: str, code: str) -> None:
        self._requests = metrics.requests.labels(model, version, verb, code)
        self._seconds = metrics.request_seconds.labels(model, verb)
        self._phase_seconds = [(phase, metrics.phase_seconds.labels(model, version, phase)) for phase in phases.PHASES]

    def count(self, requests: Sequence[Mapping[Phase, float]]) -> None:
        """So many requests, by where the time of each went."""
        self._requests.inc(len(requests))
        observe_all(self._seconds, [sum(seconds.values()) for seconds in requests])
        for phase, series in self._phase_seconds:
            observe_all(series, [seconds[phase] for seconds in requests])


class AllWorkers(MultiProcessCollector):
    """The package's own collector, but for files that are still empty.

    A worker that starts makes a file before it gives it a size; reading it just then fails (prometheus_client 0.26).
    """

    def collect(self) -> Iterable[Metric]:
        """The merged series of every file in the folder."""
        files = [str(file) for file in Path(self._path).glob("*.db") if _has_content(file)]
        return self.merge(files, accumulate=True)  # type: ignore[no-any-return, no-untyped-call]


def _has_content(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:  # a gauge of a worker that died just now
        return False


def forget_worker(pid: int, folder: str) -> None:
    """Take a dead worker out of the live gauges; what it counted stays counted."""
    mark_process_dead(pid, path=folder)  # type: ignore[no-untyped-call]
