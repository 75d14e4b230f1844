from pathlib import Path

import pytest

from serving.environment import SettingError
from serving.stack import Settings, model_server_part


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
