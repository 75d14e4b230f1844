"""Values of raw tensors: read as instances are, refused in the same words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.contract import ModelContract
from serving.errors import InvalidInput
from serving.gateway.instances import read_instances
from serving.gateway.raw_tensors import RawTensor, TensorBatch
from serving.gateway.tensor_values import read_tensors
from tests.fakes import house_contract, picture_contract, with_raw_signature
from tests.unit.serving.gateway.test_raw_tensors import WIDE_AND_DEEP

PICTURES, HOUSES = picture_contract(), house_contract()
RAMP = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)


def pixels(values: object, datatype: str = "UINT8", rows: int = 2) -> TensorBatch:
    return TensorBatch((RawTensor("pixels", datatype, (rows, 2, 3), values),))  # type: ignore[arg-type]


def features(values: object, datatype: str = "FP32", rows: int = 1) -> TensorBatch:
    return TensorBatch((RawTensor("features", datatype, (rows, 2), values),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "batch",
    [
        pixels(RAMP.tobytes()),
        pixels(RAMP.ravel().tolist()),
        pixels(RAMP.tolist()),
        pixels(RAMP.astype("<i8").tobytes(), "INT64"),
        pixels(RAMP.astype("<u2").tobytes(), "UINT16"),
    ],
    ids=["bytes", "flat", "nested", "INT64", "UINT16"],
)
@pytest.mark.parametrize(("contract", "dtype"), [(PICTURES, np.float32), (with_raw_signature(PICTURES), np.uint8)])
def test_pixels_become_what_the_same_instances_become(batch: TensorBatch, contract: ModelContract, dtype: type):
    expected = read_instances(contract, RAMP.tolist())["pixels"]

    array = read_tensors(contract, batch)["pixels"]

    assert array.dtype == dtype
    np.testing.assert_array_equal(expected, array)


@given(st.lists(st.floats(allow_nan=False, width=32), min_size=2, max_size=2), st.sampled_from(["<f4", "<f8"]))
def test_features_become_what_the_same_instance_becomes_or_are_refused_alike(row: list[float], dtype: str):
    datatype = {"<f4": "FP32", "<f8": "FP64"}[dtype]
    try:
        expected = read_instances(HOUSES, [row])["features"]
    except InvalidInput as refused:
        words = [violation.detail for violation in refused.violations]
        with pytest.raises(InvalidInput) as refused_too:
            read_tensors(HOUSES, features(np.array(row, dtype).tobytes(), datatype))
        assert words == [violation.detail for violation in refused_too.value.violations]
    else:
        np.testing.assert_array_equal(
            expected, read_tensors(HOUSES, features(np.array(row, dtype).tobytes(), datatype))["features"]
        )


@pytest.mark.parametrize(
    ("datatype", "row"),
    [
        ("UINT8", [0, 255]),
        ("INT8", [-128, 127.0]),
        ("INT64", [-(2**63), 2**63 - 1]),
        ("UINT64", [0, 2**64 - 1]),
        ("INT16", [-0.0, 3.0]),
    ],
)
def test_whole_numbers_up_to_the_ends_of_their_datatype_are_taken(datatype: str, row: list[float]):
    np.testing.assert_array_equal([np.float32(row)], read_tensors(HOUSES, features(row, datatype))["features"])


def test_other_datatypes_take_any_number():
    np.testing.assert_array_equal(
        [np.float32([8.3252, -122.23])], read_tensors(HOUSES, features([8.3252, -122.23]))["features"]
    )


PIXEL = "expected an integer from 0 to 255, got "
REFUSALS = {
    "a byte short": (pixels(bytes(11)), "/inputs/0/data", "expected 12 values, got 11"),
    "a byte too many": (pixels(bytes(13)), "/inputs/0/data", "expected 12 values, got 13"),
    "half a number": (features(bytes(7)), "/inputs/0/data", "expected 8 bytes, got 7"),
    "a value short": (pixels([0] * 11), "/inputs/0/data", "expected 12 values, got 11"),
    "nothing": (pixels([]), "/inputs/0/data", "expected 12 values, got 0"),
    "nested otherwise": (pixels([[0, 0], [0, 0]]), "/inputs/0/data", "nested as the shape says"),
    "a large pixel": (pixels([0] * 11 + [256]), "/inputs/0/data/11", PIXEL + "a larger number"),
    "a large pixel, nested": (pixels([[[0] * 3] * 2, [[0] * 3, [0, 0, -1]]]), "/inputs/0/data/1/1/2", "a smaller"),
    "a large pixel, in bytes": (pixels(np.full(12, 256, "<i2").tobytes(), "INT16"), "/inputs/0/data/0", "a larger"),
    "a fraction": (pixels([0] * 3 + [0.5] + [0] * 8), "/inputs/0/data/3", PIXEL + "a fraction"),
    "a text": (pixels(["secret"] + [0] * 11), "/inputs/0/data/0", PIXEL + "a string"),
    "a boolean": (pixels([True] + [0] * 11), "/inputs/0/data/0", PIXEL + "a boolean"),
    "not a number": (
        features(np.array([1, np.nan], "<f4").tobytes()),
        "/inputs/0/data/1",
        "expected a finite 32-bit number, got one that is not",
    ),
    "beyond 32 bits": (features(np.array([1e39, 1]).tobytes(), "FP64"), "/inputs/0/data/0", "a finite 32-bit number"),
    "a fraction for an integer": (
        features([41, 8.3252], "INT64"),
        "/inputs/0/data/1",
        "expected an integer from -9223372036854775808 to 9223372036854775807, as INT64 is, got a fraction",
    ),
    "a number below its datatype": (
        features([41, -122.23], "UINT8"),
        "/inputs/0/data/1",
        "expected an integer from 0 to 255, as UINT8 is, got a smaller number",
    ),
    "a number above its datatype": (
        features([300, 1], "UINT8"),
        "/inputs/0/data/0",
        "as UINT8 is, got a larger number",
    ),
    "a number just above its datatype": (features([2**63, 1], "INT64"), "/inputs/0/data/0", "got a larger number"),
    "a number beyond any datatype": (features([10**400, 1], "INT64"), "/inputs/0/data/0", "a finite 32-bit number"),
    "a pixel above its datatype": (
        pixels([0] * 11 + [200], "INT8"),
        "/inputs/0/data/11",
        "expected an integer from -128 to 127, as INT8 is, got a larger number",
    ),
    "a boolean for an integer": (features([True, 1], "INT64"), "/inputs/0/data/0", "expected a number, got a boolean"),
    "null": (features([1, None]), "/inputs/0/data/1", "expected a number, got null"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_values_that_break_the_contract_are_refused_with_their_place(name: str):
    batch, pointer, words = REFUSALS[name]

    with pytest.raises(InvalidInput) as refused:
        read_tensors(HOUSES if "features" in batch.inputs[0].name else PICTURES, batch)

    first = refused.value.violations[0]
    assert first.pointer == pointer
    assert words in first.detail
    assert "secret" not in str(refused.value)


def test_tensors_that_share_a_feature_must_agree_on_it():
    wide = RawTensor("wide", "FP32", (2, 1), [4, 5])

    inputs = read_tensors(WIDE_AND_DEEP, TensorBatch((wide, RawTensor("deep", "FP32", (2, 2), [[3, 4], [3, 5]]))))
    assert inputs["deep"].tolist() == [[3, 4], [3, 5]]

    with pytest.raises(InvalidInput, match="expected the values of age that another input has, got others"):
        read_tensors(WIDE_AND_DEEP, TensorBatch((wide, RawTensor("deep", "FP32", (2, 2), [[3, 4], [3, 6]]))))
