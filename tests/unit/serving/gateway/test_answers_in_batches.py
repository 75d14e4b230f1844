"""Answers that are written a batch at a time, as text and as messages, are those of `to_answers`."""

import dataclasses
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.contract import ClassOutput, Domain, Interval, ModelContract, PredictionSet, ValueOutput
from serving.gateway.answer_messages import answer_messages
from serving.gateway.answer_texts import answer_texts
from serving.gateway.answers import to_answers
from serving.gateway.http_scope import json_bytes
from serving.gateway.outputs import Outputs, output_widths
from serving.generated.atelier.prediction.v1 import prediction_pb2 as wire
from tests.fakes import house_contract, picture_contract

DOMAIN = Domain("strangeness", 0.5, "how strange it is")
# Names that are text in JSON, in protobuf and in neither's grammar; and those that answers have for other things.
NAMES = st.text(max_size=8) | st.sampled_from(["class_name", "in_domain", '"},{', "\0", "%b", "Größe"])
# Of few values, so that several are the same, and as much as a threshold is; and any others.
NUMBERS = st.sampled_from([0.0, -0.0, 0.25, 0.5, 0.75, 1.0]) | st.floats(
    width=32, allow_nan=False, allow_infinity=False
)


@st.composite
def contracts(draw: Any) -> ModelContract:
    domain = draw(st.sampled_from([None, DOMAIN]))
    if draw(st.booleans()):
        interval = draw(st.sampled_from([None, Interval(0.9, "low", "high"), Interval(0.5, "value", "high")]))
        return _named(house_contract(output=ValueOutput("value", draw(NAMES), interval), domain=domain, goldens=()))
    names = tuple(draw(st.lists(NAMES, min_size=1, max_size=6, unique=True)))
    prediction_set = draw(st.sampled_from([None, PredictionSet(0.9, 0.25), PredictionSet(0.0, 0.1)]))
    return _named(
        picture_contract(output=ClassOutput("probabilities", names, prediction_set), domain=domain, goldens=())
    )


def _named(contract: ModelContract) -> ModelContract:
    """With a digest that no other has, as training gives it."""
    return dataclasses.replace(contract, digest=repr((contract.output, contract.domain)))


@st.composite
def batches(draw: Any) -> tuple[ModelContract, Outputs, list[int]]:
    """A contract, outputs that keep it, and how many of the rows each request has."""
    contract = draw(contracts())
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    rows = sum(sizes)
    outputs = {
        name: np.array(draw(st.lists(NUMBERS, min_size=rows * width, max_size=rows * width)), np.float32).reshape(
            rows, width
        )
        for name, width in output_widths(contract).items()
    }
    return contract, outputs, sizes


@given(batches())
def test_as_text_they_are_the_same_to_the_last_byte(batch):
    contract, outputs, sizes = batch
    answers = iter(to_answers(contract, outputs, None))

    written = answer_texts(contract, outputs, sizes)

    assert [json_bytes({"predictions": text}) for text in written] == [
        json_bytes({"predictions": [next(answers) for _ in range(size)]}) for size in sizes
    ]


@given(batches())
def test_as_messages_they_say_the_same(batch):
    contract, outputs, sizes = batch
    response = wire.ClassifyResponse if contract.task == "classification" else wire.RegressResponse
    answers = iter(to_answers(contract, outputs, None))

    written = answer_messages(contract, outputs, sizes)

    assert [response.FromString(message) for message in written] == [
        response(predictions=[next(answers) for _ in range(size)]) for size in sizes
    ]


@pytest.mark.parametrize("rows", [1, 3])
def test_rows_of_a_larger_array_are_written_too(rows):
    contract = picture_contract()
    outputs = {"probabilities": np.linspace(0, 1, 24, dtype=np.float32).reshape(8, 3)[2::2][:rows]}

    [text] = answer_texts(contract, outputs, [rows])
    [message] = answer_messages(contract, outputs, [rows])

    answers = to_answers(contract, outputs, None)
    assert orjson.dumps(text) == orjson.dumps(answers, option=orjson.OPT_SERIALIZE_NUMPY)
    assert wire.ClassifyResponse.FromString(message) == wire.ClassifyResponse(predictions=answers)
