"""The Open Inference Protocol's part of the description: from contracts, and as the door itself takes and gives it."""

import json

import jsonschema
import numpy as np
import pytest
from openapi_spec_validator import validate

from serving.contract import FeatureTensor
from serving.gateway.oip_bodies import parse
from serving.gateway.openapi import Described, openapi
from serving.gateway.openapi_oip_schemas import infer_reply
from serving.gateway.predictor import Offer
from serving.gateway.raw_tensors import check_form
from serving.gateway.tensor_values import read_tensors
from tests.fakes import full_house_contract, full_picture_contract, house_contract, run

WIDE_AND_DEEP = house_contract(
    "wide-and-deep",
    input=house_contract().input.__class__(
        house_contract().input.features,
        (FeatureTensor("wide", ("age",)), FeatureTensor("deep", ("rooms", "age"))),
    ),
)
OFFERS = {
    "pictures": (Offer(full_picture_contract(), 1),),
    "houses": (Offer(full_house_contract(), 12), Offer(house_contract(), 3)),
    "wide-and-deep": (Offer(WIDE_AND_DEEP, 1),),
    "a/b {odd} näme": (Offer(house_contract("a/b {odd} näme"), 1),),
    "bare": (Offer(house_contract("bare", goldens=()), 1),),
    "loading": (),
}


@pytest.fixture(scope="module")
def document():
    return openapi(Described(OFFERS, max_instances=3, keys=False))


def asked(document, path):
    return document["paths"][path]["post"]["requestBody"]["content"]["application/json"]


def answered(document, path):
    return document["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]


def takes(schema, instance) -> bool:
    return jsonschema.Draft202012Validator(schema).is_valid(instance)


@pytest.mark.parametrize("keys", [False, True])
def test_the_description_is_valid_openapi(keys):
    validate(openapi(Described(OFFERS, max_instances=3, keys=keys)))


def test_a_model_on_offer_has_metadata_readiness_and_infer_for_the_newest_and_for_one_version(document):
    paths = {path for path in document["paths"] if path.startswith("/v2/models/houses")}

    assert paths == {
        "/v2/models/houses",
        "/v2/models/houses/ready",
        "/v2/models/houses/infer",
        "/v2/models/houses/versions/{version}",
        "/v2/models/houses/versions/{version}/ready",
        "/v2/models/houses/versions/{version}/infer",
        "/v2/models/houses/versions/12/infer",
        "/v2/models/houses/versions/3/infer",
    }


def test_a_model_that_is_not_on_offer_cannot_be_asked(document):
    paths = {path for path in document["paths"] if path.startswith("/v2/models/loading")}

    assert paths == {
        f"/v2/models/loading{which}{end}" for which in ("", "/versions/{version}") for end in ("", "/ready")
    }


def test_the_server_is_described_and_its_probes_need_no_key():
    paths = openapi(Described(OFFERS, max_instances=3, keys=True))["paths"]

    assert {"/v2", "/v2/health/live", "/v2/health/ready"} <= paths.keys()
    assert [paths[path]["get"].get("security") for path in ("/v2/health/live", "/v2/health/ready")] == [[], []]
    assert "401" in paths["/v2"]["get"]["responses"]


@pytest.mark.parametrize("contract", [full_picture_contract(), full_house_contract(), WIDE_AND_DEEP])
def test_an_example_asks_what_the_door_takes_and_tells_what_the_model_says(document, contract):
    path = f"/v2/models/{contract.name}/infer"
    batch = parse(json.dumps(asked(document, path)["example"]).encode(), None).batch
    check_form(contract, batch)

    tensors = read_tensors(contract, batch)
    if contract is not WIDE_AND_DEEP:
        outputs = run(contract, tensors)
        for output in answered(document, path)["example"]["outputs"]:
            np.testing.assert_allclose(output["data"], outputs[output["name"]].ravel(), rtol=1e-6)
    assert {name: len(values) for name, values in tensors.items()} == dict.fromkeys(tensors, 1)


def pixels(**changes):
    return {
        "inputs": [{"name": "pixels", "datatype": "UINT8", "shape": [1, 2, 3], "data": [0, 0, 255, 0, 0, 0], **changes}]
    }


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        (pixels(), True),
        (pixels(datatype="INT32", more="ignored"), True),
        (pixels(data=[[[0, 0, 255], [0, 0, 0]]]), True),
        (pixels(parameters=None) | {"id": None, "outputs": None, "parameters": None}, True),
        (pixels() | {"outputs": [{"name": "probabilities", "parameters": {"binary_data": False}}], "id": "7"}, True),
        (pixels(name="pixel"), False),
        (pixels(datatype="FP32"), False),
        (pixels(shape=[1, 6]), False),
        (pixels(shape=[0, 2, 3]), False),
        (pixels(data=[0, 0, 256, 0, 0, 0]), False),
        (pixels(data=[0, 0, 255]), False),
        (pixels(data=[[0, 0, 255], [0, 0, 0]]), False),
        (pixels(parameters=[]), False),
        (pixels() | {"outputs": [{"name": "logits"}]}, False),
        (pixels() | {"outputs": [{}]}, False),
        (pixels() | {"id": 7}, False),
        ({"inputs": []}, False),
        ({}, False),
    ],
)
def test_an_images_tensor_is_described_with_name_datatypes_size_and_range(document, body, fits):
    assert takes(asked(document, "/v2/models/pictures/infer")["schema"], body) is fits


def test_each_of_several_inputs_is_described(document):
    schema = asked(document, "/v2/models/wide-and-deep/infer")["schema"]
    wide = {"name": "wide", "datatype": "FP32", "shape": [1, 1], "data": [4]}
    deep = {"name": "deep", "datatype": "FP64", "shape": [1, 2], "data": [3, 4]}

    assert takes(schema, {"inputs": [wide, deep]})
    assert not takes(schema, {"inputs": [wide]})
    assert not takes(schema, {"inputs": [wide, {**deep, "data": [3]}]})


def test_each_version_is_described_by_its_own_contract(document):
    def outputs(path):
        items = answered(document, path)["schema"]["properties"]["outputs"]["items"]
        return [one["properties"]["name"]["const"] for one in items.get("anyOf", [items])]

    assert outputs("/v2/models/houses/versions/12/infer") == ["value", "low", "high", "largest"]
    assert outputs("/v2/models/houses/versions/3/infer") == ["value"]


def test_the_binary_extension_is_noted_on_both_ways(document):
    infer = document["paths"]["/v2/models/pictures/infer"]["post"]

    assert "application/octet-stream" in infer["requestBody"]["content"]
    assert "application/octet-stream" in infer["responses"]["200"]["content"]
    assert "binary_data_size" in infer["requestBody"]["description"]
    assert "Inference-Header-Content-Length" in [parameter.get("name") for parameter in infer["parameters"]]
    assert "Inference-Header-Content-Length" in infer["responses"]["200"]["headers"]


def test_a_fault_is_the_protocols_error_with_the_places_of_an_invalid_input(document):
    response = document["paths"]["/v2/models/pictures/infer"]["post"]["responses"]["422"]
    schema = document["components"]["responses"][response["$ref"].rpartition("/")[2]]["content"]["application/json"]

    assert takes(schema["schema"], {"error": "no", "errors": [{"pointer": "/inputs", "detail": "no"}]})
    assert not takes(schema["schema"], {"detail": "no"})


def test_an_answer_with_an_output_of_another_name_is_outside_the_description():
    schema = infer_reply(house_contract())
    output = {"name": "value", "datatype": "FP32", "shape": [1, 1], "data": [7.0]}
    answer = {"model_name": "houses", "model_version": "1", "parameters": {"digest": "sha256:0"}, "outputs": [output]}

    assert takes(schema, answer)
    assert not takes(schema, {**answer, "outputs": [{**output, "name": "price"}]})
