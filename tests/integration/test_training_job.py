"""`python -m training` as a user runs it, on real housing data: its words, its exit code, and what is in the store."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serving.contract import from_json
from training.store import versions

QUICKER = ("--preset", "quick", "--set", "epochs=2", "--set", "gate=5")


def job(store: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, "-m", "training", *arguments, "--store", str(store)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_trains_publishes_and_says_so_without_noise(tmp_path: Path) -> None:
    done = job(tmp_path, "housing", *QUICKER, "--seed", "3")
    assert (done.returncode, done.stderr) == (0, "")
    rows, first, second, figures, published = done.stdout.splitlines()
    assert rows == (
        "housing: 13210 rows to fit, 1321 to validate, 1981 to calibrate, "
        "from the 1990 census table that comes with Atelier"
    )
    assert first.startswith("housing  epoch 1/2")
    assert second.startswith("housing  epoch 2/2")
    assert published.startswith(f"housing: version 1 published to {tmp_path}/housing/1 (")
    contract = from_json((tmp_path / "housing/1/assets.extra/contract.json").read_bytes())
    metrics = contract.evaluation.metrics
    assert figures.startswith(f"housing: rmse {metrics['rmse']:.4f}, mae {metrics['mae']:.4f}, r2 ")
    assert figures.endswith(" on 4128 test rows")
    assert abs(metrics["coverage"] - 0.9) < 0.025  # three standard deviations, of calibration and of test rows
    assert (contract.provenance.seed, contract.provenance.config["epochs"]) == (3, 2)
    assert len(contract.goldens) == 8
    assert str(tmp_path) not in (tmp_path / "housing/1/assets.extra/contract.json").read_text()


def test_a_worse_model_than_the_published_one_is_refused_whatever_the_bound(tmp_path: Path) -> None:
    assert job(tmp_path, "housing", *QUICKER, "--seed", "3").returncode == 0
    worse = job(tmp_path, "housing", *QUICKER, "--set", "learning_rate=1e-5")
    assert worse.returncode == 1
    assert worse.stderr.startswith("housing: not published: on the same 4128 test rows its mean loss is ")
    assert list(versions(tmp_path / "housing")) == [1]


def test_if_missing_trains_nothing_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "housing" / "7").mkdir(parents=True)
    done = job(tmp_path, "housing", "--if-missing")
    assert (done.returncode, done.stdout) == (0, "housing: version 7 is published; nothing to train\n")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("--set", "gate=0.1"), "housing: not published: test rmse is "),
        (("--set", "optimizer=sgd", "--set", "learning_rate=1e30"), "became "),
        (("--set", "model=oracle"), "no regression model 'oracle'; there are mlp, wide_deep, tabm"),
    ],
    ids=["gate", "diverged", "no such model"],
)
def test_what_goes_wrong_ends_in_a_sentence_exit_code_1_and_an_unchanged_store(
    tmp_path: Path, settings: tuple[str, ...], words: str
) -> None:
    (tmp_path / "housing" / "1").mkdir(parents=True)
    done = job(tmp_path, "housing", *QUICKER, *settings)
    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(versions(tmp_path / "housing")) == [1]


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = job(tmp_path / "file", "housing", *QUICKER)
    assert done.returncode == 1
    assert str(tmp_path / "file") in done.stderr.splitlines()[-1]


def test_the_whole_job_killed_while_it_exports_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    """The real exporter this time, killed as soon as its staging folder shows."""
    model = tmp_path / "housing"
    (model / "1").mkdir(parents=True)
    command = [sys.executable, "-m", "training", "housing", *QUICKER, "--store", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 240
        while not list(model.glob(".staging-*")):
            assert running.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)
        running.kill()
    assert running.returncode == -signal.SIGKILL
    assert list(versions(model)) == [1]


def test_prune_removes_all_but_the_newest_and_says_which(tmp_path: Path) -> None:
    for version in ("1", "2", "3"):
        (tmp_path / "housing" / version).mkdir(parents=True)
    kept = job(tmp_path, "prune", "--keep", "1", "--protect", "housing/1")
    assert (kept.returncode, kept.stdout) == (0, "housing: removed 2; kept 1, 3\n")
    unknown = job(tmp_path, "prune", "shoes", "--keep", "1")
    assert (unknown.returncode, unknown.stderr) == (1, f"{tmp_path} has no versions of shoes\n")
    away = job(tmp_path, "prune", "--keep", "1", "--model-server", "http://127.0.0.1:9")
    assert away.returncode == 1
    assert "nothing was removed: no status from http://127.0.0.1:9/v1/models/housing" in away.stderr
    assert list(versions(tmp_path / "housing")) == [1, 3]
