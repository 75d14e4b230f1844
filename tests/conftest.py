"""For every test: how Hypothesis and gRPC behave; and what several folders of tests begin with."""

import os
from pathlib import Path

# gRPC prepares the processes that are forked off this one for calls; in a few of a hundred, that ends them.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
import grpc  # noqa: F401 (it reads this once)

del os.environ["GRPC_ENABLE_FORK_SUPPORT"]  # those that a user starts have what they have

import pytest
from hypothesis import HealthCheck, settings

from tests.trained_store import train

# How long an example takes says how busy the machine is, nothing of the code. In CI, examples are the same each time.
settings.register_profile(
    "busy-machine", deadline=None, derandomize="CI" in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy-machine")


@pytest.fixture(scope="session")
def trained_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both models, trained by the quick preset on the real data, once for the whole run."""
    store = tmp_path_factory.mktemp("trained") / "models"
    train(store, "fashion", "housing", "--preset", "quick")
    return store
