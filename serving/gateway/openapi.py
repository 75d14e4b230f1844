"""The HTTP door's OpenAPI 3.1 description, made from the contracts of what is on offer now. Knows no HTTP library."""

import dataclasses
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass

import serving
from serving.contract import ClassOutput, ImageInput, ModelContract
from serving.gateway.openapi_oip import tensor_paths
from serving.gateway.openapi_operations import HEADERS, Json, json_answer, path_parameter
from serving.gateway.openapi_problems import oip_components, problem_components, problem_responses
from serving.gateway.openapi_schemas import (
    NAME,
    Schema,
    closed_object,
    example_response,
    request_schema,
    response_schema,
    takes_files,
    top_k_schema,
    version_schema,
)
from serving.gateway.predictor import TASK_OF_VERB, Offer

DESCRIPTION = """\
Models in the words of their domain. Paths and schemas come from the contracts that travel with their weights, \
and change with the version. Errors are problem documents (RFC 9457) with JSON pointers into the body. \
Under /v2 the same models speak the Open Inference Protocol, in tensors."""

REQUEST_ID: Schema = {"type": "string", "description": "Given back, in logs and in problems; made where none is sent."}
TIMEOUT: Schema = {
    "type": "string",
    "pattern": r"^(?!0*\.?0*$)[0-9]{1,9}(\.[0-9]{1,9})?$",
    "description": "Seconds, above 0.",
}
STATES = ["START", "LOADING", "AVAILABLE", "UNLOADING", "END", "UNSPECIFIED"]


@dataclass(frozen=True)
class Described:
    """What is described: the models, with what each has on offer (newest first), and the limits."""

    offers: Mapping[str, tuple[Offer, ...]]
    max_instances: int
    keys: bool  # whether API keys are asked for


def openapi(what: Described) -> Json:
    """The document."""
    paths = _common_paths(what)
    for model, offers in what.offers.items():
        paths |= _model_paths(what, model, offers)
    paths |= tensor_paths(what.offers, what.max_instances, keys=what.keys)
    document: Json = {
        "openapi": "3.1.0",
        "info": {"title": "Atelier", "version": serving.__version__, "description": DESCRIPTION},
        "tags": [_tag(model, offers) for model, offers in what.offers.items()] + [{"name": "gateway"}],
        "paths": paths,
        "components": {
            "schemas": {"VersionStatuses": _version_statuses(), "Models": _models(), "Contract": _contract()},
            "responses": problem_components() | oip_components(),
            "parameters": {
                "RequestId": {"name": "X-Request-Id", "in": "header", "schema": REQUEST_ID},
                "Timeout": {"name": "X-Request-Timeout", "in": "header", "schema": TIMEOUT},
            },
        },
    }
    if what.keys:
        document["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        document["security"] = [{"bearer": []}, {"header": []}]
    return document


def _tag(model: str, offers: tuple[Offer, ...]) -> Json:
    return {"name": model, "description": offers[0].contract.description if offers else "Not on offer now."}


def _common_paths(what: Described) -> Json:
    probe = {"tags": ["gateway"], "security": []}
    models = _get(what, "gateway", "The models on offer, with versions and states", _ref("Models"))
    ready = {"type": "object", "required": ["ready", "models"], "properties": {"ready": {"type": "boolean"}}}
    alive = closed_object({"alive": {"const": True}})
    return {
        "/v1/models": {"get": models},
        "/livez": {"get": {**probe, "summary": "Alive", "responses": {"200": json_answer("Alive.", alive)}}},
        "/readyz": {
            "get": {
                **probe,
                "summary": "Ready, or the reason of each model that is not on offer",
                "responses": {"200": json_answer("Ready.", ready), "503": json_answer("Not ready.", ready)},
            }
        },
    }


def _model_paths(what: Described, model: str, offers: tuple[Offer, ...]) -> Json:
    path = f"/v1/models/{urllib.parse.quote(model, safe='')}"
    version, label = f"{path}/versions/{{version}}", f"{path}/labels/{{label}}"
    status = _get(what, model, "The states of its versions", _ref("VersionStatuses"))
    contract = _get(what, model, "The contract of the version on offer", _ref("Contract"))
    paths: Json = {}
    for start, parameters in ((path, []), (version, [_version()]), (label, [_label()])):
        paths[start] = {"get": {**status, "parameters": status["parameters"] + parameters}}
        paths[f"{start}/metadata"] = {"get": {**contract, "parameters": contract["parameters"] + parameters}}
        paths |= _documents(what, start, model, offers, parameters)
    if offers:
        paths |= _verbs(what, path, offers[0], [])
        paths |= _verbs(what, label, offers[0], [_label()])
    for offer in offers:
        paths |= _verbs(what, f"{path}/versions/{offer.version}", offer, [])
    return paths


def _documents(what: Described, path: str, model: str, offers: tuple[Offer, ...], parameters: list[Json]) -> Json:
    """A path for each document of the newest version on offer."""
    paths: Json = {}
    for document in (offers[0].contract.documents or ()) if offers else ():
        call = _get(what, model, document.title, {})
        call["responses"]["200"]["content"] = {document.media_type: {"schema": {"type": "string"}}}
        paths[f"{path}/documents/{document.name}"] = {"get": {**call, "parameters": call["parameters"] + parameters}}
    return paths


def _verbs(what: Described, path: str, offer: Offer, parameters: list[Json]) -> Json:
    """A path for each verb of the model's task."""
    verbs = [verb for verb, task in TASK_OF_VERB.items() if task in (None, offer.contract.task)]
    return {f"{path}:{verb}": {"post": _post(what, verb, offer, parameters)} for verb in verbs}


def _post(what: Described, verb: str, offer: Offer, parameters: list[Json]) -> Json:
    contract = offer.contract
    answer = json_answer("A prediction for each instance, in their order.", response_schema(contract))
    if contract.goldens:
        answer["content"]["application/json"]["example"] = example_response(
            contract, offer.version, contract.goldens[0]
        )
    query = []
    if isinstance(contract.output, ClassOutput):
        where = "With a body that has no place for it."
        query = [{"name": "top_k", "in": "query", "schema": top_k_schema(contract.output), "description": where}]
    return {
        "tags": [contract.name],
        "summary": f"{verb.capitalize()}: {contract.description}",
        "parameters": [*HEADERS, *parameters, *query],
        "requestBody": {"required": True, "content": _bodies(contract, what.max_instances)},
        "responses": {"200": answer, **problem_responses(has_body=True, keys=what.keys)},
    }


def _bodies(contract: ModelContract, max_instances: int) -> Json:
    """Media type → what it holds."""
    json: Json = {"schema": request_schema(contract, max_instances)}
    if contract.goldens:
        json["example"] = {"instances": [contract.goldens[0].instance]}
    bodies: Json = {"application/json": json}
    if not isinstance(contract.input, ImageInput):
        header = ",".join(feature.name for feature in contract.input.features)
        rows = {"type": "string", "description": f"A line of feature names in any order, e.g. {header}, then the rows."}
        return bodies | {"text/csv": {"schema": rows}}
    if takes_files(contract.input):
        file = {"type": "string", "contentMediaType": "application/octet-stream"}
        form: Json = {"type": "object", "additionalProperties": file, "description": "Each file an image."}
        if isinstance(contract.output, ClassOutput):
            form["properties"] = {"top_k": top_k_schema(contract.output)}
        bodies |= {"image/png": {}, "image/jpeg": {}, "multipart/form-data": {"schema": form}}
    return bodies | {"application/octet-stream": {}}


def _get(what: Described, tag: str, summary: str, schema: Schema) -> Json:
    return {
        "tags": [tag],
        "summary": summary,
        "parameters": list(HEADERS),
        "responses": {"200": json_answer(f"{summary}.", schema), **problem_responses(has_body=False, keys=what.keys)},
    }


def _version() -> Json:
    return path_parameter("version", {"type": "integer", "minimum": 0, "maximum": 2**63 - 1})


def _label() -> Json:
    return path_parameter("label", {**NAME, "pattern": "^[^/:]+$"})


def _ref(schema: str) -> Schema:
    return {"$ref": f"#/components/schemas/{schema}"}


def _version_statuses() -> Schema:
    """TensorFlow Serving's GetModelStatusResponse."""
    status = closed_object({"error_code": {"type": "string"}, "error_message": {"type": "string"}})
    one = closed_object({"version": version_schema(), "state": {"enum": STATES}, "status": status})
    return closed_object({"model_version_status": {"type": "array", "items": one, "minItems": 1}})


def _models() -> Schema:
    version = closed_object({"version": version_schema(), "state": {"enum": STATES}, "on_offer": {"type": "boolean"}})
    text: Schema = {"type": ["string", "null"]}
    model = closed_object(
        {
            "name": NAME,
            "task": {"enum": ["classification", "regression", None]},
            "description": text,
            "version": text,
            "reason": text,
            "versions": {"type": "array", "items": version},
        }
    )
    return closed_object({"models": {"type": "array", "items": model}})


def _contract() -> Schema:
    """Its members; what is inside them is the contract's own matter, and its README's."""
    names = [field.name for field in dataclasses.fields(ModelContract) if field.default is dataclasses.MISSING]
    return {"type": "object", "required": names, "properties": {"contract_version": {"type": "integer"}}}
