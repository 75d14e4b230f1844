from prometheus_client.parser import text_string_to_metric_families

from serving.model_server import metrics
from serving.model_server.monitoring import Counter, Histogram, Registry, exponential
from serving.model_server.status import Code
from tests.conformance.rows import row


@row("4/3")
def test_a_metric_without_events_is_only_its_type() -> None:
    registry = Registry()
    Counter(registry, "/tensorflow/serving/request_count", "model_name")
    Histogram(registry, "/a-b/c", limits=[1])
    assert registry.page() == "# TYPE :a:b:c histogram\n# TYPE :tensorflow:serving:request_count counter\n"


def test_counters_have_a_line_a_cell() -> None:
    registry = Registry()
    counter = Counter(registry, "/c", "model-name", "status")
    counter.increment("m", "OK")
    counter.increment("m", "OK", by=2)
    counter.increment('a"\\', "OK")
    assert registry.page().splitlines()[1:] == [
        r':c{model_name="a\"\\",status="OK"} 1',
        ':c{model_name="m",status="OK"} 3',
    ]


@row("4/3")
def test_a_counter_without_labels_has_empty_braces() -> None:
    registry = Registry()
    Counter(registry, "/c").increment(by=3)
    assert registry.page() == "# TYPE :c counter\n:c{} 3\n"


@row("4/4")
def test_buckets_are_cumulative_and_limits_are_exclusive() -> None:
    registry = Registry()
    histogram = Histogram(registry, "/h", "m", limits=exponential(10, 1.8, 3))
    for value in (1, 10, 17.9, 1000):
        histogram.add(value, "x")
    assert registry.page().splitlines() == [
        "# TYPE :h histogram",
        ':h_bucket{m="x",le="10"} 1',
        ':h_bucket{m="x",le="18"} 3',
        ':h_bucket{m="x",le="32.4"} 3',
        ':h_bucket{m="x",le="+Inf"} 4',
        ':h_sum{m="x"} 1028.9',
        ':h_count{m="x"} 4',
    ]


@row("4/6")
def test_only_successes_have_a_latency() -> None:
    metrics.record_request("only-failures", "Predict", "GRPC", Code.NOT_FOUND, 0.0)
    page = metrics.REGISTRY.page()
    assert ':tensorflow:serving:request_count{model_name="only-failures",status="NOT_FOUND"} 1' in page
    assert 'request_latency_count{model_name="only-failures"' not in page


@row("4/4", "4/12")
def test_the_names_and_buckets_are_tensorflow_servings() -> None:
    metrics.record_request("named", "Predict", "GRPC", Code.OK, 0.0)
    page = metrics.REGISTRY.page()
    labels = 'model_name="named",API="Predict",entrypoint="GRPC"'
    assert f':tensorflow:serving:request_latency_bucket{{{labels},le="18"}}' in page
    last = [line for line in page.splitlines() if f"request_latency_bucket{{{labels}" in line][-2]
    assert 'le="1.47476e+09"' in last  # 10 * 1.8 ** 32


def test_prometheus_own_parser_reads_the_page() -> None:
    metrics.record_request("parsed", "Predict", "GRPC", Code.OK, 0.0)
    families = {family.name: family for family in text_string_to_metric_families(metrics.REGISTRY.page())}
    samples = families[":tensorflow:serving:request_latency"].samples
    assert any(sample.labels["model_name"] == "parsed" for sample in samples)
    assert families[":tensorflow:serving:request_latency"].type == "histogram"
