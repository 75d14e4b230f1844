import shutil
from pathlib import Path

import pytest

from training.store import PUBLISH_STEPS, publish, remove, versions


def write(folder: Path) -> None:
    (folder / "variables").mkdir()
    (folder / "variables" / "data").write_text("weights")


def accept(folder: Path) -> None:
    assert (folder / "variables" / "data").read_text() == "weights"


def hidden(model: Path) -> set[str]:
    return {path.name for path in model.iterdir() if path.name.startswith((".staging-", ".removed-"))}


def test_the_first_version_is_1_and_the_next_are_one_more(tmp_path: Path) -> None:
    model = tmp_path / "store" / "fashion"
    assert [publish(model, write, accept) for _ in range(3)] == [1, 2, 3]
    assert list(versions(model)) == [1, 2, 3]
    assert (model / "3" / "variables" / "data").read_text() == "weights"
    assert hidden(model) == set()


def test_takes_its_steps_in_order(tmp_path: Path) -> None:
    steps: list[str] = []
    publish(tmp_path / "fashion", write, accept, steps.append)
    assert tuple(steps) == PUBLISH_STEPS


def test_nothing_numeric_is_there_before_the_rename(tmp_path: Path) -> None:
    seen: dict[str, list[int]] = {}
    publish(tmp_path / "m", write, accept, lambda step: seen.update({step: list(versions(tmp_path / "m"))}))
    assert {step for step, numbers in seen.items() if numbers} == {"renamed", "published"}


def test_numbers_grow_on_from_versions_that_others_put_there(tmp_path: Path) -> None:
    (tmp_path / "m" / "00000041").mkdir(parents=True)
    assert publish(tmp_path / "m", write, accept) == 42


def test_a_number_does_not_come_back_after_its_version_was_deleted_by_hand(tmp_path: Path) -> None:
    model = tmp_path / "m"
    assert [publish(model, write, accept) for _ in range(2)] == [1, 2]
    shutil.rmtree(model / "2")
    assert publish(model, write, accept) == 3


def test_a_number_does_not_come_back_after_a_crash_that_had_taken_it(tmp_path: Path) -> None:
    def crash(step: str) -> None:
        if step == "numbered":
            raise RuntimeError

    with pytest.raises(RuntimeError):
        publish(tmp_path / "m", write, accept, crash)
    assert publish(tmp_path / "m", write, accept) == 2


@pytest.mark.parametrize("failing", ["write", "verify"])
def test_what_cannot_be_written_or_verified_is_not_published_and_leaves_nothing(tmp_path: Path, failing: str) -> None:
    model = tmp_path / "m"
    publish(model, write, accept)

    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        publish(model, fail if failing == "write" else write, fail if failing == "verify" else accept)
    assert list(versions(model)) == [1]
    assert hidden(model) == set()


def test_a_folder_that_is_no_number_is_no_version(tmp_path: Path) -> None:
    for name in (".staging-1", "1.tmp", "-1", "v1", "1"):
        (tmp_path / name).mkdir()
    assert versions(tmp_path) == {1: tmp_path / "1"}
    assert versions(tmp_path / "absent") == {}


def test_removes_versions_and_remembers_the_newest_number(tmp_path: Path) -> None:
    model = tmp_path / "m"
    for number in ("3", "4", "5"):
        (model / number).mkdir(parents=True)  # no .last-version: put there by another tool
    remove(model, {4, 5, 99})
    assert list(versions(model)) == [3]
    assert hidden(model) == set()
    assert publish(model, write, accept) == 6


def test_a_removal_disappears_in_one_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped before it deleted anything, the removed version is whole, and out of sight."""
    model = tmp_path / "m"
    publish(model, write, accept)

    def stop(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", stop)
    with pytest.raises(KeyboardInterrupt):
        remove(model, {1})
    monkeypatch.undo()
    assert versions(model) == {}
    (grave,) = hidden(model)
    accept(model / grave)
    publish(model, write, accept)
    assert hidden(model) == set()
