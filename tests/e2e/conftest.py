import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.local_stack import LocalStack


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
