"""One truth: every good and bad question at every door, answers and faults field by field."""

import logging
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format

from serving import errors
from serving.contract import ModelContract
from serving.errors import ServingError
from serving.gateway.answers import to_answers
from serving.gateway.grpc_server import running
from serving.gateway.http_scope import json_response
from serving.generated.atelier.prediction.v1 import prediction_pb2 as wire
from tests.doors import TENSOR_WAYS, WAYS, CannotAsk, Doors, Refused
from tests.questions import (
    BAD,
    BAD_TENSORS,
    GOOD,
    SECRET_NUMBER,
    SECRET_TEXT,
    Question,
    TensorQuestion,
    in_tensors,
)


@pytest.fixture(scope="module", params=[False, True], ids=["scaled", "raw"])
def doors(request):
    every = Doors(raw=request.param)
    with running(every.parts):
        yield every
    every.grpc.channel.close()


@pytest.fixture
def broken(doors):
    """Breaks the model server for one test; what it offers is known before."""
    doors.ask_http(GOOD["a house"])
    yield lambda error: setattr(doors.server, "broken_predictions", error)
    doors.server.broken_predictions = None


def refusal(doors: Doors, way: str, question: Question | TensorQuestion) -> Refused:
    """What this way is told of a question that must be refused; CannotAsk where it has no words for it."""
    ask: Any = {**WAYS, **TENSOR_WAYS}[way]
    try:
        answer = ask(doors, question)
    except Refused as refused:
        return refused
    raise AssertionError(f"answered: {answer}")


def refusals(doors: Doors, question: Question | TensorQuestion | None) -> dict[str, Refused]:
    """What each way is told that can ask it."""
    told = {}
    for way in () if question is None else WAYS if isinstance(question, Question) else TENSOR_WAYS:
        try:
            told[way] = refusal(doors, way, question)
        except CannotAsk:
            continue
    return told


def as_document(contract: ModelContract, tensors: dict[str, Any], top_k: int | None) -> Any:
    """Output tensors as the HTTP door would tell them."""
    outputs = {
        name: np.array(values, np.float32).reshape(
            -1, len(contract.output.class_names) if name == "probabilities" else 1
        )
        for name, values in tensors.items()
    }
    return json_response(to_answers(contract, outputs, top_k)).json


@pytest.mark.parametrize("name", GOOD)
def test_every_door_gives_the_same_answer(doors, name):
    question = GOOD[name]

    by_http = doors.ask_http(question)

    assert doors.ask_grpc(question) == by_http
    asked = in_tensors(question)
    for way in TENSOR_WAYS if asked else ():
        tensors = TENSOR_WAYS[way](doors, asked)
        version = question.version or int(by_http["model"]["version"])
        contract = doors.server.contracts[question.model, version]
        assert as_document(contract, tensors, question.top_k) == by_http["predictions"], way


STATUSES = {"INVALID_INPUT": 422, "WRONG_TASK": 400, "UNKNOWN_MODEL": 404, "MODEL_NOT_READY": 503}


@pytest.mark.parametrize("name", [*BAD, *BAD_TENSORS])
def test_every_door_refuses_with_the_same_status_place_and_words(doors, caplog, name):
    caplog.set_level(logging.DEBUG, "serving")
    question = (BAD | BAD_TENSORS)[name]

    told = refusals(doors, question)
    asked = in_tensors(question) if isinstance(question, Question) else None
    told_of_tensors = refusals(doors, asked)

    for expected, by_way in ((question, told), (asked, told_of_tensors)):
        for way, refused in by_way.items():
            assert refused.told == next(iter(by_way.values())).told, way
            assert refused.status == STATUSES[expected.reason]
            assert [pointer for pointer, _ in refused.faults] == [pointer for pointer, _ in expected.faults]
            for (_, detail), (_, words) in zip(refused.faults, expected.faults, strict=True):
                assert words in detail
            assert expected.words in refused.message
    assert told
    everything = f"{[refused.told for refused in (*told.values(), *told_of_tensors.values())]} {caplog.text}"
    assert SECRET_TEXT not in everything
    assert str(SECRET_NUMBER) not in everything


def test_the_bad_questions_are_many_and_most_can_be_asked_at_several_doors(doors):
    told = {name: {**refusals(doors, q), **refusals(doors, in_tensors(q))} for name, q in BAD.items()}
    told |= {name: refusals(doors, question) for name, question in BAD_TENSORS.items()}

    assert len(told) >= 80
    assert sum(len(ways) for ways in told.values()) >= 250
    assert sum(len(ways) == 1 for ways in told.values()) <= 20


ERRORS = {
    errors.InvalidInput: ((errors.Violation("/instances/0", "x"), errors.Violation("/instances/1", "y")),),
    errors.WrongTask: ("houses", "regression", "classify"),
    errors.UnknownModel: ("houses", "gone"),
    errors.Unauthenticated: ("no key",),
    errors.TooManyRequests: (5.0, 0.3),
    errors.Overloaded: ("there is too much to do",),
    errors.ModelNotReady: ("houses", "loading"),
    errors.ModelServerUnreachable: ("away",),
    errors.DeadlineExceeded: ("slow",),
    errors.ModelServerFault: ("a secret op",),
    ZeroDivisionError: ("a secret value",),
}


def test_every_error_of_ours_is_tried():
    ours = {cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, ServingError)}
    assert ours - {ServingError} == set(ERRORS) - {ZeroDivisionError}


@pytest.mark.parametrize("error", ERRORS)
def test_every_door_explains_every_error_alike(doors, broken, error):
    broken(error(*ERRORS[error]))
    question = GOOD["a house"]

    told = {**refusals(doors, question), **refusals(doors, in_tensors(question))}

    assert len(told) == len(WAYS) + len(TENSOR_WAYS)
    assert {str(refused.told) for refused in told.values()} == {str(told["http"].told)}
    assert "secret" not in str(told["http"].told)


def test_both_doors_list_the_same_models(doors):
    for watch in doors.parts.offers.watches.values():
        watch.look()

    listed = doors.grpc.call("ListModels", wire.ListModelsRequest())

    document = json_format.MessageToDict(
        listed, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    absent = {"task": None, "description": None, "version": None, "reason": None}
    assert [absent | model for model in document["models"]] == doors.http.get("/v1/models").json["models"]


@pytest.mark.parametrize(
    ("path", "asked"),
    [("", {}), ("/versions/1", {"version": 1}), ("/labels/stable", {"version_label": "stable"})],
)
def test_both_doors_give_the_same_contract(doors, path, asked):
    path = f"/v1/models/houses{path}/metadata"

    reply = doors.grpc.call("GetModel", wire.GetModelRequest(model="houses", **asked))

    by_http = doors.http.get(path)
    assert reply.contract + "\n" == by_http.text
    assert (reply.model.name, str(reply.model.version)) == ("houses", by_http.headers["X-Model-Version"])


def test_what_only_one_door_can_be_asked_is_refused_with_its_place(doors):
    house = wire.Instance(features=wire.Features(values={"rooms": float("nan"), "age": float("inf")}))
    fault = doors.grpc.fault("Regress", wire.RegressRequest(model="houses", instances=[house]))
    assert [place for place, _ in fault.violations] == ["/instances/0/rooms", "/instances/0/age"]

    two_bytes = wire.Instance(image=wire.Image(pixels=b"ab"))
    fault = doors.grpc.fault("Regress", wire.RegressRequest(model="houses", instances=[two_bytes]))
    assert fault.violations == [
        ("/instances/0", "expected an object by feature name or an array of 2 numbers, got an image")
    ]

    fault = doors.grpc.fault("GetModel", wire.GetModelRequest(model="houses", version=-1))
    assert (fault.reason, fault.message) == ("UNKNOWN_MODEL", "model 'houses' has no version -1")
