"""A container engine for the tests in this folder, and the images under test. `make containers` runs them."""

import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def engine():
    """A running engine, a Compose that talks to it, and a base image; else a loud skip."""
    done = subprocess.run([HERE / "engine.sh"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(done.stderr.strip() or "NO CONTAINER ENGINE")


@pytest.fixture(scope="session")
def images(engine):
    """The three images, built from this checkout as `make images` builds them."""
    environ = {**os.environ, "ATELIER_BUILD_NETWORK": "host"}
    built = subprocess.run(["make", "images"], capture_output=True, text=True, check=False, env=environ)
    assert built.returncode == 0, built.stdout[-3000:] + built.stderr[-3000:]
