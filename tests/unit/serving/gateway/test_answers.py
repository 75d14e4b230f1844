import numpy as np
import pytest

from serving.contract import PredictionSet
from serving.errors import InvalidInput
from serving.gateway.answers import check_top_k, to_answers
from tests.fakes import CLASS_NAMES, full_house_contract, full_picture_contract, house_contract, picture_contract


def classify(contract, probabilities, top_k=None, **others):
    """The answer to one picture of which the model says this."""
    outputs = {"probabilities": [probabilities], **{name: [[value]] for name, value in others.items()}}
    [answer] = to_answers(contract, {name: np.array(values, np.float32) for name, values in outputs.items()}, top_k)
    return answer


def regress(contract, **outputs):
    return to_answers(contract, {name: np.array(values, np.float32)[:, None] for name, values in outputs.items()}, None)


def test_a_classification_names_the_most_probable_class_and_all_the_others():
    answer = classify(picture_contract(), [0.2, 0.5, 0.3])

    assert answer == {
        "class_name": "middle",
        "class_id": 1,
        "probability": np.float32(0.5),
        "probabilities": {"left": np.float32(0.2), "middle": np.float32(0.5), "right": np.float32(0.3)},
    }


def test_top_k_lists_the_most_probable_first_and_of_equals_the_first():
    answer = classify(picture_contract(), [0.25, 0.5, 0.25], 3)

    assert [choice["class_name"] for choice in answer["top_k"]] == ["middle", "left", "right"]
    assert [choice["class_id"] for choice in answer["top_k"]] == [1, 0, 2]


def test_a_regression_gives_the_value_with_its_unit():
    answers = regress(house_contract(), value=[4.5, 1.5])

    assert answers == [{"value": 4.5, "unit": "EUR"}, {"value": 1.5, "unit": "EUR"}]


def test_a_regression_gives_the_interval_its_contract_promises():
    first, second = regress(full_house_contract(), value=[4.5, 1.5], low=[4, 0], high=[5.5, 2], largest=[3, 3])

    assert first["interval"] == {"level": 0.9, "low": 4, "high": 5.5}
    assert second["interval"] == {"level": 0.9, "low": 0, "high": 2}


@pytest.mark.parametrize(
    ("probabilities", "class_names"),
    [
        ([0.2, 0.5, 0.3], ["middle", "right"]),
        ([0.25, 0.375, 0.375], ["middle", "right", "left"]),
        ([0.1, 0.1, 0.8], ["right"]),
        ([0.21, 0.22, 0.2], []),
    ],
    ids=["some reach it", "as much as it is enough", "only the best reaches it", "none reaches it"],
)
def test_a_prediction_set_has_what_reaches_the_threshold_and_no_more(probabilities, class_names):
    answer = classify(full_picture_contract(), probabilities, mean=0)

    assert answer["prediction_set"] == {"level": 0.9, "class_names": class_names}


def test_a_threshold_is_not_rounded_to_float32():
    probability = float(np.float32(0.3))  # 0.30000001192…
    output = picture_contract().output.__class__("probabilities", CLASS_NAMES, PredictionSet(0.9, probability + 1e-10))

    answer = classify(picture_contract(output=output), [0.1, 0.6, 0.3])

    assert answer["prediction_set"]["class_names"] == ["middle"]


@pytest.mark.parametrize(
    ("score", "in_domain"), [(0.0, True), (100.0, True), (np.nextafter(np.float32(100), 101), False)]
)
def test_an_instance_is_in_domain_up_to_the_threshold(score, in_domain):
    [answer] = regress(full_house_contract(), value=[1], low=[1], high=[1], largest=[score])

    assert (answer["in_domain"], answer["domain_score"]) == (in_domain, score)


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
