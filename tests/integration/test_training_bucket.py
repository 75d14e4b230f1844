"""A store where nothing can be renamed or locked: TensorFlow's file system in memory, a folder taken for a bucket."""

import shutil
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest
import tensorflow as tf

from training.__main__ import main
from training.bucket import BUCKET_STEPS, BucketStore
from training.errors import CannotWrite
from training.stores import FolderStore, model_store, models_in


def write(folder: Path) -> None:
    (folder / "saved_model.pb").write_text("graph")
    (folder / "variables").mkdir()
    (folder / "variables" / "data").write_text("weights")
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "contract.json").write_text("{}")


def accept(folder: Path) -> None:
    assert (folder / "saved_model.pb").read_text() == "graph"


@pytest.fixture
def url() -> str:
    return f"ram://{uuid.uuid4().hex}/models/fashion"


def files(url: str) -> set[str]:
    return {
        f"{parent}/{name}".replace("//", "/").rpartition("/fashion/")[2]
        for parent, _, names in tf.io.gfile.walk(url)
        for name in names
        if ".claims" not in parent
    }


def test_versions_are_numbered_and_come_back_whole(url: str) -> None:
    store = BucketStore(url)
    assert store.versions() == []
    assert [store.publish(write, accept) for _ in range(2)] == [1, 2]
    assert store.versions() == [1, 2]
    for number in (1, 2):
        with store.at_hand(number) as version:
            assert version.name == str(number)
            accept(version)
            assert (version / "variables" / "data").read_text() == "weights"
    with store.at_hand(3) as version:
        assert not version.exists()


def test_the_graph_without_which_no_server_loads_a_version_comes_last(url: str) -> None:
    store, seen = BucketStore(url), {}
    steps: list[str] = []

    def look(step: str) -> None:
        steps.append(step)
        seen[step] = (store.versions(), files(url))

    store.publish(write, accept, look)
    others = {"1/variables/data", "1/assets.extra/contract.json"}
    assert tuple(steps) == BUCKET_STEPS
    assert seen["numbered"] == ([], set())
    assert seen["uploaded"] == ([], others)
    assert seen["published"] == ([1], others | {"1/saved_model.pb"})


@pytest.mark.parametrize("failing", ["write", "verify", "numbered", "uploaded"])
def test_what_fails_on_the_way_leaves_nothing_and_its_number_is_not_given_again(url: str, failing: str) -> None:
    store = BucketStore(url)
    store.publish(write, accept)

    def fail(where: object) -> None:
        if where == failing or isinstance(where, Path):
            raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        store.publish(fail if failing == "write" else write, fail if failing == "verify" else accept, fail)
    assert store.versions() == [1]
    assert {name for name in files(url) if not name.startswith("1/")} == set()
    assert store.publish(write, accept) == (2 if failing in ("write", "verify") else 3)


def test_a_removed_number_does_not_come_back(url: str) -> None:
    store = BucketStore(url)
    assert [store.publish(write, accept) for _ in range(2)] == [1, 2]
    store.remove({2, 99})
    assert store.versions() == [1]
    assert store.publish(write, accept) == 3


def test_numbers_grow_on_from_versions_that_others_put_there(url: str) -> None:
    tf.io.gfile.makedirs(f"{url}/41")
    with tf.io.gfile.GFile(f"{url}/41/saved_model.pb", "w") as graph:
        graph.write("")
    assert BucketStore(url).publish(write, accept) == 42


def test_publishers_that_race_get_different_numbers(tmp_path: Path) -> None:
    url, numbers = f"file://{tmp_path}/fashion", []
    racers = [
        threading.Thread(target=lambda: numbers.append(BucketStore(url).publish(write, accept))) for _ in range(5)
    ]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert len(set(numbers)) == 5
    assert BucketStore(url).versions() == sorted(numbers)


KILLED = """
import os, signal, sys
from training.bucket import BucketStore
from tests.integration.test_training_bucket import accept, write

def die(step):
    if step == "uploaded":
        os.kill(os.getpid(), signal.SIGKILL)

BucketStore(sys.argv[1]).publish(write, accept, die)
"""


def test_a_publisher_killed_before_the_end_leaves_no_version_and_holds_nobody_up(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/fashion"
    assert subprocess.run([sys.executable, "-c", KILLED, url], check=False).returncode == -9
    assert (tmp_path / "fashion" / "1" / "variables" / "data").exists()
    store = BucketStore(url)
    assert store.versions() == []
    assert store.publish(write, accept) == 2


def test_a_bucket_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite, match=f"file://{tmp_path}/file/fashion: "):
        BucketStore(f"file://{tmp_path}/file/fashion").publish(write, accept)


def test_a_path_is_a_folder_and_a_url_a_bucket(url: str, tmp_path: Path) -> None:
    root = url.removesuffix("/fashion")
    assert isinstance(model_store(tmp_path, "fashion"), FolderStore)
    bucket = model_store(root, "fashion")
    assert bucket.publish(write, accept, lambda _: None) == 1
    assert bucket.where(1) == f"{url}/1"
    assert models_in(root) == ["fashion"]
    assert models_in(f"ram://{uuid.uuid4().hex}") == []


def test_the_whole_job_publishes_to_a_url_goes_on_from_there_compares_and_prunes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    url = f"file://{tmp_path}/bucket"

    def job(*arguments: str) -> str:
        assert main([*arguments, "--store", url]) == 0
        return capfd.readouterr().out

    runs = ("--runs-dir", str(tmp_path / "runs"))
    settings = ("--preset", "quick", "--set", "epochs=1", "--set", "gate=5", "--set", "margin=5", *runs)
    assert f"housing: version 1 published to {url}/housing/1 (" in job("housing", *settings)
    second = job("housing", *settings, "--set", "warm_start=1")
    assert "housing: begins with 7 of its 7 weights from version 1" in second
    assert f"housing: version 2 published to {url}/housing/2 (" in second
    assert "nothing to train" in job("housing", *settings, "--if-missing")
    broken = tmp_path / "bucket" / "housing" / "3"
    broken.mkdir()
    (broken / "saved_model.pb").touch()
    assert main(["housing", *settings, "--set", "margin=0", "--set", "learning_rate=1e-5", "--store", url]) == 1
    worse = capfd.readouterr()
    assert "housing: not compared with version 3: " in worse.out
    assert "that of version 2 " in worse.err
    shutil.rmtree(broken)
    assert main(["prune", "--keep", "1", "--protect", "housing/7", "--store", url]) == 1
    assert capfd.readouterr().err == f"nothing was removed: {url} has no housing/7 to protect\n"
    assert main(["prune", "--keep", "1", "--store", f"{url}/nowhere"]) == 1
    assert capfd.readouterr().err == f"there is no store {url}/nowhere\n"
    assert job("prune", "--keep", "1") == "housing: removed 1; kept 2\n"
