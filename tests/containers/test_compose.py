"""`docker compose up` on a real engine, from nothing: it trains, serves, drains, recovers, and trains nothing twice.

In TensorFlow Serving's place stands the embedded model server's image, which the same command line starts.
"""

import json
import os
import subprocess
import urllib.error
import urllib.request

import pytest

from serving import __version__
from serving.client import Client
from tests.containers.sample_inputs import HOUSE, SHOE
from tests.containers.waiting import wait_until

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1800)]


def test_answers_over_both_doors(compose):
    assert compose.classify()["class_name"] == "Ankle boot"
    with compose.client() as client:
        [house] = client.predict("housing", [HOUSE]).predictions
    assert 2 < house["value"] < 6

    with Client(f"grpc://127.0.0.1:{compose.grpc_port}") as client:
        assert client.readiness()[0]
        assert client.predict("fashion", SHOE).predictions[0]["class_name"] == "Ankle boot"
        assert client.predict("housing", [HOUSE]).predictions[0]["value"] == pytest.approx(house["value"])


@pytest.mark.parametrize("service", ["model-server", "gateway-http", "gateway-grpc"])
def test_runs_as_nobody_on_a_file_system_that_cannot_be_written(compose, service):
    assert compose.inside(service, "id -u; id -g").split() == ["10001", "10001"]
    assert "Read-only" in compose.inside(service, "touch /app/here 2>&1 || true")
    assert compose.inside(service, "grep CapEff /proc/1/status").split() == ["CapEff:", "0" * 16]


def listening(compose, service):
    """TCP ports that listen on any address of the container's own; its engine's name server is on 127.0.0.11."""
    table = compose.inside(service, "cat /proc/net/tcp /proc/net/tcp6")
    sockets = [line.split() for line in table.splitlines() if ":" in line]
    return {
        int(fields[1].rpartition(":")[2], 16)
        for fields in sockets
        if fields[3] == "0A" and not fields[1].startswith("0B00007F")
    }


def test_nothing_listens_that_is_not_documented(compose):
    assert listening(compose, "gateway-http") == {8080}
    assert listening(compose, "gateway-grpc") == {8081, 8082}
    assert listening(compose, "model-server") == {8500, 8501}


def test_the_gateways_image_is_small_and_has_no_tensorflow(compose):
    assert "tensorflow" not in compose.inside("gateway-http", "ls /opt/atelier/lib/python3*/site-packages")
    base = os.environ.get("BASE_IMAGE", "python:3.11-slim-bookworm")
    assert image_bytes(f"atelier/gateway:{__version__}") - image_bytes(base) < 150e6


def image_bytes(name):
    size = subprocess.run(
        ["docker", "image", "inspect", "--format", "{{.Size}}", name], check=True, capture_output=True, text=True
    )
    return int(size.stdout)


@pytest.mark.parametrize("image", ["gateway", "load", "model-server", "training"])
def test_images_say_what_they_are(images, image):
    shown = subprocess.run(
        ["docker", "image", "inspect", f"atelier/{image}:{__version__}"], check=True, capture_output=True, text=True
    )
    [config] = [one["Config"] for one in json.loads(shown.stdout)]
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}
    assert labels["licenses"] == "Apache-2.0"
    assert {"title", "description", "version", "revision", "created"} <= labels.keys()
    assert "unknown" not in labels.values()
    assert config["User"] == "10001:10001"


def test_the_gateways_image_built_anew_has_the_same_files(compose):
    again = "atelier/gateway:built-again"
    compose("build", "--no-cache", "gateway-http", ATELIER_GATEWAY_IMAGE=again, ATELIER_BUILD_NETWORK="host")
    try:
        assert digests(again) == digests(f"atelier/gateway:{__version__}")
    finally:
        subprocess.run(["docker", "image", "rm", "--force", again], check=True, capture_output=True)


def digests(image):
    """What we put into it: path → SHA-256."""
    script = "find /opt/atelier /app -type f | sort | xargs sha256sum"
    command = ["docker", "run", "--rm", "--entrypoint", "sh", image, "-c", script]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(lines) > 1000
    return {path: digest for digest, path in map(str.split, lines)}


def test_a_contract_names_the_revision_that_trained_it(compose):
    with compose.client() as client:
        revision = client.contract("fashion").provenance.source_revision
    head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert revision.removesuffix("-dirty") == head


def test_a_killed_model_server_comes_back_and_the_gateway_with_it(compose):
    compose.inside("model-server", "kill -9 -1 || true")

    wait_until(lambda: status(compose) == 503)
    # Each worker notices for itself: ready is what one of them says. A client asks again when it is told to.
    with compose.client(timeout_s=300, retries=300) as client:
        assert client.predict("fashion", SHOE).predictions[0]["class_name"] == "Ankle boot"
    wait_until(lambda: status(compose) == 200)


def status(compose):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{compose.http_port}/readyz", timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None
