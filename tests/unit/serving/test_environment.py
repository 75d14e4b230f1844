from dataclasses import dataclass, field

import pytest

from serving import environment
from serving.environment import SettingError, require


@dataclass(frozen=True)
class Settings:
    models: tuple[str, ...]
    host: str = "127.0.0.1"
    port: int = 8080
    timeout_s: float = 10.0
    verbose: bool = False
    workers: int = field(default_factory=lambda: 3)

    def __post_init__(self) -> None:
        require(0 < self.port < 65536, "port", "a port from 1 to 65535", self.port)


def test_reads_every_type_from_its_variable():
    environ = {
        "ATELIER_MODELS": "fashion, housing",
        "ATELIER_HOST": "0.0.0.0",
        "ATELIER_PORT": "80",
        "ATELIER_TIMEOUT_S": "0.5",
        "ATELIER_VERBOSE": "True",
        "PATH": "/bin",
    }

    assert Settings(("fashion", "housing"), "0.0.0.0", 80, 0.5, True) == environment.read(Settings, environ)


@pytest.mark.parametrize(("text", "number"), [("10", 10), ("+.5", 0.5), ("2.", 2), ("1e-3", 0.001), ("-1E+2", -100)])
def test_a_number_may_have_a_sign_a_fraction_and_an_exponent(text, number):
    environ = {"ATELIER_MODELS": "fashion", "ATELIER_TIMEOUT_S": text}

    assert environment.read(Settings, environ).timeout_s == number


def test_what_is_not_set_has_its_default():
    assert Settings(("fashion",)) == environment.read(Settings, {"ATELIER_MODELS": "fashion"})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ATELIER_PORT", "eighty", "ATELIER_PORT: expected a whole number, got 'eighty'"),
        ("ATELIER_PORT", "1_000", "ATELIER_PORT: expected a whole number, got '1_000'"),
        ("ATELIER_PORT", "", "ATELIER_PORT: expected a whole number, got ''"),
        ("ATELIER_PORT", "70000", "ATELIER_PORT: expected a port from 1 to 65535, got 70000"),
        ("ATELIER_TIMEOUT_S", "soon", "ATELIER_TIMEOUT_S: expected a number, got 'soon'"),
        ("ATELIER_TIMEOUT_S", "nan", "ATELIER_TIMEOUT_S: expected a number, got 'nan'"),
        ("ATELIER_TIMEOUT_S", "inf", "ATELIER_TIMEOUT_S: expected a number, got 'inf'"),
        ("ATELIER_TIMEOUT_S", "1e999", "ATELIER_TIMEOUT_S: expected a number, got '1e999'"),
        ("ATELIER_TIMEOUT_S", "1_0", "ATELIER_TIMEOUT_S: expected a number, got '1_0'"),
        ("ATELIER_TIMEOUT_S", "١٠", "ATELIER_TIMEOUT_S: expected a number, got '١٠'"),
        ("ATELIER_TIMEOUT_S", ".", "ATELIER_TIMEOUT_S: expected a number, got '.'"),
        ("ATELIER_VERBOSE", "yes", "ATELIER_VERBOSE: expected true or false, got 'yes'"),
        ("ATELIER_HOST", " ", "ATELIER_HOST: expected a text that is not empty, got ' '"),
        ("ATELIER_MODELS", "", "ATELIER_MODELS: expected different names with commas between them, got ''"),
        ("ATELIER_MODELS", "a,,b", "ATELIER_MODELS: expected different names with commas between them, got 'a,,b'"),
        ("ATELIER_MODELS", "a,a", "ATELIER_MODELS: expected different names with commas between them, got 'a,a'"),
    ],
)
def test_a_wrong_value_names_its_variable_and_what_came(name, text, message):
    with pytest.raises(SettingError) as caught:
        environment.read(Settings, {"ATELIER_MODELS": "fashion", name: text})

    assert message == str(caught.value)


def test_a_required_setting_that_is_missing_is_named():
    with pytest.raises(SettingError, match="ATELIER_MODELS: is required"):
        environment.read(Settings, {})


def test_a_misspelt_name_stops_the_start_and_suggests_the_right_one():
    with pytest.raises(SettingError, match=r"ATELIER_PROT: no such setting; did you mean ATELIER_PORT\?"):
        environment.read(Settings, {"ATELIER_MODELS": "fashion", "ATELIER_PROT": "80"})


def test_a_name_like_no_other_is_answered_with_all_that_are_known():
    with pytest.raises(SettingError, match=r"ATELIER_XYZZY: no such setting; known are .*ATELIER_WORKERS"):
        environment.read(Settings, {"ATELIER_MODELS": "fashion", "ATELIER_XYZZY": "80"})


@pytest.mark.parametrize("name", [*sorted(environment.SHARED_NAMES), "ATELIER_OTHER"])
def test_names_of_the_other_processes_are_no_misspellings(name):
    environ = {"ATELIER_MODELS": "fashion", name: "anything"}

    assert Settings(("fashion",)) == environment.read(Settings, environ, also_known={"ATELIER_OTHER"})
