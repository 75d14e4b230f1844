"""One truth: every good and bad case through both doors, answers and faults field by field."""

import base64
import dataclasses
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format

from serving import errors
from serving.errors import ServingError
from serving.gateway.grpc_server import running
from serving.gateway.http_api import create_app
from serving.gateway.metrics import Metrics
from serving.gateway.offers import Offers
from serving.gateway.parts import Parts
from serving.gateway.predictor import Predictor
from serving.gateway.settings import Settings
from serving.generated.atelier.prediction.v1 import prediction_pb2 as wire
from tests.fakes import FakeModelServer, full_house_contract, full_picture_contract, house_contract, picture_contract
from tests.gateway_process import free_port
from tests.grpc_gateway import GrpcClient
from tests.image_files import png

MODELS = ("pictures", "houses", "plain-pictures", "plain-houses", "loading")


@dataclasses.dataclass(frozen=True)
class Case:
    """A question that both doors can be asked."""

    model: str
    verb: str
    instances: list[Any] = dataclasses.field(default_factory=list)  # JSON; pixels flat
    version: int | None = None
    top_k: int | None = None
    label: str | None = None


LEFT, RIGHT = [9, 0, 0, 255, 0, 0], [0, 0, 255, 0, 0, 0]
HOUSE = {"rooms": 3, "age": 4}


def base64_of(file: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(file).decode()}


FILE = base64_of(png(np.array(LEFT, np.uint8).reshape(2, 3)))

GOOD = {
    "a picture": Case("pictures", "classify", [LEFT]),
    "pictures": Case("pictures", "classify", [LEFT, RIGHT, [255] * 6]),
    "a picture that is evenly bright": Case("plain-pictures", "classify", [[1] * 6]),
    "a picture with top_k": Case("pictures", "classify", [LEFT], top_k=2),
    "all classes": Case("plain-pictures", "classify", [LEFT, RIGHT], top_k=3),
    "a picture of one version": Case("pictures", "classify", [LEFT], version=1),
    "a file": Case("pictures", "classify", [RIGHT, FILE]),
    "a large file": Case(
        "plain-pictures", "classify", [base64_of(png(np.arange(60_000, dtype=np.uint8).reshape(200, 300)))]
    ),
    "a house": Case("houses", "regress", [HOUSE]),
    "houses": Case("houses", "regress", [HOUSE, {"age": 0.1, "rooms": 0}, {"age": 400, "rooms": -1e-3}]),
    "a plain house": Case("plain-houses", "regress", [{"rooms": 0.973, "age": 0}]),
    "a house of one version": Case("houses", "regress", [HOUSE], version=2),
    "a house of a label": Case("houses", "regress", [HOUSE], label="stable"),
    "a picture of a label": Case("pictures", "classify", [LEFT], label="stable"),
}
BAD = {
    "no instances": Case("pictures", "classify"),
    "too many instances": Case("pictures", "classify", [LEFT] * 4),
    "a pixel short": Case("pictures", "classify", [LEFT, LEFT[1:]]),
    "a pixel too many": Case("pictures", "classify", [[*LEFT, 0]]),
    "no pixels": Case("pictures", "classify", [[]]),
    "a house for a picture": Case("pictures", "classify", [LEFT, HOUSE]),
    "null for a picture": Case("pictures", "classify", [None]),
    "null for a house": Case("houses", "regress", [HOUSE, None]),
    "no file": Case("pictures", "classify", [FILE, base64_of(b"boot")]),
    "an empty file": Case("pictures", "classify", [base64_of(b"")]),
    "half a file": Case("pictures", "classify", [base64_of(base64.b64decode(FILE["b64"])[:-30])]),
    "no features": Case("houses", "regress", [{}]),
    "a missing feature": Case("houses", "regress", [{"rooms": 3}]),
    "an unknown feature": Case("houses", "regress", [HOUSE | {"a/b~c": 1}]),
    "a long unknown feature": Case("houses", "regress", [HOUSE | {"x" * 100: 1}]),
    "features beyond float32": Case("houses", "regress", [{"rooms": 1e39, "age": -1e300}]),
    "top_k 0": Case("pictures", "classify", [LEFT], top_k=0),
    "top_k 4": Case("pictures", "classify", [LEFT], top_k=4),
    "top_k -1": Case("pictures", "classify", [LEFT], top_k=-1),
    "an unknown model": Case("cars", "classify", [LEFT]),
    "an unknown version": Case("pictures", "classify", [LEFT], version=7),
    "an unknown label": Case("pictures", "classify", [LEFT], label="canary"),
    "a label of an unknown model": Case("cars", "classify", [LEFT], label="stable"),
    "a label of a version that is gone": Case("houses", "regress", [HOUSE], label="gone"),
    "version 0": Case("houses", "regress", [HOUSE], version=0),
    "a house classified": Case("houses", "classify", [HOUSE]),
    "a picture regressed": Case("pictures", "regress", [LEFT]),
    "a model that loads": Case("loading", "classify", [LEFT]),
}


class Doors:
    """Both doors in front of one predictor."""

    def __init__(self) -> None:
        self.server = FakeModelServer(
            full_picture_contract(),
            full_house_contract(),
            picture_contract("plain-pictures"),
            house_contract("plain-houses"),
            picture_contract("loading"),
        )
        self.server.contracts["houses", 2] = full_house_contract()
        self.server.states["loading", 1] = "LOADING"
        self.server.labels |= {("pictures", "stable"): 1, ("houses", "stable"): 1, ("houses", "gone"): 7}
        settings = Settings(MODELS, max_instances=3, grpc_port=free_port(), grpc_metrics_port=free_port())
        offers = Offers(settings.models, self.server)
        predictor = Predictor(offers, self.server, settings.max_instances)
        self.parts = Parts(settings, self.server, offers, predictor, Metrics())
        self.http = create_app(self.parts).test_client()
        self.grpc = GrpcClient(settings.grpc_port)

    def ask_http(self, case: Case) -> Any:
        version = "" if case.version is None else f"/versions/{case.version}"
        version += "" if case.label is None else f"/labels/{case.label}"
        body = {"instances": case.instances} | ({} if case.top_k is None else {"top_k": case.top_k})
        return self.http.post(f"/v1/models/{case.model}{version}:{case.verb}", json=body)

    def http_fault(self, case: Case) -> dict[str, Any]:
        reply = self.ask_http(case)
        retry_after = reply.headers.get("Retry-After")
        return {
            "reason": reply.json["type"].rpartition(":")[2].replace("-", "_").upper(),
            "message": reply.json["detail"],
            "violations": [(error["pointer"], error["detail"]) for error in reply.json.get("errors", [])],
            "retry_after_s": int(retry_after) if retry_after else None,
        }

    def grpc_fault(self, case: Case) -> dict[str, Any]:
        fault = dataclasses.asdict(self.grpc.fault(*as_grpc(case)))
        return {name: fault[name] for name in ("reason", "message", "violations", "retry_after_s")}


def as_grpc(case: Case) -> tuple[str, Any]:
    """The method and the request that ask the same."""
    fields: dict[str, Any] = {"model": case.model, "instances": [_instance(i) for i in case.instances]}
    fields |= {} if case.version is None else {"version": case.version}
    fields |= {} if case.label is None else {"version_label": case.label}
    fields |= {} if case.top_k is None else {"top_k": case.top_k}
    if case.verb == "classify":
        return "Classify", wire.ClassifyRequest(**fields)
    return "Regress", wire.RegressRequest(**fields)


def _instance(instance: Any) -> wire.Instance:
    if instance is None:
        return wire.Instance()
    if isinstance(instance, dict) and "b64" in instance:
        return wire.Instance(image=wire.Image(encoded=base64.b64decode(instance["b64"])))
    if isinstance(instance, dict):
        return wire.Instance(features=wire.Features(values=instance))
    return wire.Instance(image=wire.Image(pixels=bytes(instance)))


def as_json(reply: Any, case: Case) -> dict[str, Any]:
    """A gRPC reply as the HTTP door's document; a list that nobody asked for is not in it."""
    document = json_format.MessageToDict(
        reply, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    for prediction in document["predictions"]:
        if case.top_k is None and case.verb == "classify":
            assert prediction.pop("top_k") == []
    return document


@pytest.fixture(scope="module")
def doors():
    both = Doors()
    with running(both.parts):
        yield both
    both.grpc.channel.close()


@pytest.fixture
def broken(doors):
    """Breaks the model server for one test; what it offers is known before."""
    doors.ask_http(GOOD["a house"])
    yield lambda error: setattr(doors.server, "broken_predictions", error)
    doors.server.broken_predictions = None


@pytest.mark.parametrize("name", GOOD)
def test_both_doors_give_the_same_answer(doors, name):
    case = GOOD[name]

    by_http, by_grpc = doors.ask_http(case), doors.grpc.call(*as_grpc(case))

    assert by_http.status_code == 200, by_http.json
    assert as_json(by_grpc, case) == by_http.json


@pytest.mark.parametrize("name", BAD)
def test_both_doors_refuse_in_the_same_words(doors, name):
    by_http, by_grpc = doors.http_fault(BAD[name]), doors.grpc_fault(BAD[name])

    assert by_grpc == by_http
    assert by_http["reason"] in ("INVALID_INPUT", "UNKNOWN_MODEL", "WRONG_TASK", "MODEL_NOT_READY")


ERRORS = {
    errors.InvalidInput: ((errors.Violation("/instances/0", "x"), errors.Violation("/instances/1", "y")),),
    errors.WrongTask: ("houses", "regression", "classify"),
    errors.UnknownModel: ("houses", "gone"),
    errors.Unauthenticated: ("no key",),
    errors.TooManyRequests: (5.0, 0.3),
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
def test_both_doors_explain_every_error_alike(doors, broken, error):
    broken(error(*ERRORS[error]))

    by_http, by_grpc = doors.http_fault(GOOD["a house"]), doors.grpc_fault(GOOD["a house"])

    assert by_grpc == by_http
    assert by_http["reason"]
    assert "secret" not in str(by_http)


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
