import gzip
import stat
from pathlib import Path

import numpy as np
import pytest

from training import fashion_mnist
from training.fashion_mnist import IDX_FILES, debian_arrays, idx_folder
from training.sources import SourceUnavailable


def idx(array: np.ndarray) -> bytes:
    shape = np.array(array.shape, ">u4").tobytes()
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + shape + array.tobytes())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four tiny idx files: two training images of 2 x 2, one test image."""
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    images, labels = np.arange(8, dtype=np.uint8).reshape(2, 2, 2), np.array([3, 9], np.uint8)
    for key, array in zip(IDX_FILES, (images, labels, images[:1], labels[:1]), strict=True):
        (folder / IDX_FILES[key]).write_bytes(idx(array))
    return folder


def test_reads_the_four_files(folder: Path) -> None:
    arrays = idx_folder(folder)
    assert list(arrays) == ["train_images", "train_labels", "test_images", "test_labels"]
    np.testing.assert_array_equal(arrays["train_images"], np.arange(8).reshape(2, 2, 2))
    np.testing.assert_array_equal(arrays["test_labels"], [3])


def test_names_the_folder_or_the_files_that_are_not_there(folder: Path) -> None:
    with pytest.raises(SourceUnavailable, match="nowhere does not exist"):
        idx_folder(folder / "nowhere")
    (folder / IDX_FILES["test_labels"]).unlink()
    with pytest.raises(SourceUnavailable, match=r"lacks t10k-labels-idx1-ubyte\.gz"):
        idx_folder(folder)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no gzip", "cannot be read"),
        (idx(np.zeros(9, np.uint8))[:-9], "cannot be read"),
        (gzip.compress(b"\x00\x00\x0d\x01\x00\x00\x00\x01abcd"), "not an idx file of unsigned bytes"),
        (gzip.compress(b"\x00\x00\x08\x03\x00"), "not an idx file of unsigned bytes"),
        (gzip.compress(b"\x00\x00\x08\x01\x00\x00\x00\x05abc"), r"announces \(5,\) and holds 3 values"),
    ],
    ids=["no gzip", "cut gzip", "floats", "cut header", "too few values"],
)
def test_names_a_file_that_is_broken(folder: Path, content: bytes, words: str) -> None:
    (folder / IDX_FILES["train_labels"]).write_bytes(content)
    with pytest.raises(SourceUnavailable, match=f"train-labels-idx1-ubyte.gz.*{words}"):
        idx_folder(folder)


# --- Debian's package, with programs that behave like apt-get and dpkg-deb ---------------------------


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def programs(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An apt-get that downloads, and a dpkg-deb that unpacks, the tiny files."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program(programs, "apt-get", '[ "$3" = update ] && exit 100; cp "$2" "$0.conf"; touch "$4.deb"')
    program(programs, "dpkg-deb", f'mkdir -p "$3/usr/share/datasets" && cp -r {folder} "$3/usr/share/datasets/"')
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return programs


def test_keeps_what_debian_s_package_brings(programs: Path, tmp_path: Path) -> None:
    kept = tmp_path / "data" / "fashion-mnist"
    arrays = debian_arrays(kept, lambda _: None)
    np.testing.assert_array_equal(idx_folder(kept)["train_images"], arrays["train_images"])
    assert [path.name for path in kept.parent.iterdir()] == ["fashion-mnist"]


def test_gives_apt_lists_and_a_cache_of_its_own(programs: Path, tmp_path: Path) -> None:
    debian_arrays(tmp_path / "data" / "fashion-mnist", lambda _: None)
    config = (programs / "apt-get.conf").read_text()
    assert f'Dir::State::Lists "{tmp_path}/data/' in config
    assert f'Dir::Cache "{tmp_path}/data/' in config


def test_says_what_apt_said_when_it_cannot_download(programs: Path, tmp_path: Path) -> None:
    program(programs, "apt-get", 'echo "E: Unable to locate package $4" >&2; exit 100')
    with pytest.raises(SourceUnavailable, match="E: Unable to locate package dataset-fashion-mnist"):
        debian_arrays(tmp_path / "data" / "fashion-mnist", lambda _: None)
    assert list((tmp_path / "data").iterdir()) == []


def test_a_machine_without_apt_is_no_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceUnavailable, match="no apt-get"):
        debian_arrays(tmp_path / "data" / "fashion-mnist", lambda _: None)


def test_no_source_s_name_tells_a_path_of_this_machine(tmp_path: Path) -> None:
    """The name goes into the contract, which every client can read."""
    for source in fashion_mnist.sources(tmp_path, lambda _: None):
        assert "/" not in source.name
