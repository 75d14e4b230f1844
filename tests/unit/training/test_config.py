from pathlib import Path

from training.config import Folders, has_cluster


def test_folders_come_from_the_environment_else_from_the_defaults() -> None:
    assert Folders.from_env({"ATELIER_STORE": "/s", "ATELIER_DATA_DIR": "/d"}) == Folders(Path("/s"), Path("/d"))
    assert Folders.from_env({"ATELIER_RUNS_DIR": "/r"}).runs == Path("/r")
    assert Folders.from_env({"ATELIER_STORE": "gs://bucket/models"}).store == "gs://bucket/models"
    assert Folders.from_env({"XDG_CACHE_HOME": "/c"}) == Folders(Path("models"), Path("/c/atelier"))
    assert Folders.from_env({}) == Folders(Path("models"), Path.home() / ".cache" / "atelier")


def test_a_cluster_is_there_when_tf_config_says_something() -> None:
    assert has_cluster({"TF_CONFIG": "{}"})
    assert not has_cluster({"TF_CONFIG": ""})
    assert not has_cluster({})
