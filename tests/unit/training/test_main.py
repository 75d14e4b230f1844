"""What the job does about several models, with a training that says at once how it went."""

from pathlib import Path

import pytest

from training.__main__ import main
from training.config import TrainingConfig
from training.errors import GateNotMet, WorkerLost


class Training:
    """Takes note of what is trained; fails as it was told."""

    def __init__(self, **failures: BaseException) -> None:
        self.trained: list[str] = []
        self._failures = failures

    def __call__(self, name: str, _config: TrainingConfig, _options: object) -> None:
        self.trained.append(name)
        if name in self._failures:
            raise self._failures[name]


def both(training: Training, store: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("training.__main__.train", training)
    return main(["fashion", "housing", "--store", str(store), *arguments])


def test_a_model_that_is_refused_keeps_no_other_from_being_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    training = Training(fashion=GateNotMet("fashion: not published"))
    assert both(training, tmp_path, monkeypatch) == 1
    assert training.trained == ["fashion", "housing"]
    said = capsys.readouterr()
    assert (said.out, said.err) == ("fashion: not published\n", "fashion: not published\n")  # at once, and at the end


def test_the_end_tells_every_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    training = Training(fashion=OSError(28, "No space left on device"), housing=GateNotMet("housing: not published"))
    assert both(training, tmp_path, monkeypatch) == 1
    assert capsys.readouterr().err == (
        "the store or the data folder: [Errno 28] No space left on device\nhousing: not published\n"
    )


def test_a_model_that_is_there_already_does_not_hide_that_another_was_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "housing" / "1").mkdir(parents=True)
    training = Training(fashion=GateNotMet("fashion: not published"))
    assert both(training, tmp_path, monkeypatch, "--if-missing") == 1
    assert training.trained == ["fashion"]
    assert "housing: version 1 is published; nothing to train" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("failure", "code"),
    [(KeyboardInterrupt(), 130), (WorkerLost("start all again to go on"), 1)],
    ids=["Ctrl-C", "lost"],
)
def test_who_stops_the_job_and_a_lost_worker_stop_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, code: int
) -> None:
    training = Training(fashion=failure)
    assert both(training, tmp_path, monkeypatch) == code
    assert training.trained == ["fashion"]
