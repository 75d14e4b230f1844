"""Training on several devices of a machine and by several processes: they learn what one alone learns."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.store import versions

Weights = dict[str, Any]


def cluster() -> list[dict[str, str]]:
    """The environments of two workers on this machine."""
    with socket.socket() as one, socket.socket() as other:
        for taken in (one, other):
            taken.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{taken.getsockname()[1]}" for taken in (one, other)]
    tasks = [{"cluster": {"worker": addresses}, "task": {"type": "worker", "index": i}} for i in range(2)]
    return [{**os.environ, "TF_CONFIG": json.dumps(task)} for task in tasks]


def together(command: list[str], environments: list[dict[str, str]]) -> list[str]:
    """What the processes print that run the command at the same time."""
    running = [
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for env in environments
    ]
    try:
        outputs = [process.communicate(timeout=240) for process in running]
    finally:
        for process in running:
            process.kill()
    for process, (_, complaints) in zip(running, outputs, strict=True):
        assert process.returncode == 0, complaints
    return [out for out, _ in outputs]


def fitted(strategy: str, devices: int = 1, environments: list[dict[str, str]] | None = None) -> list[Weights]:
    command = [sys.executable, "-m", "tests.fitted_worker", strategy, str(devices)]
    return [json.loads(out.splitlines()[-1]) for out in together(command, environments or [dict(os.environ)])]


@pytest.fixture(scope="module")
def alone() -> Weights:
    (weights,) = fitted("one")
    return weights


def learned(weights: Weights) -> Weights:
    """Without the statistics of batch normalisation, which sees half a batch where there are two workers."""
    return {name: values for name, values in weights.items() if "moving" not in name}


def test_one_mirrored_device_gives_the_same_weights_to_the_bit(alone: Weights) -> None:
    assert fitted("mirrored") == [alone]


def test_two_mirrored_devices_learn_nearly_what_one_does(alone: Weights) -> None:
    (weights,) = fitted("mirrored", devices=2)
    for name, values in learned(weights).items():
        np.testing.assert_allclose(values, alone[name], atol=0.05)


def test_two_workers_have_the_same_weights_and_learn_nearly_what_one_does(alone: Weights) -> None:
    first, second = fitted("multi-worker", environments=cluster())
    assert first == second
    for name, values in learned(first).items():
        np.testing.assert_allclose(values, alone[name], atol=0.05)


def test_of_two_workers_the_first_publishes(tmp_path: Path) -> None:
    settings = ("--preset", "quick", "--set", "epochs=2", "--set", "gate=5", "--strategy", "multi-worker")
    folders = ("--store", str(tmp_path / "store"), "--runs-dir", str(tmp_path / "runs"))
    first, second = together([sys.executable, "-m", "training", "housing", *settings, *folders], cluster())
    assert "housing: version 1 published to " in first
    assert "housing: worker 1 is done; worker 0 evaluates and publishes" in second
    assert "published to" not in second
    assert list(versions(tmp_path / "store" / "housing")) == [1]
    assert not list((tmp_path / "runs").glob("*.npz"))


def test_without_a_cluster_multi_worker_says_what_it_needs() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    command = [sys.executable, "-m", "training", "housing", "--strategy", "multi-worker"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--strategy multi-worker needs TF_CONFIG" in done.stderr
