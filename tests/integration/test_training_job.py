"""`python -m training` as a user runs it, on real housing data: its words, its exit code, and what is in the store."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from serving.contract import from_json
from training.store import versions

QUICKER = ("--preset", "quick", "--set", "epochs=2", "--set", "gate=5")


WORSE = (*QUICKER, "--set", "learning_rate=1e-5")


def job(store: Path, *arguments: str, module: str = "training", **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", module, *arguments, "--store", str(store)]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, check=False, **options)


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that one test kills is none that another goes on with."""
    monkeypatch.setenv("ATELIER_RUNS_DIR", str(tmp_path / "runs"))


@pytest.fixture(scope="module")
def first_job(tmp_path_factory: pytest.TempPathFactory) -> "tuple[Path, subprocess.CompletedProcess[str]]":
    """A store with one good version, and what the job said that published it."""
    root = tmp_path_factory.mktemp("job")
    store, events = root / "store", root / "events"
    return store, job(
        store, "housing", *QUICKER, "--seed", "3", "--tensorboard", str(events), "--runs-dir", str(root / "runs")
    )


@pytest.fixture
def store(first_job: "tuple[Path, subprocess.CompletedProcess[str]]", tmp_path: Path) -> Path:
    """A copy of the store with one good version."""
    return shutil.copytree(first_job[0], tmp_path / "store")


def content(store: Path) -> dict[str, bytes]:
    """Every file of the published versions, and whatever else is there but the store's lock."""
    files = (path for path in store.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(store)): path.read_bytes() for path in files}


def test_trains_publishes_and_says_so_without_noise(
    first_job: "tuple[Path, subprocess.CompletedProcess[str]]",
) -> None:
    store, done = first_job
    assert (done.returncode, done.stderr) == (0, "")
    rows, first, second, figures, published = done.stdout.splitlines()
    assert rows == (
        "housing: 13210 rows to fit, 1321 to validate, 1981 to calibrate, "
        "from the 1990 census table that comes with Atelier"
    )
    assert first.startswith("housing  epoch 1/2")
    assert second.startswith("housing  epoch 2/2")
    assert published.startswith(f"housing: version 1 published to {store}/housing/1 (")
    extra = store / "housing/1/assets.extra"
    contract = from_json((extra / "contract.json").read_bytes())
    metrics = contract.evaluation.metrics
    assert figures.startswith(f"housing: rmse {metrics['rmse']:.4f}, mae {metrics['mae']:.4f}, r2 ")
    assert figures.endswith(" on 4128 test rows")
    assert abs(metrics["coverage"] - 0.9) < 0.025  # three standard deviations, of calibration and of test rows
    assert (contract.provenance.seed, contract.provenance.config["epochs"]) == (3, 2)
    assert len(contract.goldens) == 8
    for document in extra.iterdir():
        assert str(store) not in document.read_text(errors="replace"), document.name


def test_the_whole_evaluation_lies_beside_the_contract(store: Path) -> None:
    extra = store / "housing/1/assets.extra"
    evaluation = json.loads((extra / "evaluation.json").read_text())
    contract = from_json((extra / "contract.json").read_bytes())
    assert {name: figure["value"] for name, figure in evaluation["metrics"].items()} == contract.evaluation.metrics
    regions = evaluation["slices"]["region"]
    assert [region["name"].partition(":")[0] for region in regions] == ["South", "San Francisco Bay", "Elsewhere"]
    assert sum(region["rows"] for region in regions) == 4128
    for region in regions:
        assert {"rmse", "mae", "coverage", "mean_interval_width"} <= region["metrics"].keys()


def test_report_and_card_lie_there_too_and_need_nothing_else(store: Path) -> None:
    extra = store / "housing/1/assets.extra"
    page, card = ((extra / name).read_text() for name in ("report.html", "model_card.md"))
    assert not re.search(r"<script|<link|url\(|https?:", page)
    assert "All test rows" in page
    contract = from_json((extra / "contract.json").read_bytes())
    assert contract.digest in page
    assert contract.digest in card
    assert "1990" in card


def test_tensorboard_s_event_files_are_written_on_request(
    first_job: "tuple[Path, subprocess.CompletedProcess[str]]",
) -> None:
    store, _ = first_job
    (run,) = (store.parent / "events" / "housing").iterdir()
    assert [len(list((run / part).glob("events.out.tfevents.*"))) for part in ("train", "validation")] == [1, 1]


# --- what goes wrong ends in one sentence, exit code 1 and an unchanged store -----------------------------


def test_a_worse_model_than_the_published_one_is_refused_whatever_the_bound(store: Path) -> None:
    before = content(store)
    worse = job(store, "housing", *WORSE)
    assert worse.returncode == 1
    assert worse.stderr.startswith("housing: not published: on the same test rows its rmse is ")
    assert "that of version 1 " in worse.stderr
    assert len(worse.stderr.splitlines()) == 1
    assert content(store) == before


def test_a_version_that_was_published_meanwhile_is_compared_with_too(store: Path, tmp_path: Path) -> None:
    """Two jobs at once: the one that comes second to the store must not put a worse model on top of the better one."""
    model = tmp_path / "contested" / "housing"
    model.mkdir(parents=True)
    command = [sys.executable, "-m", "training", "housing", *WORSE, "--store", str(model.parent)]
    with (model / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        late = subprocess.Popen(
            command,
            env={**environment(), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert late.stdout is not None
        assert any("waiting for another publisher" in line for line in late.stdout)
        shutil.copytree(store / "housing" / "1", model / "1")
    _, words = late.communicate(timeout=240)
    assert late.returncode == 1
    assert words.startswith("housing: not published: on the same test rows its rmse is ")
    assert list(versions(model)) == [1]


def test_a_version_that_cannot_be_asked_is_named_and_an_older_one_asked_instead(store: Path) -> None:
    (store / "housing" / "2").mkdir()
    worse = job(store, "housing", *WORSE)
    assert worse.returncode == 1
    assert f"housing: not compared with version 2: {store}/housing/2: its contract cannot be read" in worse.stdout
    assert "that of version 1 " in worse.stderr


def test_a_split_that_leaks_is_refused_before_anything_is_trained(store: Path) -> None:
    before = content(store)
    done = job(store, "housing", *QUICKER, module="tests.integration.leaking_job")
    assert done.returncode == 1
    assert done.stderr == (
        "housing: nothing was trained: of 4128 test rows 5 are known already (5 train rows): "
        "no figure of such a split means what it says\n"
    )
    assert "epoch" not in done.stdout
    assert content(store) == before


def test_a_disk_that_takes_no_more_ends_in_a_sentence(store: Path) -> None:
    """A file may grow to so many bytes and no further: the system refuses the write, as on a full disk."""
    before = content(store)
    done = job(store, "housing", *QUICKER, "--seed", "3", module="tests.integration.full_disk_job")
    assert done.returncode == 1
    assert done.stderr.startswith(f"nothing was published: {store}/housing/.staging-")
    assert done.stderr.endswith(": cannot be written: File too large\n")
    assert len(done.stderr.splitlines()) == 1
    assert content(store) == before


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


@pytest.mark.parametrize(
    ("share", "words"),
    [("0.00001", "intervals: level 0.9 needs 9"), ("0.002", "domain score: level 0.99 needs 99")],
)
def test_too_few_rows_to_calibrate_with_are_told_before_anything_is_fitted(
    tmp_path: Path, share: str, words: str
) -> None:
    done = job(tmp_path, "housing", *QUICKER, "--set", f"calibration_share={share}")
    assert done.returncode == 1
    assert done.stderr.startswith(f"housing: calibration_share is too small for the {words} calibration rows or more")
    assert "epoch" not in done.stdout


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = job(tmp_path / "file", "housing", *QUICKER)
    assert done.returncode == 1
    assert str(tmp_path / "file") in done.stderr.splitlines()[-1]


def test_the_whole_job_killed_while_it_exports_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    """The real exporter this time, killed as soon as its first file shows."""
    model = tmp_path / "housing"
    (model / "1").mkdir(parents=True)
    command = [
        sys.executable,
        "-m",
        "training",
        "housing",
        *QUICKER,
        "--store",
        str(tmp_path),
        "--runs-dir",
        f"{tmp_path}-runs",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 240
        while not list(model.glob(".staging-*/*")):
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


def test_prune_removes_nothing_where_there_is_no_such_store_or_nothing_of_what_is_to_be_protected(
    tmp_path: Path,
) -> None:
    for version in ("1", "2", "3"):
        (tmp_path / "housing" / version).mkdir(parents=True)
    misspelt = job(tmp_path, "prune", "--keep", "1", "--protect", "huosing/1", "--protect", "housing/9")
    words = f"nothing was removed: {tmp_path} has no huosing/1, housing/9 to protect\n"
    assert (misspelt.returncode, misspelt.stderr) == (1, words)
    away = job(tmp_path / "nowhere", "prune", "--keep", "1")
    assert (away.returncode, away.stderr) == (1, f"there is no store {tmp_path}/nowhere\n")
    assert list(versions(tmp_path / "housing")) == [1, 2, 3]
