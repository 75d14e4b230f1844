import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.model_server.json_writer import debug_string, error_document, quoted, to_bytes


@given(st.text())
def test_a_quoted_string_reads_back(text: str) -> None:
    assert json.loads(quoted(text)) == text


def test_control_characters_are_upper_case_hex() -> None:
    assert quoted('"\\/\b\f\n\r\t\x1f\x7f') == '"\\"\\\\/\\b\\f\\n\\r\\t\\u001F\x7f"'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (18446744073709551615, "18446744073709551615"),
        (18446744073709551616, "18446744073709552000.0"),
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (123.456, "123.456"),
        (0.00012, "0.00012"),
        (1e-6, "0.000001"),
        (1.5e-7, "1.5e-7"),
        (1e20, "100000000000000000000.0"),
        (1e21, "1e21"),
        (1.234e33, "1.234e33"),
        (5e-324, "5e-324"),
        ([1, [2, "a"]], '[1, [2, "a"]]'),
        ({}, "{}"),
        ({"a": [], "b": {"c": 1}}, '{\n    "a": [],\n    "b": {\n        "c": 1\n    }\n}'),
        ([{"a": 1}], '[{\n        "a": 1\n    }]'),
    ],
)
def test_values_are_quoted_as_rapidjson_prints_them(value: object, text: str) -> None:
    assert debug_string(value) == text


def test_long_values_are_cut_after_the_token_that_passes_256_bytes() -> None:
    text = debug_string(list(range(1000)))
    assert text == ("[" + ", ".join(map(str, range(1000))))[: len(text)]
    assert 256 <= len(text) <= 261


def test_writing_ends_at_a_number_that_json_lacks() -> None:
    assert debug_string([1, float("nan"), 2]) == "[1"


def test_bytes_that_are_no_utf8_go_out_as_they_came() -> None:
    assert to_bytes("\udcff") == b"\xff"
    assert error_document("a\n") == b'{\n    "error": "a\\n"\n}'
