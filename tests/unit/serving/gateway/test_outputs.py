import numpy as np
import pytest

from serving.errors import InvalidInput, ModelServerFault, Violation
from serving.gateway.outputs import check_outputs, output_widths
from tests.fakes import FakeModelServer, full_house_contract, full_picture_contract, house_contract, picture_contract


@pytest.mark.parametrize(
    ("contract", "widths"),
    [
        (picture_contract(), {"probabilities": 3}),
        (full_picture_contract(), {"probabilities": 3, "mean": 1}),
        (house_contract(), {"value": 1}),
        (full_house_contract(), {"value": 1, "low": 1, "high": 1, "largest": 1}),
    ],
    ids=["pictures", "full pictures", "houses", "full houses"],
)
def test_a_contract_promises_the_outputs_it_names(contract, widths):
    assert output_widths(contract) == widths


def full_outputs(**changes: object) -> dict[str, object]:
    outputs = FakeModelServer(full_house_contract()).predict(
        "houses", 1, {"features": np.array([[1, 2], [3, 4]], np.float32)}, 1
    )
    return outputs | changes


def test_outputs_that_no_contract_names_are_left_out():
    assert list(check_outputs(house_contract(), full_outputs(), rows=2)) == ["value"]


@pytest.mark.parametrize("tensor", ["low", "high", "largest"])
def test_every_promised_output_must_be_there_and_sound(tensor):
    contract = full_house_contract()
    assert check_outputs(contract, full_outputs(), rows=2).keys() == output_widths(contract).keys()

    missing = {name: values for name, values in full_outputs().items() if name != tensor}
    with pytest.raises(ModelServerFault, match=tensor):
        check_outputs(contract, missing, rows=2)


@pytest.mark.parametrize("tensor", ["value", "low", "high", "largest"])
@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
def test_an_instance_without_a_finite_answer_is_the_clients_to_change(tensor, number):
    values = np.array([[1], [number]], np.float32)

    with pytest.raises(InvalidInput) as caught:
        check_outputs(full_house_contract(), full_outputs(**{tensor: values}), rows=2)

    assert caught.value.violations == (Violation("/instances/1", "the model has no finite answer to it"),)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({}, "expected an output 'value', got \\[\\]"),
        ({"value": np.zeros((2, 2), np.float32)}, r"expected 'value' as float32 \(2, 1\), got float32 \(2, 2\)"),
        ({"value": np.zeros((1, 1), np.float32)}, r"expected 'value' as float32 \(2, 1\), got float32 \(1, 1\)"),
        ({"value": np.zeros((2, 1), np.float64)}, r"expected 'value' as float32 \(2, 1\), got float64 \(2, 1\)"),
    ],
)
def test_an_output_against_the_contract_is_the_model_servers_fault(outputs, message):
    with pytest.raises(ModelServerFault, match=message):
        check_outputs(house_contract(), outputs, rows=2)
