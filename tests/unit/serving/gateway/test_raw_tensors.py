"""What tensor-level clients may send of a contract, and in which form."""

import pytest

from serving.contract import FeatureTensor, ImageInput
from serving.errors import InvalidInput
from serving.gateway.raw_tensors import RawTensor, TensorBatch, TensorSpec, check_form, input_specs, output_specs
from tests.fakes import full_house_contract, full_picture_contract, house_contract, picture_contract

PIXELS = RawTensor("pixels", "UINT8", (1, 2, 3), bytes(6))
WIDE_AND_DEEP = house_contract(
    input=house_contract().input.__class__(
        house_contract().input.features,
        (FeatureTensor("wide", ("age",)), FeatureTensor("deep", ("rooms", "age"))),
    )
)


def test_an_image_is_sent_raw_and_all_promised_outputs_come_back():
    contract = full_picture_contract()

    assert input_specs(contract) == (TensorSpec("pixels", "UINT8", (-1, 2, 3)),)
    assert output_specs(contract) == (TensorSpec("probabilities", "FP32", (-1, 3)), TensorSpec("mean", "FP32", (-1, 1)))


def test_features_are_sent_as_the_models_tensors():
    assert input_specs(WIDE_AND_DEEP) == (TensorSpec("wide", "FP32", (-1, 1)), TensorSpec("deep", "FP32", (-1, 2)))
    assert [spec.name for spec in output_specs(full_house_contract())] == ["value", "low", "high", "largest"]


@pytest.mark.parametrize(
    ("minimum", "maximum", "datatype"),
    [(0, 255, "UINT8"), (-1, 1, "INT8"), (0, 4095, "UINT16"), (-300, 300, "INT16"), (0, 2**20, "UINT32")],
)
def test_the_datatype_of_an_image_is_the_smallest_that_holds_its_range(minimum: int, maximum: int, datatype: str):
    contract = picture_contract(input=ImageInput("pixels", (2, 3), minimum, maximum, 1.0))

    assert input_specs(contract)[0].datatype == datatype


@pytest.mark.parametrize("datatype", ["UINT8", "INT16", "INT32", "INT64"])
def test_any_integers_will_do_for_an_image(datatype: str):
    check_form(picture_contract(), TensorBatch((RawTensor("pixels", datatype, (4, 2, 3), [0] * 24),)))


REFUSALS = {
    "no input": (TensorBatch(()), "/inputs", "expected an input 'pixels', but it is missing"),
    "another input": (
        TensorBatch((PIXELS, RawTensor("secret", "UINT8", (1, 2, 3), bytes(6)))),
        "/inputs/1/name",
        "no such input; expected pixels",
    ),
    "an input twice": (TensorBatch((PIXELS, PIXELS)), "/inputs/1/name", "expected each input once"),
    "scaled pixels": (
        TensorBatch((RawTensor("pixels", "FP32", (1, 2, 3), [0.5] * 6),)),
        "/inputs/0/datatype",
        "expected UINT8 (raw values from 0 to 255, which the service scales), got FP32",
    ),
    "an unknown datatype": (
        TensorBatch((RawTensor("pixels", "secret", (1, 2, 3), [0] * 6),)),
        "/inputs/0/datatype",
        "got another datatype",
    ),
    "no batch": (
        TensorBatch((RawTensor("pixels", "UINT8", (2, 3), bytes(6)),)),
        "/inputs/0/shape",
        "expected [-1, 2, 3], got 2 dimensions",
    ),
    "turned images": (
        TensorBatch((RawTensor("pixels", "UINT8", (1, 3, 2), bytes(6)),)),
        "/inputs/0/shape",
        "expected [-1, 2, 3], got [1, 3, 2]",
    ),
    "an empty batch": (
        TensorBatch((RawTensor("pixels", "UINT8", (0, 2, 3), b""),)),
        "/inputs/0/shape",
        "expected at least one instance, got none",
    ),
    "a negative batch": (
        TensorBatch((RawTensor("pixels", "UINT8", (-1, 2, 3), b""),)),
        "/inputs/0/shape",
        "expected at least one instance, got none",
    ),
    "an output that is none": (
        TensorBatch((PIXELS,), ("probabilities", "mean")),
        "/outputs/1/name",
        "no such output; expected probabilities",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_another_form_is_refused_with_its_place(name: str):
    batch, pointer, words = REFUSALS[name]

    with pytest.raises(InvalidInput) as refused:
        check_form(picture_contract(), batch)

    (violation,) = refused.value.violations
    assert violation.pointer == pointer
    assert words in violation.detail
    assert "secret" not in str(refused.value)


def test_inputs_of_different_lengths_are_refused():
    wide, deep = RawTensor("wide", "FP32", (1, 1), [1]), RawTensor("deep", "FP32", (2, 2), [1, 2, 3, 4])

    with pytest.raises(InvalidInput, match="as many instances in one input as in the other"):
        check_form(WIDE_AND_DEEP, TensorBatch((wide, deep)))


def test_a_thousand_unknown_inputs_are_answered_with_the_first_twenty():
    with pytest.raises(InvalidInput) as refused:
        check_form(picture_contract(), TensorBatch(tuple(RawTensor("x", "", (), []) for _ in range(1000))))

    assert len(refused.value.violations) == 20
