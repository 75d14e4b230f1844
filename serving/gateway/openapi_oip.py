"""The Open Inference Protocol's paths (/v2) of an OpenAPI description, each model's from its contract."""

import urllib.parse
from collections.abc import Mapping

from serving.gateway.oip_bodies import HEADER
from serving.gateway.openapi_oip_schemas import (
    example_reply,
    example_request,
    infer_reply,
    infer_request,
    model_metadata,
)
from serving.gateway.openapi_operations import HEADERS, Json, json_answer, path_parameter
from serving.gateway.openapi_problems import oip_responses
from serving.gateway.openapi_schemas import NAME, Schema, closed_object
from serving.gateway.predictor import Offer

TEXT: Schema = {"type": "string"}
VERSION = path_parameter("version", {**NAME, "pattern": "^[^/]+$"}, "A number, or a label.")
BINARY = """\
the same JSON, and right behind it the elements of each input that has `binary_data_size` among its parameters \
instead of `data`, little-endian, row by row (Triton's binary tensor data extension)."""
JSON_SIZE: Schema = {"type": "string", "pattern": "^[0-9]{1,19}$", "description": "How many bytes are JSON."}


def tensor_paths(offers: Mapping[str, tuple[Offer, ...]], max_instances: int, *, keys: bool) -> Json:
    """Path → methods."""
    server = closed_object({"name": TEXT, "version": TEXT, "extensions": {"type": "array", "items": TEXT}})
    probe: Json = {"tags": ["gateway"], "security": []}
    alive = {"200": json_answer("Alive.", closed_object({"live": {"const": True}}))}
    paths: Json = {
        "/v2": {"get": _get("gateway", "Who answers, and its extensions of the protocol", server, [], keys=keys)},
        "/v2/health/live": {"get": {**probe, "summary": "Alive", "responses": alive}},
        "/v2/health/ready": {"get": {**probe, "summary": "Ready", "responses": _ready({})}},
    }
    for model, versions in offers.items():
        path = f"/v2/models/{urllib.parse.quote(model, safe='')}"
        paths |= _model_paths(model, path, versions[:1], [], max_instances, keys=keys)
        paths |= _model_paths(model, f"{path}/versions/{{version}}", versions[:1], [VERSION], max_instances, keys=keys)
        for offer in versions:
            paths[f"{path}/versions/{offer.version}/infer"] = {"post": _infer(offer, [], max_instances, keys=keys)}
    return paths


def _model_paths(
    model: str, path: str, offers: tuple[Offer, ...], parameters: list[Json], max_instances: int, *, keys: bool
) -> Json:
    about = _get(model, "The tensors it takes and gives", model_metadata(model), parameters, keys=keys)
    ready = _get(model, "Whether it is on offer", {}, parameters, keys=keys)
    ready["responses"] |= _ready({"name": {"const": model}})
    infer = {f"{path}/infer": {"post": _infer(offer, parameters, max_instances, keys=keys)} for offer in offers}
    return {path: {"get": about}, f"{path}/ready": {"get": ready}, **infer}


def _get(tag: str, summary: str, schema: Schema, parameters: list[Json], *, keys: bool) -> Json:
    return {
        "tags": [tag],
        "summary": summary,
        "parameters": [*HEADERS, *parameters],
        "responses": {"200": json_answer(f"{summary}.", schema), **oip_responses(has_body=False, keys=keys)},
    }


def _ready(about: dict[str, Schema]) -> Json:
    return {
        status: json_answer(f"{text}.", closed_object({**about, "ready": {"const": is_ready}}))
        for status, text, is_ready in (("200", "Ready", True), ("503", "Not ready", False))
    }


def _infer(offer: Offer, parameters: list[Json], max_instances: int, *, keys: bool) -> Json:
    contract = offer.contract
    asked: Json = {"schema": infer_request(contract, max_instances)}
    answer = json_answer("A tensor for each output asked for, all without.", infer_reply(contract))
    if contract.goldens:
        asked["example"] = example_request(contract, contract.goldens[0])
        answer["content"]["application/json"]["example"] = example_reply(contract, offer.version, contract.goldens[0])
    answer["content"]["application/octet-stream"] = {}
    answer["headers"] = {HEADER: {"schema": JSON_SIZE, "description": "Where outputs come as bytes."}}
    size = {"name": HEADER, "in": "header", "schema": JSON_SIZE, "description": "With tensors as bytes."}
    return {
        "tags": [contract.name],
        "summary": f"Infer: {contract.description}",
        "description": "Tensors bear the model's names and raw values, which the service scales.",
        "parameters": [*HEADERS, *parameters, size],
        "requestBody": {
            "required": True,
            "description": f"As application/octet-stream: {BINARY}",
            "content": {"application/json": asked, "application/octet-stream": {}},
        },
        "responses": {"200": answer, **oip_responses(has_body=True, keys=keys)},
    }
