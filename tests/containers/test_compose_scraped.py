"""A real Prometheus, with our configuration, scrapes what compose runs, and evaluates rules and dashboard on it."""

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml

from tests.containers.sample_inputs import SHOE
from tests.containers.waiting import wait_until
from tests.ports import free_port

pytestmark = [
    pytest.mark.containers,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not shutil.which("prometheus"), reason="NO PROMETHEUS: nothing scrapes the running containers"),
]

CONFIGURATION = Path("k8s/components/monitoring/prometheus")
DASHBOARD = Path("k8s/components/monitoring/grafana/dashboards/atelier.json")


@pytest.fixture(scope="module")
def prometheus(compose, tmp_path_factory):
    """Its address, once it has scraped every target twice."""
    scratch = tmp_path_factory.mktemp("prometheus")
    config = yaml.safe_load((CONFIGURATION / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    for job in config["scrape_configs"]:  # the names are those of compose's network, which this process is not on
        [[target]] = [static["targets"] for static in job["static_configs"]]
        service, _, port = target.partition(":")
        job["static_configs"][0]["targets"] = [f"{compose.address(service)}:{port}"]
    shutil.copy(CONFIGURATION / "rules.yml", scratch)
    (scratch / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    process = subprocess.Popen(
        ["prometheus", f"--config.file={scratch}/prometheus.yml", f"--storage.tsdb.path={scratch}/data",
         f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
    )  # fmt: skip
    with compose.client() as client:
        client.predict("fashion", SHOE)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(60)


def ask(prometheus, path, **parameters):
    with urllib.request.urlopen(f"{prometheus}{path}?{urllib.parse.urlencode(parameters)}", timeout=30) as answer:
        document = json.load(answer)
    assert document["status"] == "success"
    return document["data"]


def active_targets(prometheus):
    try:
        return ask(prometheus, "/api/v1/targets", state="active")["activeTargets"]
    except OSError:
        return []


def test_every_target_is_scraped_without_a_failed_sample(prometheus):
    wait_until(
        lambda: {one["health"] for one in active_targets(prometheus)} == {"up"},
        lambda: str([(one["scrapeUrl"], one["lastError"]) for one in active_targets(prometheus)]),
    )
    targets = active_targets(prometheus)
    assert {one["labels"]["job"] for one in targets} == {"gateway-http", "gateway-grpc", "model-server"}
    assert {one["lastError"] for one in targets} == {""}
    for job in ("gateway-http", "gateway-grpc", "model-server"):
        [sample] = ask(prometheus, "/api/v1/query", query=f'scrape_samples_scraped{{job="{job}"}}')["result"]
        assert int(sample["value"][1]) > 0


def test_the_rules_and_the_dashboards_queries_evaluate(prometheus):
    for group in ask(prometheus, "/api/v1/rules")["groups"]:
        for rule in group["rules"]:
            assert rule["health"] != "err", rule
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", []):
            ask(prometheus, "/api/v1/query", query=target["expr"].replace("$__rate_interval", "1m"))


def test_the_model_servers_own_metrics_are_there(prometheus):
    query = 'sum({__name__=":tensorflow:serving:request_count",model_name="fashion"}) > 0'
    wait_until(lambda: bool(ask(prometheus, "/api/v1/query", query=query)["result"]))
