"""The development overlay's workloads run as pods, as rendered, and answer predictions; the load asks them."""

import subprocess
from pathlib import Path

import pytest
import yaml

from serving import __version__
from serving.client import Client
from tests.containers import pods
from tests.containers.load_report import asked_and_failed
from tests.containers.sample_inputs import HOUSE, SHOE
from tests.containers.waiting import wait_until

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]

NETWORK = "atelier-under-test"
IMAGES = ("training", "model-server", "gateway", "load")


class Podman:
    """The pods under test, on a network where a Service's name leads to its pod."""

    def __init__(self, environ, scratch: Path) -> None:
        self._environ, self._scratch = environ, scratch
        self._objects = pods.rendered(scratch)

    def __call__(self, *words: str) -> str:
        done = subprocess.run(["podman", *words], env=self._environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"podman {' '.join(words)}: {done.stderr[-2000:]}"
        return done.stdout.strip()

    def play(self, name: str, objects: list) -> None:
        file = self._scratch / f"{name}.yaml"
        file.write_text(yaml.safe_dump_all(objects))
        self("kube", "play", "--network", f"{NETWORK}:alias={name}", str(file))

    def start_volumes(self) -> None:
        self.play("volumes", pods.claims(self._objects))

    def start(self, workload: str) -> None:
        self.play(workload, pods.play_file(self._objects, workload))

    def address(self, workload: str) -> str:
        infra = self("pod", "inspect", workload, "--format", "{{.InfraContainerID}}")
        return self("inspect", infra, "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")

    def said(self, container: str) -> str:
        """What it wrote, on either stream."""
        command = ["podman", "logs", container]
        done = subprocess.run(
            command, env=self._environ, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        return done.stdout

    def remove(self) -> None:
        self("pod", "rm", "--force", "--ignore", *pods.WORKLOADS)
        self("volume", "rm", "--force", "store")
        self("network", "rm", "--force", NETWORK)


@pytest.fixture(scope="module")
def podman(images, podman_environ, tmp_path_factory):
    running = Podman(podman_environ, tmp_path_factory.mktemp("play"))
    copies = [running("pull", "--quiet", f"docker-daemon:atelier/{image}:{__version__}") for image in IMAGES]
    running.remove()
    running("network", "create", NETWORK)
    yield running
    running.remove()
    running("image", "rm", *copies)


@pytest.fixture(scope="module")
def cluster(podman):
    """Everything started at once, as a cluster would: the parts wait for each other."""
    podman.start_volumes()
    podman.start("training-first")
    podman.start("model-server")
    podman.start("gateway-http")
    podman.start("gateway-grpc")
    with Client(f"http://{podman.address('gateway-http')}:8080") as client:
        wait_until(lambda: is_ready(client), lambda: podman("logs", "gateway-http-gateway"))
    return podman


def is_ready(client):
    try:
        return client.readiness()[0]
    except OSError:
        return False


def test_the_training_job_ended_well(cluster):
    assert cluster("wait", "training-first-training") == "0"


def test_the_pods_answer_predictions(cluster):
    with Client(f"http://{cluster.address('gateway-http')}:8080") as client:
        assert client.predict("fashion", SHOE).predictions[0]["class_name"] == "Ankle boot"
        assert 2 < client.predict("housing", [HOUSE]).predictions[0]["value"] < 6


def test_the_grpc_door_answers_too(cluster):
    with Client(f"grpc://{cluster.address('gateway-grpc')}:8081") as client:
        wait_until(lambda: is_ready(client), lambda: cluster("logs", "gateway-grpc-gateway"))
        assert client.predict("fashion", SHOE).predictions[0]["class_name"] == "Ankle boot"
        assert 2 < client.predict("housing", [HOUSE]).predictions[0]["value"] < 6


@pytest.mark.parametrize("workload", ["model-server", "gateway-http", "gateway-grpc"])
def test_the_pods_run_as_nobody_on_a_file_system_that_cannot_be_written(cluster, workload):
    container = f"{workload}-{'model-server' if workload == 'model-server' else 'gateway'}"
    assert cluster("exec", container, "sh", "-c", "id -u") == "10001"
    assert "Read-only" in cluster("exec", container, "sh", "-c", "touch /app/here 2>&1 || true")


def test_the_load_finds_no_wrong_answer(cluster):
    cluster.start("load")
    cluster.start("load-worker")
    code = cluster("wait", "load-load")
    said = cluster.said("load-load")
    asked, failed = asked_and_failed(said)
    assert asked > 50
    assert failed == 0
    assert code == ("1" if "MISSED" in said else "0"), said  # how fast it was is not this test's to judge
