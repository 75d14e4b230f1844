import json

import jsonschema
import numpy as np
import pytest
from openapi_spec_validator import validate

from serving.contract import Document, ImageInput
from serving.errors import ServingError
from serving.gateway.openapi import Described, openapi
from serving.gateway.openapi_schemas import instance_schema
from serving.gateway.predictor import Offer
from serving.gateway.problems import HTTP_KINDS, KINDS
from tests.fakes import full_house_contract, full_picture_contract, house_contract, picture_contract

OFFERS = {
    "pictures": (Offer(full_picture_contract(), 1),),
    "houses": (Offer(full_house_contract(), 12), Offer(house_contract(), 3)),
    "a/b {odd} näme": (Offer(picture_contract("a/b {odd} näme"), 1),),
    "bare": (Offer(house_contract("bare", goldens=()), 1),),
    "loading": (),
}


@pytest.fixture(scope="module")
def document():
    return openapi(Described(OFFERS, max_instances=3, keys=False))


def body_schema(document, path, media_type="application/json"):
    return document["paths"][path]["post"]["requestBody"]["content"][media_type]["schema"]


def takes(schema, instance) -> bool:
    return jsonschema.Draft202012Validator(schema).is_valid(instance)


@pytest.mark.parametrize("keys", [False, True])
def test_the_description_is_valid_openapi(keys):
    validate(openapi(Described(OFFERS, max_instances=3, keys=keys)))


def test_a_model_has_the_verbs_of_its_task_for_each_version_on_offer(document):
    paths = {path for path in document["paths"] if ":" in path and "houses" in path}

    assert paths == {
        f"/v1/models/houses{which}:{verb}"
        for which in ("", "/versions/12", "/versions/3", "/labels/{label}")
        for verb in ("regress", "predict")
    }


def test_a_model_that_is_not_on_offer_has_only_its_state(document):
    assert not any("loading" in path and ":" in path for path in document["paths"])
    assert "/v1/models/loading" in document["paths"]


def test_each_version_is_described_by_its_own_contract(document):
    def members(path: str) -> set[str]:
        answer = document["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        return set(answer["properties"]["predictions"]["items"]["properties"])

    assert members("/v1/models/houses:regress") == {"value", "unit", "interval", "in_domain", "domain_score"}
    assert members("/v1/models/houses/versions/3:regress") == {"value", "unit"}


def test_the_examples_are_goldens_and_fit_their_schemas(document):
    seen = 0
    for methods in document["paths"].values():
        for described in methods.values():
            bodies = [described.get("requestBody", {}).get("content", {}), described["responses"]["200"]["content"]]
            for content in [c["application/json"] for c in bodies if "application/json" in c]:
                if "example" in content:
                    jsonschema.Draft202012Validator(content["schema"]).validate(content["example"])
                    seen += 1
    assert seen == 2 * (6 + 8 + 6) + 2 * (3 + 4 + 3)  # in words, and in tensors
    house = document["paths"]["/v1/models/houses:regress"]["post"]["responses"]["200"]["content"]["application/json"]
    assert house["example"]["predictions"][0]["value"] == 7.0


@pytest.mark.parametrize(
    ("instance", "fits"),
    [
        ([[0, 0, 255], [0, 0, 0]], True),
        ([0, 0, 255, 0, 0, 0], True),
        ({"b64": "aGk="}, True),
        ([[0, 0, 256], [0, 0, 0]], False),
        ([[0, 0, -1], [0, 0, 0]], False),
        ([[0, 0, 0.5], [0, 0, 0]], False),
        ([[0, 0], [0, 0]], False),
        ([0, 0, 0, 0, 0], False),
        ({"b64": "aGk=", "more": 1}, False),
        ({"b64": 7}, False),
        ("boot", False),
    ],
)
def test_an_image_is_described_with_its_shape_and_range(document, instance, fits):
    assert takes(body_schema(document, "/v1/models/pictures:classify"), {"instances": [instance]}) is fits


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        ({"instances": [{"rooms": 3, "age": 4.5}, [3, 4]]}, True),
        ({"instances": [{"rooms": 3}]}, False),
        ({"instances": [{"rooms": 3, "age": 4, "more": 5}]}, False),
        ({"instances": [{"rooms": 3, "age": "4"}]}, False),
        ({"instances": [[3, 4, 5]]}, False),
        ({"instances": [[3, 1e39]]}, False),
        ({"instances": []}, False),
        ({"instances": [[3, 4]] * 4}, False),
        ({"instances": [[3, 4]], "top_k": 1}, False),
        ({"instances": [[3, 4]], "more": 1}, False),
    ],
)
def test_features_are_described_by_name_and_in_order(document, body, fits):
    assert takes(body_schema(document, "/v1/models/houses:regress"), body) is fits


def test_the_largest_feature_is_the_largest_that_does_not_become_infinite():
    schema = instance_schema(house_contract().input)
    limit = schema["anyOf"][1]["items"]["exclusiveMaximum"]

    with np.errstate(over="ignore"):
        assert np.isinf(np.float32(limit))
    assert np.isfinite(np.float32(np.nextafter(limit, 0)))


def test_images_have_their_other_media_types_and_files_only_where_a_file_fits(document):
    def media_types(path: str) -> set[str]:
        return set(document["paths"][path]["post"]["requestBody"]["content"])

    files = {"image/png", "image/jpeg", "multipart/form-data"}
    assert media_types("/v1/models/pictures:classify") == {"application/json", "application/octet-stream", *files}
    assert media_types("/v1/models/houses:regress") == {"application/json", "text/csv"}

    five_channels = picture_contract(input=ImageInput("pixels", (2, 3, 5), 0, 255, 1.0), goldens=())
    offers = {"pictures": (Offer(five_channels, 1),)}
    other = openapi(Described(offers, max_instances=3, keys=False))["paths"]["/v1/models/pictures:classify"]
    assert set(other["post"]["requestBody"]["content"]) == {"application/json", "application/octet-stream"}
    assert len(instance_schema(five_channels.input)["anyOf"]) == 2


def test_top_k_is_described_for_classification_alone(document):
    def query(path: str) -> list[str]:
        return [p["name"] for p in document["paths"][path]["post"]["parameters"] if p.get("in") == "query"]

    assert query("/v1/models/pictures:classify") == ["top_k"]
    assert query("/v1/models/houses:regress") == []


def test_every_kind_of_problem_is_described(document):
    described = {
        slug.rpartition(":")[2]
        for response in document["components"]["responses"].values()
        for slug in response["content"]["application/problem+json"]["schema"]["properties"]["type"]["enum"]
    }

    assert described == {kind.slug for kind in [*KINDS.values(), *HTTP_KINDS.values()]} | {"internal-error"}
    assert all(issubclass(error, ServingError) for error in KINDS)


def test_a_prediction_may_be_refused_in_every_way_but_one_and_a_look_in_fewer(document):
    post = set(document["paths"]["/v1/models/houses:regress"]["post"]["responses"])
    look = set(document["paths"]["/v1/models/houses"]["get"]["responses"])

    statuses = {str(kind.status) for kind in [*KINDS.values(), *HTTP_KINDS.values()]} | {"500", "200"}
    assert post == statuses - {"405", "401", "429"}
    assert look == {"200", "400", "404", "500", "502", "503", "504"}


def test_keys_are_described_only_where_they_are_asked_for(document):
    assert "security" not in document
    assert "securitySchemes" not in document["components"]

    closed = openapi(Described(OFFERS, max_instances=3, keys=True))
    assert closed["security"] == [{"bearer": []}, {"header": []}]
    assert closed["paths"]["/livez"]["get"]["security"] == []


def test_it_is_json():
    assert json.dumps(openapi(Described(OFFERS, max_instances=3, keys=True)), allow_nan=False)


def test_a_model_has_a_path_for_each_document_of_its_newest_version():
    reported = house_contract(documents=(Document("report", "Report", "text/html"),))
    offers = {"houses": (Offer(reported, 2), Offer(house_contract(), 1)), "bare": (Offer(house_contract("bare"), 1),)}

    document = openapi(Described(offers, max_instances=3, keys=False))

    validate(document)
    found = {path: call["get"] for path, call in document["paths"].items() if "/documents/" in path}
    start = "/v1/models/houses"
    assert set(found) == {
        f"{start}{place}/documents/report" for place in ("", "/versions/{version}", "/labels/{label}")
    }
    assert set(found[f"{start}/documents/report"]["responses"]["200"]["content"]) == {"text/html"}
