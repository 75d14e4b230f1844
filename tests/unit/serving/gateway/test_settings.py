import pytest

from serving.environment import SettingError
from serving.gateway.settings import Settings, default_workers


def settings(**variables: str) -> Settings:
    return Settings.from_env({"ATELIER_MODELS": "fashion", **{f"ATELIER_{k}": v for k, v in variables.items()}})


def test_only_the_models_must_be_given():
    assert Settings(models=("fashion",)) == settings()


def test_there_is_more_than_one_worker_by_default():
    assert settings().workers == default_workers() >= 2


def test_the_environment_overrides_the_defaults():
    given = settings(MODEL_SERVER="models:8500", HTTP_PORT="80", WORKERS="1", POLL_INTERVAL_S="0.5", LOG_LEVEL="debug")

    assert (
        given.model_server,
        given.http_port,
        given.workers,
        given.poll_interval_s,
        given.log_level,
    ) == ("models:8500", 80, 1, 0.5, "debug")


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("MODELS", "fashion/1"),
        ("MODELS", "fashion:classify"),
        ("MODEL_SERVER", "localhost"),
        ("MODEL_SERVER", ":8500"),
        ("MODEL_SERVER", "localhost:http"),
        ("MODEL_SERVER", "localhost:0"),
        ("MODEL_SERVER", "localhost:65536"),
        ("MODEL_SERVER", "localhost:" + "9" * 5000),
        ("HTTP_PORT", "0"),
        ("HTTP_PORT", "65536"),
        ("WORKERS", "0"),
        ("THREADS", "0"),
        ("REQUEST_TIMEOUT_S", "0"),
        ("MAX_BODY_BYTES", "100"),
        ("HEADER_TIMEOUT_S", "0"),
        ("BODY_TIMEOUT_S", "-1"),
        ("SEND_TIMEOUT_S", "4000"),
        ("MAX_CONNECTIONS", "0"),
        ("MAX_BUFFERED_BYTES", "1000000"),
        ("MAX_INSTANCES", "0"),
        ("COALESCE_WAIT_S", "1.5"),
        ("POLL_INTERVAL_S", "0"),
        ("GRACE_PERIOD_S", "-1"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_variable(variable, text):
    with pytest.raises(SettingError, match=f"ATELIER_{variable}: expected .*, got "):
        settings(**{variable: text})
