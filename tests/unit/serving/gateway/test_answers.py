import numpy as np
import pytest

from serving.errors import InvalidInput, ModelServerFault
from serving.gateway.answers import check_output, check_top_k, to_answers
from tests.fakes import house_contract, picture_contract


def test_a_classification_names_the_most_probable_class_and_all_the_others():
    [answer] = to_answers(picture_contract(), np.array([[0.2, 0.5, 0.3]], np.float32), None)

    assert answer == {
        "class_name": "middle",
        "class_id": 1,
        "probability": np.float32(0.5),
        "probabilities": {"left": np.float32(0.2), "middle": np.float32(0.5), "right": np.float32(0.3)},
    }


def test_top_k_lists_the_most_probable_first_and_of_equals_the_first():
    [answer] = to_answers(picture_contract(), np.array([[0.25, 0.5, 0.25]], np.float32), 3)

    assert [choice["class_name"] for choice in answer["top_k"]] == ["middle", "left", "right"]
    assert [choice["class_id"] for choice in answer["top_k"]] == [1, 0, 2]


def test_a_regression_gives_the_value_with_its_unit():
    answers = to_answers(house_contract(), np.array([[4.5], [1.5]], np.float32), None)

    assert answers == [{"value": 4.5, "unit": "EUR"}, {"value": 1.5, "unit": "EUR"}]


@pytest.mark.parametrize(
    ("top_k", "detail"),
    [
        (0, "expected an integer from 1 to 3, got a smaller number"),
        (4, "expected an integer from 1 to 3, got a larger number"),
        (1.0, "expected an integer from 1 to 3, got a number"),
        (True, "expected an integer from 1 to 3, got a boolean"),
        ("1", "expected an integer from 1 to 3, got a string"),
    ],
)
def test_refuses_a_top_k_the_model_has_not(top_k, detail):
    with pytest.raises(InvalidInput) as caught:
        check_top_k(picture_contract(), top_k)

    assert [("/top_k", detail)] == [(v.pointer, v.detail) for v in caught.value.violations]


def test_a_regression_has_no_top_k():
    with pytest.raises(InvalidInput, match="/top_k: only classification has a top_k; this model does regression"):
        check_top_k(house_contract(), 1)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({}, "expected an output 'value', got \\[\\]"),
        ({"value": np.zeros((2, 2), np.float32)}, r"expected 'value' as float32 \(2, 1\), got float32 \(2, 2\)"),
        ({"value": np.zeros((1, 1), np.float32)}, r"expected 'value' as float32 \(2, 1\), got float32 \(1, 1\)"),
        ({"value": np.zeros((2, 1), np.float64)}, r"expected 'value' as float32 \(2, 1\), got float64 \(2, 1\)"),
        ({"value": np.array([[1], [np.nan]], np.float32)}, "expected finite 'value'"),
    ],
)
def test_an_output_against_the_contract_is_the_model_servers_fault(outputs, message):
    with pytest.raises(ModelServerFault, match=message):
        check_output(house_contract(), outputs, rows=2)
