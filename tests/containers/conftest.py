"""A container engine for the tests in this folder, and the images under test. `make containers` runs them."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.containers.compose import Compose

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def engine():
    """A running engine, a Compose that talks to it, and a base image; else a loud skip."""
    done = subprocess.run([HERE / "engine.sh"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(done.stderr.strip() or "NO CONTAINER ENGINE")


@pytest.fixture(scope="session")
def images(engine):
    """The images, built from this checkout as `make images` builds them; earlier ones, nameless now, are removed."""
    environ = {**os.environ, "ATELIER_BUILD_NETWORK": "host"}
    built = subprocess.run(["make", "images"], capture_output=True, text=True, check=False, env=environ)
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
    nameless = ["docker", "image", "prune", "--force", "--filter", "label=com.docker.compose.project=atelier"]
    subprocess.run(nameless, capture_output=True, check=True)


@pytest.fixture(scope="session")
def compose(images):
    """The project, up from nothing: everything trained, started and healthy."""
    project = Compose()
    project("down", "--volumes", "--remove-orphans")
    project("up", "--detach", "--wait", "--no-build")
    yield project
    print(project("logs", "--no-color", "--tail", "40"))
    project("down", "--volumes", "--remove-orphans")


@pytest.fixture(scope="session")
def podman_environ(tmp_path_factory):
    """The environment of a podman that can run pods; else a loud skip."""
    config = tmp_path_factory.mktemp("podman") / "containers.conf"
    # In a container of its own, podman may not raise its limits.
    config.write_text('[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n')
    environ = {**os.environ, "CONTAINERS_CONF": str(config)}
    done = subprocess.run([HERE / "podman.sh"], capture_output=True, text=True, check=False, env=environ)
    if done.returncode:
        pytest.skip(done.stderr.strip() or "NO PODMAN")
    return environ
