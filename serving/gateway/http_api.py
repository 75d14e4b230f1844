"""The HTTP door: TensorFlow Serving's URL grammar, in the domain's words. Only translates, for the predictor."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import orjson
from flask import Flask, Response, g, request
from prometheus_client import CONTENT_TYPE_LATEST
from werkzeug.routing import BaseConverter

from serving import contract
from serving.errors import ModelNotReady, UnknownModel
from serving.gateway import http_scope, oip_http
from serving.gateway.answers import Answer
from serving.gateway.bodies import read_body
from serving.gateway.documents import read_document
from serving.gateway.health import is_ready, models_health
from serving.gateway.http_scope import json_response
from serving.gateway.listing import Listed, list_model, newest_first
from serving.gateway.model_server import VersionStatus
from serving.gateway.openapi import Described, openapi
from serving.gateway.pages import document_page, page
from serving.gateway.parts import Parts
from serving.gateway.predictor import Call, Label, Offer, Selector


def create_app(parts: Parts) -> Flask:
    """The WSGI application."""
    app = Flask("atelier", static_folder=None)
    app.url_map.merge_slashes = False
    app.url_map.converters |= {"model": ModelName, "version": VersionNumber, "label": LabelName}
    for method, rule, name, view in (*ROUTES, *oip_http.ROUTES):
        app.add_url_rule(rule, name, partial(view, parts), methods=[method])
    http_scope.install(app, parts)
    oip_http.speak_the_protocol(app)
    return app


class ModelName(BaseConverter):
    """Anything up to the verb's colon."""

    regex = "[^/:]+"


class VersionNumber(BaseConverter):
    """An int64 in decimal digits, as far as digits can say."""

    regex = "[0-9]{1,19}"

    def to_python(self, value: str) -> int:
        """The number."""
        return int(value)


class LabelName(ModelName):
    """A label, with the characters that TensorFlow Serving's URLs can carry."""

    def to_python(self, value: str) -> Label:
        """The label."""
        return Label(value)


def predict(parts: Parts, model: str, verb: str, version: Selector = None) -> Response:
    """POST a batch of instances, get a prediction for each."""
    parts.offers.watch(model)  # an unknown model is the first thing to say
    body = read_body(request, parts.settings.max_body_bytes, partial(http_scope.take_room, parts))
    call = Call(model, version, verb, body["instances"], body.get("top_k"))
    prediction = parts.predictor.predict(call, http_scope.time_left_s())
    g.version = str(prediction.offer.version)
    parts.metrics.predictions.observe(prediction.offer.contract, prediction.offer.version, prediction.outputs)
    return json_response(answer_document(prediction.offer, prediction.answers))


def answer_document(offer: Offer, answers: list[Answer] | orjson.Fragment) -> dict[str, Any]:
    """The JSON of an answered prediction, its answers perhaps as text already."""
    return {"model": _maker(offer), "predictions": answers}


def list_models(parts: Parts) -> Response:
    """All configured models: which version answers, and the state of each."""
    return json_response({"models": [_listed(list_model(parts.offers, model)) for model in parts.offers.watches]})


def model_status(parts: Parts, model: str, version: Selector = None) -> Response:
    """The states of a model's versions, as TensorFlow Serving gives them."""
    number = parts.offers.number(model, version, http_scope.time_left_s())
    statuses = parts.server.versions(model, http_scope.time_left_s())
    if not statuses:
        raise ModelNotReady(model, "the model server has no version of it")
    chosen = [status for status in statuses if number in (None, status.version)]
    if not chosen:
        raise UnknownModel(model, f"model {model!r} has no version {number}")
    return json_response({"model_version_status": [_status(status) for status in chosen]})


def metadata(parts: Parts, model: str, version: Selector = None) -> Response:
    """The contract of the version on offer, which a header names."""
    offer = parts.offers.find(model, version, http_scope.time_left_s())
    response = Response(contract.to_json(offer.contract) + "\n", mimetype="application/json")
    response.headers["X-Model-Version"] = str(offer.version)
    return response


def document(parts: Parts, model: str, name: str, version: Selector = None) -> Response:
    """A text for people that the version on offer carries, its report say; a header names the version."""
    offer = parts.offers.find(model, version, http_scope.time_left_s())
    about, text = read_document(parts.server, offer, name, http_scope.time_left_s())
    response = document_page(text, about.media_type)
    response.headers["X-Model-Version"] = str(offer.version)
    return response


def livez(_parts: Parts) -> Response:
    """Who answers is alive."""
    return json_response({"alive": True})


def readyz(parts: Parts) -> Response:
    """200 once every configured model is on offer and until the process is told to stop, else 503 with the reasons."""
    health = models_health(parts.offers)
    draining = parts.draining.is_set()
    ready = is_ready(health, draining=draining)
    document = {"ready": ready, "draining": draining, "models": {model: asdict(one) for model, one in health.items()}}
    return json_response(document, 200 if ready else 503)


def metrics(parts: Parts) -> Response:
    """Prometheus' text format, over all workers."""
    return Response(parts.metrics.exposition(), content_type=CONTENT_TYPE_LATEST)


def openapi_json(parts: Parts) -> Response:
    """The description of this door, made from the contracts of what is on offer now."""
    settings = parts.settings
    offers = {model: newest_first(watch.snapshot) for model, watch in parts.offers.watches.items()}
    return json_response(openapi(Described(offers, settings.max_instances, keys=parts.keys is not None)))


def docs(_parts: Parts, file: str = "index.html") -> Response:
    """The viewer of that description."""
    return page("docs", file)


def playground(_parts: Parts, file: str = "index.html") -> Response:
    """The page that tries out whatever is on offer."""
    return page("playground", file)


def about_doors(parts: Parts) -> Response:
    """What the playground must know to show a client's calls."""
    settings = parts.settings
    return json_response(
        {"grpc_port": settings.grpc_port, "tls": settings.speaks_tls, "needs_key": parts.keys is not None}
    )


MODEL = "/v1/models/<model:model>"
VERSION = f"{MODEL}/versions/<version:version>"
LABEL = f"{MODEL}/labels/<label:version>"
VERB = "<any(classify, regress, predict):verb>"

# method, path, name, view. HEAD comes with GET, OPTIONS with both.
ROUTES: tuple[tuple[str, str, str, Callable[..., Response]], ...] = (
    ("GET", "/v1/models", "list", list_models),
    ("GET", MODEL, "status", model_status),
    ("GET", VERSION, "version_status", model_status),
    ("GET", LABEL, "label_status", model_status),
    ("GET", f"{MODEL}/metadata", "metadata", metadata),
    ("GET", f"{VERSION}/metadata", "version_metadata", metadata),
    ("GET", f"{LABEL}/metadata", "label_metadata", metadata),
    ("GET", f"{MODEL}/documents/<name>", "document", document),
    ("GET", f"{VERSION}/documents/<name>", "version_document", document),
    ("GET", f"{LABEL}/documents/<name>", "label_document", document),
    ("POST", f"{MODEL}:{VERB}", "predict", predict),
    ("POST", f"{VERSION}:{VERB}", "version_predict", predict),
    ("POST", f"{LABEL}:{VERB}", "label_predict", predict),
    ("GET", "/livez", "livez", livez),
    ("GET", "/readyz", "readyz", readyz),
    ("GET", "/metrics", "metrics", metrics),
    ("GET", "/openapi.json", "openapi", openapi_json),
    ("GET", "/docs", "docs", docs),
    ("GET", "/docs/<file>", "docs_file", docs),
    ("GET", "/", "playground", playground),
    ("GET", "/playground/<file>", "playground_file", playground),
    ("GET", "/playground/doors.json", "about_doors", about_doors),
)


def _maker(offer: Offer) -> dict[str, str]:
    """Who made a prediction. The version is a string, as protobuf's JSON has every int64."""
    return {"name": offer.contract.name, "version": str(offer.version), "digest": offer.contract.digest}


def _listed(model: Listed) -> dict[str, Any]:
    """As JSON; a version is a string there."""
    return asdict(model) | {
        "version": None if model.version is None else str(model.version),
        "versions": [asdict(listed) | {"version": str(listed.version)} for listed in model.versions],
    }


def _status(status: VersionStatus) -> dict[str, Any]:
    """TensorFlow Serving's JSON of one version."""
    return {
        "version": str(status.version),
        "state": status.state,
        "status": {"error_code": status.error_code, "error_message": status.error_message},
    }
