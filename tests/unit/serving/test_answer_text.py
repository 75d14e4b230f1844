"""Answers in words."""

import pytest

from serving.answer_text import in_full, in_short
from serving.client import Prediction

BOOT: Prediction = {
    "class_name": "Ankle boot",
    "class_id": 1,
    "probability": 0.75,
    "probabilities": {"Bag": 0.0, "Ankle boot": 0.75, "Sneaker": 0.2, "Coat": 0.05},
}
HOUSE: Prediction = {"value": 4.13, "unit": "100k USD"}


def test_a_class_and_its_neighbours_get_a_bar_each():
    assert in_full(BOOT, None) == [
        "Ankle boot (75.0%)",
        "  Ankle boot  75.0% ██████████████████",
        "  Sneaker     20.0% ████▊",
        "  Coat         5.0% █▎",
    ]


@pytest.mark.parametrize(
    ("share", "shown"),
    [(1.0, "100.0%"), (0.9999999, ">99.9%"), (0.9994, "99.9%"), (0.0006, "0.1%"), (0.0001, "<0.1%"), (0.0, "0.0%")],
)
def test_what_is_neither_sure_nor_impossible_is_not_shown_as_either(share, shown):
    sure: Prediction = {"class_name": "Bag", "probability": share, "probabilities": {"Bag": share, "Coat": 1 - share}}
    assert in_short(sure) == f"Bag ({shown})"
    assert f"  Bag  {shown:>6}" in " ".join(in_full(sure, 2))


def test_as_many_classes_are_shown_as_were_asked_for():
    assert len(in_full(BOOT, 1)) == 2
    assert len(in_full(BOOT, 4)) == 5


def test_a_value_is_said_with_its_unit_and_its_interval():
    assert in_short(HOUSE) == "4.130 × 100k USD"
    assert (
        in_short({**HOUSE, "interval": {"level": 0.9, "low": 3.2, "high": 4.9}})
        == "4.130 × 100k USD, with 90% confidence 3.200 to 4.900"
    )


def test_a_set_of_one_class_says_nothing_new():
    one: Prediction = {**BOOT, "prediction_set": {"level": 0.9, "class_names": ["Ankle boot"]}}
    two: Prediction = {**BOOT, "prediction_set": {"level": 0.9, "class_names": ["Ankle boot", "Sneaker"]}}

    assert in_full(one, None) == in_full(BOOT, None)
    assert in_full(two, None)[-1] == "  with 90% confidence one of: Ankle boot, Sneaker"


def test_an_empty_set_is_told_as_being_unsure():
    none: Prediction = {**BOOT, "prediction_set": {"level": 0.9, "class_names": []}}

    assert in_full(none, None)[-1] == "  with 90% confidence none: it is too unsure"


def test_an_input_unlike_the_training_data_is_warned_of():
    assert "warning" in in_full({**HOUSE, "in_domain": False}, None)[-1]
    assert in_full({**HOUSE, "in_domain": True}, None) == in_full(HOUSE, None)
