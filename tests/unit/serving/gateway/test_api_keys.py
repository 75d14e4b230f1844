import hashlib

import pytest

from serving.environment import SettingError
from serving.errors import TooManyRequests, Unauthenticated
from serving.gateway.api_keys import ApiKey, ApiKeys, make_key, presented_key, read_keys
from tests.fakes import Clock


def api_key(name: str, key: str, rate: float | None = None) -> ApiKey:
    return ApiKey(name, hashlib.sha256(key.encode()).digest(), rate)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def keys(clock):
    return ApiKeys((api_key("ada", "one"), api_key("bob", "two", rate=2.0)), clock)


def test_a_key_names_its_owner(keys):
    assert (keys.admit("one"), keys.admit("two")) == ("ada", "bob")


@pytest.mark.parametrize("presented", [None, "", "guessed", "One", "one ", "ö", "\udcff"])
def test_whoever_shows_no_known_key_is_refused_without_a_word_of_it(keys, presented):
    with pytest.raises(Unauthenticated) as caught:
        keys.admit(presented)

    assert "guessed" not in str(caught.value)


def test_a_key_may_send_a_seconds_requests_at_once_and_then_waits(keys, clock):
    keys.admit("two")
    keys.admit("two")
    with pytest.raises(TooManyRequests, match="may send 2 requests a second") as caught:
        keys.admit("two")
    assert caught.value.retry_after_s == pytest.approx(0.5)

    clock.now += caught.value.retry_after_s
    assert keys.admit("two") == "bob"


def test_another_key_and_one_without_a_limit_do_not_wait(keys):
    keys.admit("two")
    keys.admit("two")

    assert {keys.admit("one") for _ in range(100)} == {"ada"}


def test_a_made_key_is_admitted_by_its_line_and_only_its_hash_is_in_it(tmp_path):
    key, line = make_key("ada@example.org", "0.5")
    file = tmp_path / "keys"
    file.write_text(f"# ours\n\n{line}\n")

    [read] = read_keys(str(file))
    assert (read.name, read.requests_per_second) == ("ada@example.org", 0.5)
    assert ApiKeys((read,)).admit(key) == "ada@example.org"
    assert key not in line
    assert make_key("ada")[0] != make_key("ada")[0]


@pytest.mark.parametrize(("name", "rate"), [("", ""), ("a b", ""), ("x" * 65, ""), ("ada", "fast"), ("ada", "-1")])
def test_a_key_is_not_made_where_its_line_would_be_none(name, rate):
    with pytest.raises(ValueError, match="expected a name"):
        make_key(name, rate)


HASH = "0" * 64


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nobody\n",
        "ada secret-in-the-clear",
        f"ada {HASH}",
        f"ada sha256:{HASH[1:]}",
        f"ada sha256:{HASH} fast",
        f"ada sha256:{HASH} 0",
        f"ada sha256:{HASH}\nada sha256:{'1' * 64}",
    ],
)
def test_a_file_that_is_no_list_of_keys_stops_the_start_and_is_not_repeated(tmp_path, text):
    file = tmp_path / "keys"
    file.write_text(text)

    with pytest.raises(SettingError, match="ATELIER_API_KEYS_FILE: expected") as caught:
        read_keys(str(file))
    assert "secret" not in str(caught.value)


def test_a_file_that_is_not_there_stops_the_start():
    with pytest.raises(SettingError, match="ATELIER_API_KEYS_FILE: nowhere cannot be read"):
        read_keys("nowhere")


@pytest.mark.parametrize(
    ("authorization", "x_api_key", "key"),
    [
        ("Bearer one", None, "one"),
        ("bearer  one ", None, "one"),
        (None, "one", "one"),
        ("", "one", "one"),
        ("Basic b25lOnR3bw==", "one", "one"),
        ("Bearer one", "two", "one"),
        ("Bearer", None, ""),
        ("Basic b25lOnR3bw==", None, None),
        (None, None, None),
    ],
)
def test_a_key_comes_in_either_of_two_headers(authorization, x_api_key, key):
    assert presented_key(authorization, x_api_key) == key
