"""Publishing by real processes: killed at every step, racing each other, and while somebody reads."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.training_data import config, houses
from training.store import PUBLISH_STEPS, publish, remove, versions

AFTER_THE_RENAME = ("renamed", "published")


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small real SavedModel with its contract."""
    from datetime import UTC, datetime

    from training.describe import describe
    from training.evaluate import evaluate
    from training.export import export
    from training.models import build_model, predict

    dataset, settings = houses(), config()
    model = build_model(settings, dataset)
    evaluation = evaluate(dataset, predict(model, dataset, dataset.test))
    contract = describe(model, dataset, settings, seed=1, evaluation=evaluation, now=datetime.now(UTC))
    folder = tmp_path_factory.mktemp("artefact") / "1"
    folder.mkdir()
    export(model, contract, folder)
    return folder


def publisher(model: Path, artefact: Path, fatal: str = "none") -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.integration.publisher", str(model), str(artefact), fatal]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def published_by(process: "subprocess.Popen[str]") -> int:
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return int(out)


@pytest.mark.parametrize("step", [*PUBLISH_STEPS, "half-written"])
def test_a_publisher_killed_at_any_step_leaves_whole_versions_only(step: str, tmp_path: Path, artefact: Path) -> None:
    from training.verify import verify

    model = tmp_path / "houses"
    assert published_by(publisher(model, artefact)) == 1

    killed = publisher(model, artefact, fatal=step)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL

    expected = [1, 2] if step in AFTER_THE_RENAME else [1]
    assert list(versions(model)) == expected
    for folder in versions(model).values():
        verify(folder)

    # The next publisher is not held up, takes a number nobody had, and clears away what the dead one left.
    number = published_by(publisher(model, artefact))
    assert list(versions(model)) == [*expected, number]
    assert number > expected[-1]
    verify(model / str(number))
    assert not list(model.glob(".staging-*"))


def test_publishers_that_race_all_succeed_with_different_numbers(tmp_path: Path, artefact: Path) -> None:
    model = tmp_path / "houses"
    racers = [publisher(model, artefact) for _ in range(6)]
    numbers = [published_by(racer) for racer in racers]
    assert sorted(numbers) == [1, 2, 3, 4, 5, 6]
    assert list(versions(model)) == [1, 2, 3, 4, 5, 6]
    assert not list(model.glob(".staging-*"))


def test_a_live_publisher_s_staging_is_left_alone_by_one_that_waits(tmp_path: Path, artefact: Path) -> None:
    model = tmp_path / "houses"
    second: list[subprocess.Popen[str]] = []

    def start_another(_: Path) -> None:
        process = publisher(model, artefact)
        second.append(process)
        # It has opened the lock once it shows among the processes that hold the file open.
        deadline = time.monotonic() + 60
        while not has_open(process.pid, model / ".lock"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert process.poll() is None

    number = publish(
        model, write=lambda folder: shutil.copytree(artefact, folder, dirs_exist_ok=True), verify=start_another
    )
    assert number == 1
    assert published_by(second[0]) == 2


def has_open(pid: int, path: Path) -> bool:
    try:
        return any(link.readlink() == path for link in Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:
        return False


def test_a_reader_never_sees_half_a_version(tmp_path: Path, artefact: Path) -> None:
    """Polls as TF Serving does while versions come and go: whatever numeric folder it lists is whole, or is gone."""
    model, files = tmp_path / "houses", content(artefact)
    assert published_by(publisher(model, artefact)) == 1
    seen: set[int] = set()
    with subprocess.Popen([sys.executable, "-c", CHURN, str(model), str(artefact)]) as churn:
        while churn.poll() is None:
            for number, folder in versions(model).items():
                found = content(folder)
                if folder.exists():  # else it was removed while we looked
                    assert found == files
                    seen.add(number)
    assert churn.returncode == 0
    assert len(seen) > 2
    assert list(versions(model)) == [61]


def content(folder: Path) -> list[str]:
    return sorted(str(Path(parent, name).relative_to(folder)) for parent, _, names in os.walk(folder) for name in names)


CHURN = """
import shutil, sys
from pathlib import Path
from training.store import publish, remove
model, source = Path(sys.argv[1]), Path(sys.argv[2])
for _ in range(60):
    number = publish(model, lambda folder: shutil.copytree(source, folder, dirs_exist_ok=True), lambda folder: None)
    remove(model, {number - 1})
"""


def test_removing_the_newest_version_leaves_the_one_before_and_never_gives_its_number_again(
    tmp_path: Path, artefact: Path
) -> None:
    model = tmp_path / "houses"
    assert [published_by(publisher(model, artefact)) for _ in range(2)] == [1, 2]
    remove(model, {2})
    assert list(versions(model)) == [1]
    assert published_by(publisher(model, artefact)) == 3
