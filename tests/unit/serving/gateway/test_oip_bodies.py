"""Bodies of the Open Inference Protocol over HTTP: what is read from them, and what is refused with its place."""

import json
from typing import Any

import numpy as np
import pytest
from werkzeug.exceptions import BadRequest

from serving.errors import InvalidInput
from serving.gateway.oip_bodies import encode, parse
from serving.gateway.raw_tensors import RawTensor

PIXELS = {"name": "pixels", "datatype": "UINT8", "shape": [1, 2]}


def body(*inputs: Any, behind: bytes = b"", **members: Any) -> tuple[bytes, str | None]:
    text = json.dumps({"inputs": list(inputs), **members}).encode()
    return text + behind, str(len(text)) if behind else None


def binary(size: Any) -> dict[str, Any]:
    return {"parameters": {"binary_data_size": size}}


def test_values_come_in_the_json():
    request = parse(*body({**PIXELS, "data": [[1, 2]]}, id="42"))

    assert request.id == "42"
    assert request.batch.inputs == (RawTensor("pixels", "UINT8", (1, 2), [[1, 2]]),)
    assert request.batch.outputs == ()


def test_values_come_as_bytes_behind_the_json_in_the_order_of_the_inputs():
    request = parse(*body(PIXELS | binary(2), PIXELS | {"data": [5, 6]}, PIXELS | binary(1), behind=b"abc"))

    assert [tensor.values for tensor in request.batch.inputs] == [b"ab", [5, 6], b"c"]


def test_members_that_are_null_are_absent_and_unknown_ones_are_passed_over():
    given = {**PIXELS, "data": [1, 2], "parameters": None}

    request = parse(*body(given, id=None, outputs=None, parameters=None, model_name="pictures"))

    assert request.id is None
    assert request.batch.inputs[0].values == [1, 2]


@pytest.mark.parametrize(
    ("parameters", "outputs", "as_bytes"),
    [
        (None, None, []),
        ({"binary_data_output": True}, None, ["a", "b"]),
        ({"binary_data_output": True}, [{"name": "a", "parameters": {"binary_data": False}}, {"name": "b"}], ["b"]),
        (None, [{"name": "a", "parameters": {"binary_data": True}}, {"name": "b"}], ["a"]),
    ],
)
def test_outputs_come_back_in_the_form_that_was_asked_for(parameters: Any, outputs: Any, as_bytes: list[str]):
    request = parse(*body({**PIXELS, "data": [1, 2]}, parameters=parameters, outputs=outputs))
    tensors = {"a": np.array([[0.5]], np.float32), "b": np.array([[0.973, 2]], np.float32)}

    reply, size = encode({"model_name": "m"}, tensors, ("a", "b"), request)

    document = json.loads(reply[:size])
    assert [o["name"] for o in document["outputs"] if "parameters" in o] == as_bytes
    assert [o["data"] for o in document["outputs"] if "data" in o] == [
        values for name, values in (("a", [0.5]), ("b", [0.973, 2])) if name not in as_bytes
    ]
    assert reply[size:] == b"".join(tensors[name].tobytes() for name in as_bytes)


UNREADABLE = {
    "no JSON": (b'{"inputs": [', None, "the body is not JSON"),
    "a size that is no number": (b"{}", "two", "expected the number of JSON bytes"),
    "a negative size": (b"{}", "-1", "expected the number of JSON bytes"),
    "a size beyond the body": (b"{}", "3", "at most the body's 2"),
    "too few bytes": (*body(PIXELS | binary(3), behind=b"ab"), "expected 3 bytes behind the JSON"),
    "too many bytes": (*body(PIXELS | binary(1), behind=b"ab"), "expected 1 bytes behind the JSON"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_refused(name: str):
    text, size, words = UNREADABLE[name]

    with pytest.raises(BadRequest, match=words):
        parse(text, size)


REFUSALS: dict[str, tuple[tuple[bytes, str | None], str, str]] = {
    "an array": ((b"[]", None), "", "expected an object, got an array"),
    "inputs that are none": ((b'{"inputs": 1}', None), "/inputs", "expected an array, got a number"),
    "an input that is none": (body(1), "/inputs/0", "expected an object, got a number"),
    "no name": (body({**PIXELS, "name": None, "data": []}), "/inputs/0/name", "expected a string, but the member"),
    "a name of another kind": (body({**PIXELS, "name": 1, "data": []}), "/inputs/0/name", "a string, got a number"),
    "no datatype": (body({**PIXELS, "datatype": None, "data": []}), "/inputs/0/datatype", "expected a string"),
    "a shape of another kind": (body({**PIXELS, "shape": "12", "data": []}), "/inputs/0/shape", "got a string"),
    "a fraction in the shape": (body({**PIXELS, "shape": [1.5], "data": []}), "/inputs/0/shape/0", "an integer, got"),
    "a truth in the shape": (body({**PIXELS, "shape": [True], "data": []}), "/inputs/0/shape/0", "got a boolean"),
    "no data": (body(PIXELS), "/inputs/0/data", "expected an array, but the member is missing"),
    "data of another kind": (body({**PIXELS, "data": "secret"}), "/inputs/0/data", "expected an array, got a string"),
    "data twice": (
        body({**PIXELS, "data": [1, 2], **binary(2)}, behind=b"ab"),
        "/inputs/0/data",
        "expected data or binary_data_size, got both",
    ),
    "a size of another kind": (
        body(PIXELS | binary("2"), behind=b"ab"),
        "/inputs/0/parameters/binary_data_size",
        "expected an integer, got a string",
    ),
    "a negative binary size": (
        body(PIXELS | binary(-2), behind=b"ab"),
        "/inputs/0/parameters/binary_data_size",
        "got a negative one",
    ),
    "shared memory": (
        body(PIXELS | {"parameters": {"shared_memory_region": "secret"}}),
        "/inputs/0/parameters/shared_memory_region",
        "this server does not have that extension",
    ),
    "Triton's classification": (
        body({**PIXELS, "data": [1, 2]}, outputs=[{"name": "a", "parameters": {"classification": 3}}]),
        "/outputs/0/parameters/classification",
        "this server does not have that extension",
    ),
    "an output without a name": (body({**PIXELS, "data": [1, 2]}, outputs=[{}]), "/outputs/0/name", "a string, but"),
    "an id of another kind": (body({**PIXELS, "data": [1, 2]}, id=42), "/id", "expected a string, got a number"),
    "parameters of another kind": (body({**PIXELS, "data": [1]}, parameters=[1]), "/parameters", "got an array"),
    "a binary_data_output of another kind": (
        body({**PIXELS, "data": [1, 2]}, parameters={"binary_data_output": 1}),
        "/parameters/binary_data_output",
        "expected a boolean, got a number",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_no_inference_request_is_refused_with_its_place(name: str):
    (text, size), pointer, words = REFUSALS[name]

    with pytest.raises(InvalidInput) as refused:
        parse(text, size)

    (violation,) = refused.value.violations
    assert violation.pointer == pointer
    assert words in violation.detail
    assert "secret" not in str(refused.value)
