import tomllib
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

import serving
from serving.gateway.histograms import observe_all
from serving.gateway.metrics import Metrics


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value for family in families for sample in family.samples
    }


def test_a_call_to_the_model_server_is_counted_and_timed():
    metrics = Metrics()
    metrics.observe_call("Predict", "OK", 0.25)
    metrics.observe_call("Predict", "UNAVAILABLE", 0.5)

    seen = samples(metrics)

    assert seen["atelier_model_server_calls_total", "OK", "Predict"] == 1
    assert seen["atelier_model_server_calls_total", "Predict", "UNAVAILABLE"] == 1
    assert seen["atelier_model_server_call_duration_seconds_sum", "Predict"] == 0.75


def test_a_workers_file_that_is_still_empty_is_passed_over(tmp_path):
    (tmp_path / "counter_4711.db").touch()

    assert Metrics(str(tmp_path)).exposition() == b""


def test_the_build_is_told_with_the_projects_version():
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]

    assert project["version"] == serving.__version__
    assert any(serving.__version__ in key for key in samples(Metrics()) if key[0] == "atelier_build_info")


def test_every_series_is_named_as_prometheus_asks():
    families = list(text_string_to_metric_families(Metrics().exposition().decode()))

    assert families
    for family in families:
        if family.name.endswith("_created"):
            continue
        assert family.name.startswith("atelier_")
        assert family.documentation
        assert not family.name.endswith(("_ms", "_milliseconds", "_seconds_seconds"))


def test_many_values_at_once_are_counted_as_one_by_one():
    metrics = Metrics()
    values = [0.0005, 0.001, 0.0011, 0.3, 11.0, 11.0]
    for value in values:
        metrics.request_seconds.labels("each", "predict").observe(value)
    observe_all(metrics.request_seconds.labels("together", "predict"), values)

    lines = [line for line in metrics.exposition().decode().splitlines() if "duration_seconds" in line]

    each, together = (
        [line.replace(name, "") for line in lines if name in line and "_created" not in line]
        for name in ("each", "together")
    )
    assert each == together != []
