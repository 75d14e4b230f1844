import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.local_stack import LocalStack


def train(store: Path, *arguments: str) -> str:
    """Run the training job as a user does; its output."""
    done = subprocess.run(
        [sys.executable, "-m", "training", *arguments],
        env={**os.environ, "ATELIER_STORE": str(store)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def trained_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both models, trained by the quick preset on the real data, once for the whole run."""
    store = tmp_path_factory.mktemp("trained") / "models"
    train(store, "fashion", "housing", "--preset", "quick")
    return store


@pytest.fixture
def store(trained_store: Path, tmp_path: Path) -> Path:
    """A copy of the trained store that a test may change."""
    return shutil.copytree(trained_store, tmp_path / "models")


@pytest.fixture
def stack(store: Path) -> Iterator[LocalStack]:
    """`python -m serving` on the store, up."""
    running = LocalStack(store)
    try:
        running.wait_until_up()
        yield running
    finally:
        running.stop()
