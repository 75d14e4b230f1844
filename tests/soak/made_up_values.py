"""What made-up requests are made of, whichever door they go to."""

from typing import Any

from hypothesis import strategies as st

# `wait` is left out: it does what it is told, for as long as it is told.
MODELS = [
    *("half_plus_two", "sum_and_diff", "shout", "next_number", "row_times_two", "counter", "two_versions", "nobody"),
    *("half_in_both", "tflite_with_signature"),
]
SIGNATURES = ["", "serving_default", "regress", "classify", "contract", "echo_int8", "echo_string", "incr_counter", "x"]
INPUTS = ["x", "a", "b", "s", "n", "value", "inputs", "probe", "b64", ""]

float32s = st.floats(width=32)
int64s = st.integers(-(2**63), 2**63 - 1)
int32s = st.integers(-(2**31), 2**31 - 1)


def rows_of(item: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(item, min_size=1, max_size=4)
