import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.model_server.json_parser import _Parser, parse
from serving.model_server.status import Code, StatusError

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON_VALUES, st.booleans(), st.sampled_from([None, 2]))
def test_both_ways_of_reading_agree(value: object, ascii_only: bool, indent: int | None) -> None:
    """The C scanner and the careful parser are one parser to the caller."""
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    assert parse(text) == _Parser(text).document() == value


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The document is empty"),
        (b" ", "The document is empty. at offset: 1"),
        (b"]", "The document is empty. at offset: 0"),
        (b"x", "Invalid value. at offset: 0"),
        (b"nul", "Invalid value. at offset: 3"),
        (b"[tru]", "Invalid value. at offset: 4"),
        (b"[[[", "Invalid value. at offset: 3"),
        (b"[" * 100_000, "Invalid value. at offset: 100000"),
        (b"[1,]", "Invalid value. at offset: 3"),
        (b"[-]", "Invalid value. at offset: 2"),
        (b"[Infinit]", "Invalid value. at offset: 8"),
        (b"[1 2]", "Missing a comma or ] after an array element. at offset: 3"),
        (b"[01]", "Missing a comma or ] after an array element. at offset: 2"),
        (b'{"a":1', "Missing a comma or } after an object member. at offset: 6"),
        (b'{"a" 1}', "Missing a colon after a name of object member. at offset: 5"),
        (b'{"a":1,}', "Missing a name for object member. at offset: 7"),
        (b"{a:1}", "Missing a name for object member. at offset: 1"),
        (b"[1.]", "Miss fraction part in number. at offset: 3"),
        (b"[1e]", "Miss exponent in number. at offset: 3"),
        (b"[1e400]", "Number too big to be stored in double. at offset: 1"),
        (b'["abc', "Missing a closing quotation mark in string. at offset: 5"),
        (b'["\x01"]', "Invalid encoding in string. at offset: 2"),
        (b'["a\\x"]', "Invalid escape character in string. at offset: 3"),
        (b'["\\u12x4"]', "Incorrect hex digit after \\u escape in string. at offset: 2"),
        (b'["\\ud800"]', "The surrogate pair in string is invalid. at offset: 2"),
        (b'["\\udc00"]', "The surrogate pair in string is invalid. at offset: 2"),
        (b'["\\ud800\\u0041"]', "The surrogate pair in string is invalid. at offset: 2"),
    ],
)
def test_says_what_rapidjson_says(body: bytes, message: str) -> None:
    with pytest.raises(StatusError) as caught:
        parse(body)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert caught.value.message == f"JSON Parse error: {message}"


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"[Inf, -Inf, Infinity, -Infinity]", [math.inf, -math.inf, math.inf, -math.inf]),
        (b'{"a": 1} and more', {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": 1, "a": 2}', {"a": 1}),
        (b'[Inf, {"a": 1, "a": 2}]', [math.inf, {"a": 1}]),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"\xff"', "\udcff"),
        (b"[1]\x00]", [1]),
        (b"[1e300, 1E-400, -0]", [1e300, 0.0, 0]),
        (b"[Inf, 123456789012345678901234567890]", [math.inf, 1.2345678901234568e29]),
    ],
)
def test_reads_what_rapidjson_reads(body: bytes, value: object) -> None:
    assert parse(body) == value


def test_nan_is_read() -> None:
    assert all(math.isnan(number) for number in parse(b"[NaN, -NaN]"))
