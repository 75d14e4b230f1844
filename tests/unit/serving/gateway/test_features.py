import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.contract import Feature, FeatureInput, FeatureTensor
from serving.errors import InvalidInput
from serving.gateway.features import _accept, _explain, read_features

NAMES = ["rooms", "age"]
SPEC = FeatureInput(
    tuple(Feature(name, "1", name, 0, 1) for name in NAMES),
    (FeatureTensor("wide", ("age",)), FeatureTensor("deep", ("rooms", "age"))),
)


def violations(*instances: object) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        read_features(SPEC, list(instances))
    return {v.pointer: v.detail for v in caught.value.violations}


def test_objects_and_lists_fill_the_tensors_in_the_contracts_order():
    tensors = read_features(SPEC, [{"age": 2, "rooms": 1.5}, [3, 4]])

    assert {"wide": np.float32, "deep": np.float32} == {name: tensor.dtype for name, tensor in tensors.items()}
    np.testing.assert_array_equal([[2], [4]], tensors["wide"])
    np.testing.assert_array_equal([[1.5, 2], [3, 4]], tensors["deep"])


def test_values_outside_the_training_range_are_taken():
    np.testing.assert_array_equal([[-1000, 2.0**100]], read_features(SPEC, [[-1000, 2.0**100]])["deep"])


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        ("west", "expected a number, got a string"),
        (None, "expected a number, got null"),
        (True, "expected a number, got a boolean"),
        ([1], "expected a number, got an array"),
        ({}, "expected a number, got an object"),
        (1e39, "expected a finite 32-bit number, got one that is not"),
        pytest.param(10**400, "expected a finite 32-bit number, got one that is not", id="beyond floats"),
        (float("nan"), "expected a finite 32-bit number, got one that is not"),
        (float("-inf"), "expected a finite 32-bit number, got one that is not"),
    ],
)
def test_a_wrong_value_is_pointed_at_by_name_or_position(value, detail):
    assert {"/instances/0/age": detail} == violations({"rooms": 1, "age": value})
    assert {"/instances/1/1": detail} == violations([1, 2], [1, value])


def test_a_missing_and_an_unknown_feature_are_both_named():
    assert violations({"rooms": 1, "cellar": 2}) == {
        "/instances/0/age": "expected a number, but the feature is missing",
        "/instances/0/cellar": "unknown feature; expected only rooms, age",
    }


def test_an_unknown_feature_more_is_refused():
    assert list(violations({"rooms": 1, "age": 2, "a/b": 3})) == ["/instances/0/a~1b"]


@pytest.mark.parametrize(
    ("instance", "detail"),
    [
        ([1], "expected 2 numbers (rooms, age), got an array of 1"),
        ([], "expected 2 numbers (rooms, age), got an array of 0"),
        (7, "expected an object by feature name or an array of 2 numbers, got a number"),
        (None, "expected an object by feature name or an array of 2 numbers, got null"),
    ],
)
def test_refuses_what_is_no_row(instance, detail):
    assert {"/instances/0": detail} == violations(instance)


numbers = st.integers() | st.floats() | st.just(10**400)
values = st.one_of(numbers, numbers, st.booleans(), st.none(), st.just("x"), st.lists(st.just(1), max_size=1))
instances = st.one_of(
    st.fixed_dictionaries({"rooms": numbers, "age": numbers}),
    st.dictionaries(st.sampled_from([*NAMES, "cellar"]), values, max_size=3),
    st.lists(values, max_size=3),
    values,
)


@given(st.lists(instances, min_size=1, max_size=3))
def test_the_fast_path_refuses_exactly_what_the_slow_one_explains(batch):
    accepted = _accept(NAMES, batch) is not None
    explained = list(_explain(NAMES, batch))

    assert accepted == (not explained)
