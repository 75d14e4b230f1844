from pathlib import Path

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.environment import SettingError
from serving.stack import EmptyStore, Settings, model_server_part, models_in, published_models, write_model_config


def test_the_model_server_gets_the_threads_that_the_setting_names():
    command = model_server_part(Settings(model_server_op_threads=3), Path("models.config"), {}).command

    assert "--tensorflow_intra_op_parallelism=3" in command


def test_what_the_environment_says_of_the_model_servers_memory_and_log_stands():
    def environ(**given):
        return model_server_part(Settings(), Path("models.config"), given).environment

    assert environ()["MALLOC_ARENA_MAX"] == "2"
    assert environ(MALLOC_ARENA_MAX="8")["MALLOC_ARENA_MAX"] == "8"


@pytest.mark.parametrize("asked", ["-1", "many"])
def test_a_number_of_threads_that_is_none_stops_the_start_and_is_named(asked):
    with pytest.raises(SettingError, match="ATELIER_MODEL_SERVER_OP_THREADS"):
        Settings.from_env({"ATELIER_MODEL_SERVER_OP_THREADS": asked})


def test_a_model_that_is_removed_from_the_store_does_not_hold_up_the_others():
    command = model_server_part(Settings(), Path("models.config"), {}).command

    assert "--serve_without_missing_models" in command


def publish(store: Path, model: str, version: str = "1") -> None:
    (store / model / version).mkdir(parents=True)


@pytest.mark.parametrize("folder", ["1.tmp", "2024-reports", "1_0", "9223372036854775808"])
def test_a_folder_is_a_version_only_if_its_whole_name_is_a_number(tmp_path, folder):
    publish(tmp_path, "fashion", "001")
    publish(tmp_path, "housing", folder)

    assert models_in(tmp_path) == ("fashion",)


def test_a_file_is_no_version_and_no_model(tmp_path):
    publish(tmp_path, "housing", "notes")
    (tmp_path / "housing" / "1").touch()
    (tmp_path / "readme").touch()

    assert models_in(tmp_path) == ()


@pytest.mark.parametrize("folder", [".trash", "a,b", " a", "a\nb", "caf\udce9"])
def test_a_folder_that_is_hidden_or_has_a_name_that_no_list_can_hold_is_no_model(tmp_path, folder):
    publish(tmp_path, folder)

    assert models_in(tmp_path) == ()


def test_where_nothing_is_there_is_no_model(tmp_path):
    assert models_in(tmp_path / "nowhere") == ()
    with pytest.raises(EmptyStore, match="no model is published"):
        published_models(tmp_path / "nowhere")


def test_any_name_comes_through_to_the_model_server(tmp_path):
    names = ('we"ird', "back\\slash", "it's", "modèle")
    write_model_config(names, tmp_path, tmp_path / "models.config")

    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((tmp_path / "models.config").read_text(encoding="utf-8"), config)

    models = config.model_config_list.config
    assert [(model.name, model.base_path) for model in models] == [(name, str(tmp_path / name)) for name in names]
