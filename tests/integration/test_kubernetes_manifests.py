"""What the Kubernetes manifests promise, asserted on what kustomize renders of them."""

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from google.protobuf import text_format
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from serving import __version__
from serving.environment import variable_names
from serving.gateway.metrics import Metrics
from serving.gateway.settings import Settings
from serving.model_server.flags import Flags, parse
from training.cli import parse as training_options
from training.presets import PRESETS

K8S = Path("k8s")
SCHEMAS = ("1.36", "1.37")  # the two newest that kubernetes-validate has
OVERLAYS = ("dev", "production", "kserve")
COMPONENTS = sorted(folder.name for folder in (K8S / "components").iterdir())
OPERATORS = {"ServiceMonitor", "PrometheusRule", "InferenceService", "ScaledObject"}  # not Kubernetes's own kinds
DOORS = ("gateway-http", "gateway-grpc")
SERVED = ("model-server", *DOORS)

pytestmark = pytest.mark.skipif(
    not shutil.which("kubectl"), reason="NO KUBECTL: the Kubernetes manifests are not rendered and not checked"
)


@functools.cache
def render(folder: Path) -> list[dict[str, Any]]:
    rendered = subprocess.run(["kubectl", "kustomize", folder], check=True, capture_output=True, text=True)
    return list(yaml.safe_load_all(rendered.stdout))


@pytest.fixture(scope="module")
def dev():
    return render(K8S / "overlays/dev")


@pytest.fixture(scope="module")
def production():
    return render(K8S / "overlays/production")


def with_component(scratch: Path, component: str) -> list[dict[str, Any]]:
    """The base with one component on top."""
    shutil.copytree(K8S, scratch / "k8s")
    overlay = scratch / "k8s/overlays/one"
    overlay.mkdir()
    overlay.joinpath("kustomization.yaml").write_text(
        f"kind: Kustomization\nresources: [../../base]\ncomponents: [../../components/{component}]\n"
    )
    return render(overlay)


def the(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    [found] = [o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name]
    return found


def pod_specs(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Name of the workload → its pods' spec."""
    specs = {}
    for one in objects:
        if one["kind"] in ("Deployment", "Job"):
            specs[one["metadata"]["name"]] = one["spec"]["template"]["spec"]
        elif one["kind"] == "CronJob":
            specs[one["metadata"]["name"]] = one["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        elif one["kind"] == "InferenceService":
            specs |= {part: one["spec"][part] for part in ("predictor", "transformer")}
    return specs


def main_container(objects: list[dict[str, Any]], workload: str) -> dict[str, Any]:
    return pod_specs(objects)[workload]["containers"][0]


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("version", SCHEMAS)
def test_every_object_meets_kubernetes_own_schemas(overlay, version):
    for one in render(K8S / "overlays" / overlay):
        if one["kind"] not in OPERATORS:
            kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_component_can_be_put_on_the_base_alone(tmp_path, component):
    for one in with_component(tmp_path, component):
        if one["kind"] not in OPERATORS:
            kubernetes_validate.validate(one, SCHEMAS[-1], strict=True)


@pytest.fixture(params=[*OVERLAYS, "load"])
def pods(request, tmp_path):
    """Name of the workload → its pods' spec, of each overlay, and of the component that has workloads of its own."""
    is_overlay = request.param in OVERLAYS
    return pod_specs(render(K8S / "overlays" / request.param) if is_overlay else with_component(tmp_path, "load"))


def test_no_pod_may_do_more_than_it_must(pods):
    for name, spec in pods.items():
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["enableServiceLinks"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True, name
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name


def test_every_container_says_what_it_needs_and_at_most_takes(pods):
    for name, spec in pods.items():
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
            assert "memory" in container["resources"]["limits"], name
            assert ":" in container["image"], f"{name}: an image without a tag is another one tomorrow"
            assert not container["image"].endswith(":latest"), name


def test_a_rolling_update_takes_nothing_away_before_its_successor_is_ready(production):
    for name in SERVED:
        deployment = the(production, "Deployment", name)["spec"]
        assert deployment["strategy"] == {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
        }
        container = deployment["template"]["spec"]["containers"][0]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
        [_, pause_s] = container["lifecycle"]["preStop"]["exec"]["command"]
        drain_s = Settings(models=("m",)).grace_period_s if name in DOORS else Flags().drain_timeout_seconds
        assert deployment["template"]["spec"]["terminationGracePeriodSeconds"] >= int(pause_s) + drain_s + 5


def test_an_absent_model_server_restarts_no_gateway(production):
    for door in DOORS:
        container = main_container(production, door)
        assert container["readinessProbe"] != container["livenessProbe"]
    http = main_container(production, "gateway-http")
    assert http["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert http["livenessProbe"]["httpGet"]["path"] == "/livez"


def test_sigterm_reaches_a_server_that_does_not_handle_it(production):
    assert pod_specs(production)["model-server"]["shareProcessNamespace"] is True


def test_production_has_two_of_everything_spread_out_and_guarded(production):
    scaled = {o["spec"]["scaleTargetRef"]["name"]: o for o in production if o["kind"] == "HorizontalPodAutoscaler"}
    for name in SERVED:
        deployment = the(production, "Deployment", name)["spec"]
        least = scaled[name]["spec"]["minReplicas"] if name in scaled else deployment["replicas"]
        assert least >= 2
        assert ("replicas" in deployment) == (name not in scaled), "an autoscaler and a fixed number fight"
        constraints = deployment["template"]["spec"]["topologySpreadConstraints"]
        assert {c["topologyKey"] for c in constraints} == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
        for constraint in constraints:
            assert constraint["labelSelector"]["matchLabels"] == {"app.kubernetes.io/name": name}
        budget = the(production, "PodDisruptionBudget", name)["spec"]
        assert budget["maxUnavailable"] == 1
        assert budget["selector"]["matchLabels"] == {"app.kubernetes.io/name": name}


def test_production_serves_on_gpu_nodes_in_batches(production):
    spec = pod_specs(production)["model-server"]
    container = spec["containers"][0]
    assert container["image"].startswith("tensorflow/serving:")
    assert container["image"].endswith("-gpu")
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert spec["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in spec["tolerations"]
    flags = parse(container["args"]).flags
    assert flags.enable_batching
    assert flags.batching_parameters_file == "/config/batching.config"
    assert flags.monitoring_config_file == "/config/monitoring.config"


def test_the_gateways_send_no_more_rows_than_batching_takes(production):
    [limit] = re.findall(r"max_batch_size \{ value: (\d+) \}", (K8S / "base/model-server/batching.config").read_text())
    assert gateway_settings(production).max_model_server_batch == int(limit)


def test_production_asks_for_keys(production):
    settings = gateway_settings(production)
    assert settings.environment == "production"
    for door in DOORS:
        spec = pod_specs(production)[door]
        [folder] = [m["mountPath"] for m in spec["containers"][0]["volumeMounts"] if m["name"] == "keys"]
        assert settings.api_keys_file.startswith(f"{folder}/")
        assert {"name": "keys", "secret": {"secretName": "api-keys"}} in spec["volumes"]


def gateway_settings(objects):
    [config] = [o["data"] for o in objects if o["kind"] == "ConfigMap" and o["metadata"]["name"].startswith("gateway-")]
    assert set(config) <= set(variable_names(Settings))
    return Settings.from_env(config)


def test_dev_serves_on_processors_with_the_embedded_model_server(dev):
    container = main_container(dev, "model-server")
    assert container["image"].startswith("atelier/model-server:")
    assert "nvidia.com/gpu" not in container["resources"]["limits"]
    assert pod_specs(dev)["model-server"]["initContainers"][0]["image"] == container["image"]


def test_clients_of_grpc_see_every_pod(production):
    for name in ("model-server", "gateway-grpc"):
        assert the(production, "Service", name)["spec"]["clusterIP"] == "None"


def test_network_policies_let_through_only_the_ways_a_request_goes(production):
    policies = {o["metadata"]["name"]: o["spec"] for o in production if o["kind"] == "NetworkPolicy"}
    denied = policies.pop("default-deny")
    assert (denied["podSelector"], denied["policyTypes"]) == ({}, ["Ingress", "Egress"])
    assert "ingress" not in denied
    assert "egress" not in denied
    reached = {
        (name, port["port"])
        for name, policy in policies.items()
        for rule in policy.get("ingress", []) + policy.get("egress", [])
        for port in rule["ports"]
    }
    assert reached == {
        ("name-look-ups", 53),
        ("clients-to-gateways", 8080),
        ("clients-to-gateways", 8081),
        ("gateways-to-model-server", 8500),
        ("model-server-from-gateways", 8500),
        ("metrics-to-prometheus", 8080),
        ("metrics-to-prometheus", 8082),
        ("metrics-to-prometheus", 8501),
    }


def test_services_select_pods_that_exist_and_ports_that_they_have(production):
    for service in (o for o in production if o["kind"] == "Service"):
        [deployment] = [
            o
            for o in production
            if o["kind"] == "Deployment"
            and service["spec"]["selector"].items() <= o["spec"]["template"]["metadata"]["labels"].items()
        ]
        ports = {port["name"] for port in deployment["spec"]["template"]["spec"]["containers"][0]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_service_monitors_scrape_ports_that_exist(production):
    for monitor in (o for o in production if o["kind"] == "ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"]
        ports = {port["name"] for port in the(production, "Service", wanted)["spec"]["ports"]}
        assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= ports


@pytest.mark.parametrize("component", ["autoscaling", "keda"])
def test_nothing_fixes_the_number_that_an_autoscaler_moves(tmp_path, component):
    objects = with_component(tmp_path, component)
    scaled = [o["spec"] for o in objects if o["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")]
    assert scaled
    for spec in scaled:
        assert "replicas" not in the(objects, "Deployment", spec["scaleTargetRef"]["name"])["spec"]
        least, most = (spec.get(f"{end}Replicas", spec.get(f"{end}ReplicaCount")) for end in ("min", "max"))
        assert 2 <= least < most


def test_keda_asks_for_a_metric_that_the_gateways_give(tmp_path):
    [trigger] = the(with_component(tmp_path, "keda"), "ScaledObject", "model-server")["spec"]["triggers"]
    assert trigger["type"] == "prometheus"
    assert trigger["metadata"].keys() == {"serverAddress", "query", "threshold"}
    [name] = re.findall(r"atelier_\w+", trigger["metadata"]["query"])
    assert f"# TYPE {name.removesuffix('_sum')} histogram" in Metrics().exposition().decode()


def test_kserve_runs_the_same_parts_in_the_same_manner():
    objects = render(K8S / "overlays/kserve")
    production = render(K8S / "overlays/production")
    parts = the(objects, "InferenceService", "atelier")["spec"]
    served = {"predictor": "model-server", "transformer": "gateway-http"}
    for part, workload in served.items():
        [container] = parts[part]["containers"]
        ours = main_container(production, workload)
        assert container["image"] == ours["image"]
        assert {port["containerPort"] for port in container["ports"]} <= {p["containerPort"] for p in ours["ports"]}
        assert {m["mountPath"] for m in container["volumeMounts"]} <= {m["mountPath"] for m in ours["volumeMounts"]}
        assert parts[part]["minReplicas"] >= 2
        assert container["lifecycle"] == ours["lifecycle"]
        grace_s = pod_specs(production)[workload]["terminationGracePeriodSeconds"]
        assert parts[part]["terminationGracePeriodSeconds"] == grace_s
    configs = {o["metadata"]["name"] for o in objects if o["kind"] == "ConfigMap"}
    assert {v["configMap"]["name"] for v in parts["predictor"]["volumes"] if "configMap" in v} <= configs
    assert {e["configMapRef"]["name"] for e in parts["transformer"]["containers"][0]["envFrom"]} <= configs
    assert parts["predictor"]["shareProcessNamespace"] is True
    assert not parse(parts["predictor"]["containers"][0]["args"]).unknown


def test_kserves_own_words_do_not_reach_the_gateway(tmp_path):
    """It appends them to a transformer's arguments (its transformer_custom.go). `python` here says what it is given."""
    container = main_container(render(K8S / "overlays/kserve"), "transformer")
    appended = ["--model_name", "atelier", "--predictor_host", "atelier-predictor.atelier", "--http_port", "8080"]
    entry_point = ["python", "-m", "serving.gateway"]  # the image's
    command = [*container.get("command", entry_point), *container.get("args", []), *appended]
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    said = subprocess.run(command, env={"PATH": path}, check=True, capture_output=True, text=True).stdout
    assert said.split() == ["-m", "serving.gateway", "http"]


def test_the_load_asks_the_gateways_and_its_job_is_the_verdict(tmp_path):
    objects = with_component(tmp_path, "load")
    settings = gateway_settings(objects)
    master, workers = the(objects, "Job", "load")["spec"], the(objects, "Job", "load-worker")["spec"]
    assert (master["backoffLimit"], master["template"]["spec"]["restartPolicy"]) == (0, "Never")
    assert workers["parallelism"] >= 2
    words = main_container(objects, "load")["args"]
    assert {"--master", f"--host=http://gateway-http:{settings.http_port}"} <= set(words)
    assert f"--grpc-address=gateway-grpc:{settings.grpc_port}" in words
    service = the(objects, "Service", "load")
    assert main_container(objects, "load-worker")["args"] == [
        "--worker",
        f"--master-host={service['metadata']['name']}",
    ]
    [key] = main_container(objects, "load")["env"]
    assert (key["name"], key["valueFrom"]["secretKeyRef"]["optional"]) == ("LOAD_API_KEY", True)
    assert 'env_var="LOAD_API_KEY"' in Path("tests/load/options.py").read_text()
    assert service["spec"]["selector"].items() <= master["template"]["metadata"]["labels"].items()
    assert not service["spec"]["selector"].items() <= workers["template"]["metadata"]["labels"].items()


def test_the_load_reaches_no_more_than_the_gateways_and_itself(tmp_path):
    policy = the(with_component(tmp_path, "load"), "NetworkPolicy", "load")["spec"]
    assert policy["podSelector"] == {"matchLabels": {"app.kubernetes.io/component": "load"}}
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [port["port"] for rule in policy["ingress"] for port in rule["ports"]] == [5557]
    assert [port["port"] for rule in policy["egress"] for port in rule["ports"]] == [5557, 8080, 8081, 53, 53]


def compose():
    return yaml.safe_load(Path("docker-compose.yml").read_text())["services"]


def default_of(text: str) -> str:
    """What Compose takes for ${NAME:-default} where NAME is not set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def test_compose_and_kubernetes_run_the_same_images(dev, production, tmp_path):
    in_compose = {name: default_of(service["image"]) for name, service in compose().items()}
    assert in_compose["trainer"] == main_container(production, "training")["image"]
    assert in_compose["gateway-http"] == main_container(production, "gateway-http")["image"]
    assert in_compose["gateway-grpc"] == main_container(production, "gateway-grpc")["image"]
    assert (
        gpu_compose()["image"]
        == f"${{ATELIER_MODEL_SERVER_GPU_IMAGE:-{main_container(production, 'model-server')['image']}}}"
    )
    assert in_compose["embedded-model-server"] == main_container(dev, "model-server")["image"]
    assert in_compose["model-server"] + "-gpu" == main_container(production, "model-server")["image"]
    assert (
        in_compose["load"]
        == in_compose["load-worker"]
        == main_container(with_component(tmp_path, "load"), "load")["image"]
    )
    for part in ("training", "gateway", "model-server", "load"):
        assert f"atelier/{part}:{__version__}" in in_compose.values()


def test_what_the_docs_tell_the_trainer_is_what_it_is_told():
    """Words after the service's name replace its command, and with it the variables that Compose fills in there."""
    trainer = {key: value for key, value in compose()["trainer"].items() if key != "command"}
    told = re.findall(
        r"^(.*)docker compose run --rm trainer ([^#\n]+)", Path("docs/deploy.md").read_text(), re.MULTILINE
    )
    assert told
    for before, words in told:
        assert all(f"${{{name}" in str(trainer) for name in re.findall(r"(\w+)=", before)), before
        assert training_options(words.split())


def gpu_compose():
    """The one service that docker-compose.gpu.yml changes."""
    [(name, service)] = yaml.safe_load(Path("docker-compose.gpu.yml").read_text())["services"].items()
    assert name == "model-server"
    return service


def test_compose_reserves_a_gpu_where_it_is_told_to():
    assert gpu_compose().keys() == {"image", "deploy"}
    assert gpu_compose()["deploy"] == {
        "resources": {"reservations": {"devices": [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]}}
    }
    assert "deploy" not in compose()["model-server"]


def test_compose_has_the_ports_settings_and_flags_of_the_code():
    settings, services = Settings(models=("m",)), compose()
    assert services["gateway-http"]["ports"] == [f"${{ATELIER_HTTP_PORT:-8080}}:{settings.http_port}"]
    assert services["gateway-grpc"]["ports"] == [f"${{ATELIER_GRPC_PORT:-8081}}:{settings.grpc_port}"]
    for name in DOORS:
        environ = {key: default_of(value) for key, value in services[name]["environment"].items()}
        assert set(environ) <= set(variable_names(Settings))
        assert set(Settings.from_env(environ).models) == set(PRESETS)
    command = parse(services["model-server"]["command"])
    assert not command.unknown
    assert command.flags.model_config_file == "/config/models.config"


def test_the_model_servers_configuration_serves_every_model_there_is():
    text = (K8S / "base/model-server/models.config").read_text()
    assert set(re.findall(r'name: "(\w+)"', text)) == set(PRESETS)
    assert set(re.findall(r'base_path: "/models/(\w+)"', text)) == set(PRESETS)


def test_ports_are_those_of_the_code(production):
    settings, flags = Settings(models=("m",)), Flags()
    ports = {
        name: {port["name"]: port["containerPort"] for port in main_container(production, name)["ports"]}
        for name in SERVED
    }
    assert ports == {
        "model-server": {"grpc": flags.port, "rest": 8501},
        "gateway-http": {"http": settings.http_port},
        "gateway-grpc": {"grpc": settings.grpc_port, "metrics": settings.grpc_metrics_port},
    }


@pytest.mark.parametrize("overlay", ["dev", "production"])
def test_settings_and_flags_are_known_and_valid(overlay):
    objects = render(K8S / "overlays" / overlay)
    assert set(gateway_settings(objects).models) == set(PRESETS)
    assert not parse(main_container(objects, "model-server")["args"]).unknown


def test_a_pods_workers_follow_what_it_asks_for_not_the_nodes_cores(dev, production):
    for objects in (dev, production):
        [config] = [o["data"] for o in objects if o["kind"] == "ConfigMap" and "ATELIER_MODELS" in o["data"]]
        assert int(config["ATELIER_WORKERS"]) == 2


def test_a_labelled_version_is_served_whatever_else_is_published(tmp_path):
    objects = with_component(tmp_path, "labels")
    files = the(objects, "ConfigMap", "model-server")["data"]
    assert "monitoring.config" in files
    models = text_format.Parse(files["models.config"], ModelServerConfig()).model_config_list.config
    assert {model.name for model in models} == set(PRESETS)
    for model in models:
        assert model.version_labels.keys() == {"stable", "canary"}
        assert set(model.version_labels.values()) <= set(model.model_version_policy.specific.versions)
    assert parse(main_container(objects, "model-server")["args"]).flags.allow_version_labels_for_unavailable_models


@pytest.mark.parametrize("overlay", [*OVERLAYS, "labels"])
def test_a_change_of_models_config_is_read_without_a_restart(overlay, tmp_path):
    """A hash in the ConfigMap's name would be another name in the pods' template, so other pods."""
    objects = render(K8S / "overlays" / overlay) if overlay in OVERLAYS else with_component(tmp_path, overlay)
    assert "models.config" in the(objects, "ConfigMap", "model-server")["data"]
    workload = "predictor" if overlay == "kserve" else "model-server"
    assert {"name": "config", "configMap": {"name": "model-server"}} in pod_specs(objects)[workload]["volumes"]
    assert parse(main_container(objects, workload)["args"]).flags.model_config_file_poll_wait_seconds > 0
