import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.model_server.source import (
    BasePathMissing,
    FileSystemStoragePathSource,
    ServableToMonitor,
    find_versions,
)
from tests.conformance.rows import row

WAIT_S = 30.0


def monitored(base: Path, policy: str = "", name: str = "m") -> ServableToMonitor:
    config = model_server_config_pb2.ModelConfig()
    text_format.Parse(f"model_version_policy {{ {policy} }}" if policy else "", config)
    return ServableToMonitor(name, base, config.model_version_policy)


def make(base: Path, *names: str) -> Path:
    for name in names:
        (base / name).mkdir(parents=True)
    return base


def found(base: Path, policy: str = "") -> dict[int, str]:
    return {version: path.name for version, path in find_versions(monitored(base, policy)).items()}


def test_the_highest_number_is_the_latest(tmp_path: Path) -> None:
    assert found(make(tmp_path, "2", "10", "x", ".11", "12.tmp", "1e3")) == {10: "10"}


@row("3.3/2")
def test_names_are_read_as_signed_numbers(tmp_path: Path) -> None:
    assert found(make(tmp_path, "00000123", "-1"), "all {}") == {123: "00000123", -1: "-1"}


def test_numbers_beyond_int64_are_no_versions(tmp_path: Path) -> None:
    assert found(make(tmp_path, "1", "9223372036854775808"), "all {}") == {1: "1"}


@row("3.3/4")
def test_whether_a_version_is_whole_or_a_directory_is_not_checked(tmp_path: Path) -> None:
    (make(tmp_path, "1") / "2").write_text("no directory")
    assert found(tmp_path, "all {}") == {1: "1", 2: "2"}


@row("3.3/3")
def test_of_two_names_for_a_number_the_later_wins(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert found(make(tmp_path, "01", "1")) == {1: "1"}
    assert "Duplicate version directories detected. Version 1 will be loaded from 1, 01 will be ignored." in caplog.text


@row("3.2/2", "3.3/5")
@pytest.mark.parametrize(
    ("policy", "versions"),
    [
        ("latest {}", {3}),
        ("latest { num_versions: 2 }", {2, 3}),
        ("all {}", {1, 2, 3}),
        ("specific { versions: 1 versions: 9 }", {1}),
    ],
)
def test_policies(tmp_path: Path, policy: str, versions: set[int]) -> None:
    assert set(found(make(tmp_path, "1", "2", "3"), policy)) == versions


@row("3.3/6")
def test_a_directory_without_versions_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert found(tmp_path) == {}
    assert f"No versions of servable m found under base path {tmp_path}." in caplog.text


@pytest.mark.parametrize("name", ["nowhere", "no\0where"])
def test_a_missing_base_path_is_no_empty_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(BasePathMissing, match="Could not find base path"):
        find_versions(monitored(tmp_path / name))


class Wishes:
    """Remembers what the source aspires to."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.versions: dict[str, set[int]] = {}

    def __call__(self, name: str, versions: Mapping[int, Path]) -> None:
        with self.changed:
            self.versions[name] = set(versions)
            self.changed.notify_all()

    def wait_for(self, **expected: set[int]) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.versions == expected, WAIT_S), self.versions


@pytest.fixture
def wishes() -> Any:
    return Wishes()


def test_polls_until_stopped(tmp_path: Path, wishes: Wishes) -> None:
    source = FileSystemStoragePathSource(wishes, 0.01)
    source.update([monitored(make(tmp_path, "1"))])
    wishes.wait_for(m={1})
    make(tmp_path, "2")
    wishes.wait_for(m={2})
    source.stop()


def test_polls_once_a_configuration_if_told_to(tmp_path: Path, wishes: Wishes) -> None:
    source = FileSystemStoragePathSource(wishes, 0)
    source.update([monitored(make(tmp_path / "a", "1"), name="a")])
    wishes.wait_for(a={1})
    make(tmp_path / "a", "2")
    source.update([monitored(make(tmp_path / "b", "1"), name="b")])
    wishes.wait_for(a=set(), b={1})
    source.stop()


@row("3.3/1")
def test_a_missing_base_path_stops_the_poll_for_all(tmp_path: Path, wishes: Wishes) -> None:
    source = FileSystemStoragePathSource(wishes, -1)
    source.update([monitored(make(tmp_path / "a", "1"), name="a"), monitored(tmp_path / "b", name="b")])
    source.poll()
    assert wishes.versions == {}
    make(tmp_path / "b", "5")
    source.poll()
    assert wishes.versions == {"a": {1}, "b": {5}}
    source.stop()


def test_a_missing_base_path_is_passed_over_if_told_to(tmp_path: Path, wishes: Wishes) -> None:
    source = FileSystemStoragePathSource(wishes, -1, pass_over_missing=True)
    empty, missing = make(tmp_path / "empty", "x"), tmp_path / "missing"
    bases = {"missing": missing, "empty": empty, "a": make(tmp_path / "a", "1")}
    source.update([monitored(base, name=name) for name, base in bases.items()])
    source.poll()
    assert wishes.versions == {"empty": set(), "a": {1}}
    assert source.without_versions() == {"missing", "empty"}
    source.stop()
