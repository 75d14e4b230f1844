"""Rules, alerts, dashboard and Prometheus's configuration: that they hold, and name only what exists."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from serving.gateway import grpc_api, oip_grpc
from serving.gateway.metrics import Metrics
from serving.gateway.predictor import TASK_OF_VERB
from serving.model_server.metrics import REGISTRY

MONITORING = Path("k8s/components/monitoring")
RULES = MONITORING / "prometheus/rules.yml"
RULE_TESTS = Path("tests/observability/rules_test.yml")
DASHBOARD = MONITORING / "grafana/dashboards/atelier.json"
RUNBOOK = Path("docs/runbook.md")

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="NO PROMTOOL: the rules and alerts are not checked"
)


def rules():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def alerts():
    return [rule for rule in rules() if "alert" in rule]


def panels():
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


@needs_promtool
@pytest.mark.parametrize(
    "what",
    [
        ("check", "rules", RULES),
        ("check", "config", MONITORING / "prometheus/prometheus.yml"),
        ("test", "rules", RULE_TESTS),
    ],
    ids=lambda what: " ".join(map(str, what[:2])),
)
def test_promtool_is_content(what):
    done = subprocess.run(["promtool", *what], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_seen_to_fire_and_seen_not_to_fire():
    tests = yaml.safe_load(RULE_TESTS.read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    names = {alert["alert"] for alert in alerts()}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == names
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == names


def test_each_alert_has_its_page_in_the_runbook():
    headings = re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    for alert in alerts():
        assert alert["labels"]["severity"] in ("page", "ticket")
        assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{alert['alert'].lower()}"
    assert {alert["alert"] for alert in alerts()} <= set(headings)


def test_the_operators_rules_are_the_same_rules():
    operators = yaml.safe_load((MONITORING / "prometheus-rule.yaml").read_text())
    assert operators["spec"] == yaml.safe_load(RULES.read_text())


def known_series():
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    return _series(Metrics().exposition().decode()) | _series(REGISTRY.page()) | recorded | {"up"}


def _series(page):
    """The names of the samples that a page of metrics has, or will have."""
    suffixes = {"histogram": ("_bucket", "_sum", "_count")}
    types = re.findall(r"^# TYPE (\S+) (\w+)$", page, re.MULTILINE)
    return {name + suffix for name, kind in types for suffix in suffixes.get(kind, ("",))}


def named_in(expression):
    return set(re.findall(r"(?:\batelier[_:][a-z0-9_:]+|:tensorflow:[a-z:_]+|\bup\b)", expression))


def test_every_query_of_the_dashboard_names_series_that_exist():
    assert panels()
    for panel in panels():
        for target in panel["targets"]:
            named = named_in(target["expr"])
            assert named, panel["title"]
            assert named <= known_series(), panel["title"]


def test_latency_is_that_of_every_kind_of_prediction():
    verbs = {*TASK_OF_VERB, *(method.verb for method in (*grpc_api.PREDICTIONS, *oip_grpc.PREDICTIONS))}
    queries = [target["expr"] for panel in panels() for target in panel["targets"]]
    choices = re.findall(r'verb=~"(.*?)"', "\n".join([*queries, *(rule["expr"] for rule in rules())]))
    assert choices
    for choice in choices:
        assert set(choice.split("|")) == verbs


def test_every_part_that_is_scraped_has_an_alert_for_when_there_is_none_of_it():
    jobs = yaml.safe_load((MONITORING / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    monitors = yaml.safe_load_all((MONITORING / "service-monitors.yaml").read_text())
    [expression] = [alert["expr"] for alert in alerts() if alert["alert"] == "AtelierPartDown"]
    absent = re.findall(r'absent\(up\{job="([a-z-]+)"\}\)', expression)
    assert sorted(absent) == sorted(job["job_name"] for job in jobs)
    assert sorted(absent) == sorted(monitor["metadata"]["name"] for monitor in monitors)


def test_every_rule_names_series_that_exist():
    for rule in rules():
        assert named_in(rule["expr"]) <= known_series()
