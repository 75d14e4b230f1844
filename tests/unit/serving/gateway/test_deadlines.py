import pytest
from werkzeug.exceptions import BadRequest

from serving.gateway.deadlines import time_allowed_s


@pytest.mark.parametrize(
    ("asked", "allowed_s"),
    [(None, 10), ("2", 2), ("0.25", 0.25), ("10", 10), ("60", 10), ("9" * 9, 10), ("0.001", 0.001)],
)
def test_the_client_may_ask_for_less_than_the_settings_allow_never_for_more(asked, allowed_s):
    assert time_allowed_s(asked, 10) == allowed_s


@pytest.mark.parametrize(
    "asked", ["", "0", "0.0", "-1", "+1", "1s", "1e3", "nan", "inf", "1_0", ".5", "5.", "1,5", "٣", "1" * 10, "2, 3"]
)
def test_what_is_no_number_of_seconds_is_refused_with_words_and_not_echoed(asked):
    with pytest.raises(BadRequest, match=r"X-Request-Timeout: expected seconds above 0 .* like 2 or 0\.25$"):
        time_allowed_s(asked, 10)
