"""A real run, killed in the middle of an epoch and started again, ends with the weights of one that never stopped."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.training_data import config, houses
from training.__main__ import main
from training.checkpoint import checkpoint_path
from training.digest import saved_weights
from training.errors import CheckpointUnreadable
from training.fit import fit, make_reproducible
from training.models import build_model

# Everything that has a memory: dropout, statistics, momenta, a rate that falls, weights that were better before.
OPTIONS = {
    "batch_norm": True,
    "dropout": 0.3,
    "schedule": "plateau",
    "optimizer": "nadam",
    "learning_rate": 0.3,
    "patience": 4,
    "epochs": 10,
}


def weights_after(path: Path | None, seed: int = 1) -> tuple[list[np.ndarray], dict[str, list[float]]]:
    settings = config(**OPTIONS)
    make_reproducible(seed)
    model = build_model(settings, houses())
    history = fit(model, houses(), settings, seed=seed, checkpoint=path)
    return [weight.numpy() for weight in model.weights], dict(history)


KILLED = """
import os, signal, sys
from pathlib import Path
import training.fit
from training.progress import ProgressBar
from tests.integration.test_training_resume import weights_after

class Fatal(ProgressBar):
    def on_train_batch_end(self, batch, logs=None):
        if (self._epoch, batch) == (int(sys.argv[2]), 1):  # of two: in the middle
            os.kill(os.getpid(), signal.SIGKILL)

training.fit.ProgressBar = Fatal
weights_after(Path(sys.argv[1]))
"""


KILLED_WRITING = """
import os, signal, sys
from pathlib import Path
import numpy as np
from tests.integration.test_training_resume import weights_after

def die(file, **arrays):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

np.savez = die
weights_after(Path(sys.argv[1]))
"""


def killed_in_epoch(epoch: int, path: Path) -> int:
    return subprocess.run([sys.executable, "-c", KILLED, str(path), str(epoch)], check=False).returncode


def test_a_run_killed_again_and_again_ends_as_one_that_never_stopped(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "houses.npz"
    assert killed_in_epoch(2, path) == -signal.SIGKILL
    assert killed_in_epoch(5, path) == -signal.SIGKILL
    weights, history = weights_after(path)
    expected, expected_history = weights_after(None)
    assert history == expected_history
    assert len(history["loss"]) > 6
    assert min(history["learning_rate"]) < max(history["learning_rate"])  # the schedule's memory was put to the test
    for found, wanted in zip(weights, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_a_run_that_was_done_is_not_trained_again(tmp_path: Path) -> None:
    path = tmp_path / "houses.npz"
    first, history = weights_after(path)
    again, same_history = weights_after(path)
    assert same_history == history
    for found, wanted in zip(again, first, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_another_configuration_or_seed_has_a_checkpoint_of_its_own(tmp_path: Path) -> None:
    paths = {
        checkpoint_path(tmp_path, houses(), config(**changes), seed, workers)
        for changes, seed, workers in (({}, 1, 1), ({"epochs": 3}, 1, 1), ({}, 2, 1), ({}, 1, 2))
    }
    assert len(paths) == 4


def test_another_store_s_version_of_the_same_number_begins_another_run(tmp_path: Path) -> None:
    warm = config(warm_start=1)
    begun = {checkpoint_path(tmp_path, houses(), warm, 1, 1, begins_with=digest) for digest in ("sha256:1", "sha256:2")}
    assert len(begun) == 2


@pytest.fixture(scope="module")
def whole_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "houses.npz"
    weights_after(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"nothing",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole.replace(b"1", b"2"),
    ],
    ids=["empty", "text", "half", "other bits"],
)
def test_a_checkpoint_that_is_none_is_named(
    tmp_path: Path, whole_checkpoint: bytes, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "houses.npz"
    path.write_bytes(damage(whole_checkpoint))
    with pytest.raises(CheckpointUnreadable, match=r"houses\.npz cannot be read: .*; remove it to begin anew"):
        weights_after(path)


def test_a_checkpoint_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, synced = tmp_path / "houses.npz", []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append((path.exists(), os.fstat(file).st_size)))
    weights_after(path)
    assert [has_name for has_name, _ in synced[:2]] == [False, True]  # the first epoch's, the second's
    assert synced[-1] == (True, path.stat().st_size)


def test_what_killed_runs_were_writing_does_not_pile_up(tmp_path: Path) -> None:
    path = tmp_path / "houses.npz"
    for _ in range(2):
        killed = subprocess.run([sys.executable, "-c", KILLED_WRITING, str(path)], check=False)
        assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob("*.new"))) == 1
    weights_after(path)
    assert {file.name for file in tmp_path.iterdir()} == {".lock", "houses.npz"}


def test_the_whole_job_killed_goes_on_and_publishes_the_same_weights(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def job(store: str) -> list[str]:
        settings = ("--preset", "quick", "--set", "epochs=3", "--set", "gate=5", "--set", "dropout=0.1")
        folders = ("--store", str(tmp_path / store), "--runs-dir", str(tmp_path / f"runs-{store}"))
        return ["housing", *settings, *folders]

    command = [sys.executable, "-u", "-m", "training", *job("killed")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout
        for line in running.stdout:
            if "epoch 2/3" in line:  # its checkpoint may or may not be written: both must do
                running.kill()
                break
    assert running.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed").exists()
    (checkpoint,) = (tmp_path / "runs-killed").glob("housing-*.npz")

    assert main(job("killed")) == 0
    resumed = capfd.readouterr().out
    assert f"housing: goes on from {checkpoint}" in resumed
    assert "epoch 1/3" not in resumed
    assert not checkpoint.exists()

    assert main(job("whole")) == 0
    found, wanted = (saved_weights(tmp_path / store / "housing" / "1") for store in ("killed", "whole"))
    assert found.keys() == wanted.keys()
    for name, weight in found.items():
        np.testing.assert_array_equal(weight, wanted[name])


def test_a_run_that_begins_with_another_store_s_version_of_the_same_number_does_not_go_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def job(store: str, *settings: str) -> str:
        quick = ("--preset", "quick", "--set", "epochs=1", "--set", "gate=5", *settings)
        main(["housing", *quick, "--store", str(tmp_path / store), "--runs-dir", str(tmp_path / "runs")])
        return capfd.readouterr().out

    job("one")
    job("other", "--set", "learning_rate=0.001")
    refused = ("--set", "warm_start=1", "--set", "gate=0.01")  # so that its checkpoint stays
    assert "goes on from" not in job("one", *refused)
    assert "goes on from" in job("one", *refused)
    assert "goes on from" not in job("other", *refused)
