"""The development overlay and the load as `podman kube play` takes them: the same pods, less what needs a cluster.

podman knows Pods, volumes and ConfigMaps, but no Job, no Service and no namespace. So a workload's template becomes a
Pod of its own, and a Service's name becomes an alias of its pod on podman's network.
"""

import copy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]

# In the order of a first start.
WORKLOADS = {
    "training-first": "Job",
    "model-server": "Deployment",
    "gateway-http": "Deployment",
    "gateway-grpc": "Deployment",
    "load": "Job",
    "load-worker": "Job",
}


def rendered(scratch: Path) -> list[Object]:
    """Every object of the development overlay with the component `load`."""
    overlay = Path(shutil.copytree("k8s", scratch / "k8s"), "overlays/under-test")
    overlay.mkdir()
    overlay.joinpath("kustomization.yaml").write_text(
        "kind: Kustomization\nresources: [../dev]\ncomponents: [../../components/load]\n"
    )
    text = subprocess.run(["kubectl", "kustomize", overlay], check=True, capture_output=True, text=True).stdout
    return list(yaml.safe_load_all(text))


def claims(objects: list[Object]) -> list[Object]:
    """The volumes, which podman makes once."""
    return [_without_namespace(one) for one in objects if one["kind"] == "PersistentVolumeClaim"]


def play_file(objects: list[Object], workload: str) -> list[Object]:
    """What to play for one workload: its pod, with the configuration it may need."""
    shared = [one for one in objects if one["kind"] == "ConfigMap"]
    return [_without_namespace(one) for one in [*shared, pod(objects, workload)]]


def pod(objects: list[Object], workload: str) -> Object:
    """A workload's template as a Pod of the workload's name."""
    [owner] = [one for one in objects if one["metadata"]["name"] == workload and one["kind"] == WORKLOADS[workload]]
    template = copy.deepcopy(owner["spec"]["template"])
    for container in [*template["spec"]["containers"], *template["spec"].get("initContainers", [])]:
        container["imagePullPolicy"] = "Never"
        container.pop("ports", None)  # podman 4 would publish them on this machine, where they may be taken
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):  # podman 4 knows no gRPC, and waits for none
            container.pop(probe, None)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": workload,
            "labels": template["metadata"]["labels"],
            # else podman 4 removes a container that has just ended, and may fail at it
            "annotations": {"io.podman.annotations.init.container.type": "always"},
        },
        "spec": template["spec"],
    }


def _without_namespace(one: Object) -> Object:
    metadata = {key: value for key, value in one["metadata"].items() if key != "namespace"}
    return {**one, "metadata": metadata}
