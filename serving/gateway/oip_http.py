"""The Open Inference Protocol over HTTP, under /v2. Only translates, for oip.py."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial

import orjson
from flask import Flask, Response, g, request
from werkzeug.exceptions import UnsupportedMediaType

from serving.gateway import http_scope, oip
from serving.gateway.bodies import read_bytes
from serving.gateway.health import is_ready, models_health
from serving.gateway.http_scope import json_response
from serving.gateway.oip_bodies import HEADER, InferRequest, encode, parse
from serving.gateway.parts import Parts
from serving.gateway.predictor import Prediction

# "" is none: Triton's client sends no Content-Type at all.
MEDIA_TYPES = ("", "application/json", "application/octet-stream")


def server_metadata(_parts: Parts) -> Response:
    """Who answers, and which extensions of the protocol it has."""
    about = {"name": oip.SERVER_NAME, "version": oip.SERVER_VERSION, "extensions": oip.EXTENSIONS}
    return json_response(about)


def live(_parts: Parts) -> Response:
    """Who answers is alive."""
    return json_response({"live": True})


def ready(parts: Parts) -> Response:
    """200 once every configured model is on offer, else 503; /readyz has the reasons."""
    ready = is_ready(models_health(parts.offers), draining=parts.draining.is_set())
    return json_response({"ready": ready}, 200 if ready else 503)


def model_metadata(parts: Parts, model: str, version: str = "") -> Response:
    """The tensors that a model takes and gives."""
    return json_response(asdict(oip.model_metadata(parts, model, version, http_scope.time_left_s())))


def model_ready(parts: Parts, model: str, version: str = "") -> Response:
    """200 where that version is on offer, else 503."""
    ready = oip.is_model_ready(parts, model, version, http_scope.time_left_s())
    return json_response({"name": model, "ready": ready}, 200 if ready else 503)


def infer(parts: Parts, model: str, version: str = "", **_verb: str) -> Response:
    """POST input tensors, get output tensors."""
    parts.offers.watch(model)  # an unknown model is the first thing to say
    body = read_bytes(request, parts.settings.max_body_bytes, partial(http_scope.take_room, parts))
    if request.mimetype not in MEDIA_TYPES:
        raise UnsupportedMediaType("send Content-Type: application/json, or application/octet-stream with binary data")
    asked = parse(body, request.headers.get(HEADER))
    prediction = oip.infer(parts, model, version, asked.batch, http_scope.time_left_s())
    g.version = str(prediction.offer.version)
    return _reply(prediction, asked)


MODEL = "/v2/models/<model:model>"
VERSION = f"{MODEL}/versions/<version>"

VERB = "<any(infer):verb>"  # so that metrics and logs have it as they have the other predictions' verbs

# method, path, name, view
ROUTES: tuple[tuple[str, str, str, Callable[..., Response]], ...] = (
    ("GET", "/v2", "oip_server", server_metadata),
    ("GET", "/v2/", "oip_server_slash", server_metadata),  # as the protocol's OpenAPI document writes it
    ("GET", "/v2/health/live", "oip_live", live),
    ("GET", "/v2/health/ready", "oip_ready", ready),
    ("GET", MODEL, "oip_metadata", model_metadata),
    ("GET", VERSION, "oip_version_metadata", model_metadata),
    ("GET", f"{MODEL}/ready", "oip_model_ready", model_ready),
    ("GET", f"{VERSION}/ready", "oip_version_ready", model_ready),
    ("POST", f"{MODEL}/{VERB}", "oip_infer", infer),
    ("POST", f"{VERSION}/{VERB}", "oip_version_infer", infer),
)


def _reply(prediction: Prediction, asked: InferRequest) -> Response:
    """JSON, and behind it what was asked for as bytes."""
    promise = prediction.offer.contract
    about = {
        "model_name": promise.name,
        "model_version": str(prediction.offer.version),
        "parameters": {"digest": promise.digest},
        **({} if asked.id is None else {"id": asked.id}),
    }
    body, json_size = encode(about, prediction.outputs, oip.wanted(prediction, asked.batch), asked)
    if json_size == len(body):
        return Response(body, mimetype="application/json")
    return Response(body, mimetype="application/octet-stream", headers={HEADER: str(json_size)})


def speak_the_protocol(app: Flask) -> None:
    """Problems under /v2 leave as the protocol has them: {"error": …}, and beside it the places of an invalid input."""

    @app.after_request
    def translate(response: Response) -> Response:
        if response.mimetype == "application/problem+json" and f"{request.path}/".startswith("/v2/"):
            problem = orjson.loads(response.data)
            error = {"error": problem["detail"], **({"errors": problem["errors"]} if "errors" in problem else {})}
            response.data = orjson.dumps(error, option=orjson.OPT_APPEND_NEWLINE)
            response.mimetype = "application/json"
        return response
