"""The door in one process, in front of fakes; tests/integration has it on a real port."""

import base64
import gzip
import io
import json
import re

import numpy as np
import pytest

from serving.contract import Document
from serving.errors import DeadlineExceeded, ModelServerFault, ModelServerUnreachable, Overloaded
from serving.gateway.http_api import create_app
from serving.gateway.metrics import Metrics
from serving.gateway.offers import Offers
from serving.gateway.parts import Parts
from serving.gateway.predictor import Predictor
from serving.gateway.settings import Settings
from tests.fakes import (
    Clock,
    FakeModelServer,
    full_house_contract,
    full_picture_contract,
    house_contract,
    picture_contract,
)
from tests.image_files import png


@pytest.fixture
def server():
    return FakeModelServer(picture_contract(), house_contract())


@pytest.fixture
def parts(server):
    settings = Settings(models=("pictures", "houses"), max_body_bytes=2048, max_instances=3)
    offers = Offers(settings.models, server, Clock())
    return Parts(settings, server, offers, Predictor(offers, server, settings.max_instances), Metrics())


@pytest.fixture
def client(parts):
    return create_app(parts).test_client()


def counted(parts: Parts) -> list[tuple[str, str, str, str]]:
    """(model, version, verb, code) of each counted request."""
    pattern = re.compile(r'atelier_requests_total{code="(.*)",model="(.*)",verb="(.*)",version="(.*)"} 1.0')
    found = (pattern.match(line) for line in parts.metrics.exposition().decode().splitlines())
    return [(m[2], m[4], m[3], m[1]) for m in found if m]


def test_classifies(client):
    answer = client.post("/v1/models/pictures:classify", json={"instances": [[0, 0, 0, 255, 0, 0]], "top_k": 1})

    assert answer.json == {
        "model": {"name": "pictures", "version": "1", "digest": "sha256:0"},
        "predictions": [
            {
                "class_name": "left",
                "class_id": 0,
                "probability": 1.0,
                "probabilities": {"left": 1.0, "middle": 0.0, "right": 0.0},
                "top_k": [{"class_name": "left", "class_id": 0, "probability": 1.0}],
            }
        ],
    }


def test_regresses(client):
    answer = client.post("/v1/models/houses:regress", json={"instances": [{"rooms": 3, "age": 4}, [1, 2]]})

    assert answer.json == {
        "model": {"name": "houses", "version": "1", "digest": "sha256:0"},
        "predictions": [{"value": 7.0, "unit": "EUR"}, {"value": 3.0, "unit": "EUR"}],
    }


def test_answers_hold_what_the_contract_promises_beyond_the_prediction(client, server):
    server.contracts = {("pictures", 1): full_picture_contract(), ("houses", 1): full_house_contract()}

    [picture] = client.post("/v1/models/pictures:predict", json={"instances": [[0, 0, 0, 255, 0, 0]]}).json[
        "predictions"
    ]
    [house] = client.post("/v1/models/houses:predict", json={"instances": [[3, 400]]}).json["predictions"]

    assert picture["prediction_set"] == {"level": 0.9, "class_names": ["left"]}
    assert (picture["in_domain"], picture["domain_score"]) == (True, 0.16666667)
    assert house == {
        "value": 403.0,
        "unit": "EUR",
        "interval": {"level": 0.9, "low": 402.0, "high": 405.0},
        "in_domain": False,
        "domain_score": 400.0,
    }


PIXELS = [[0, 0, 255], [0, 0, 0]]
FILE = png(np.array(PIXELS, np.uint8))


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ({"json": {"instances": [PIXELS, {"b64": base64.b64encode(FILE).decode()}]}}, 2),
        ({"data": FILE, "content_type": "image/png"}, 1),
        ({"data": {"shoe": (io.BytesIO(FILE), "shoe.png"), "boot": (io.BytesIO(FILE), "boot.png")}}, 2),
        ({"data": bytes([0, 0, 255, 0, 0, 0]) * 3, "content_type": "application/octet-stream"}, 3),
    ],
    ids=["base64", "one image", "a form", "raw pixels"],
)
def test_images_come_in_many_ways_and_are_answered_alike(client, body, rows):
    expected = client.post("/v1/models/pictures:classify", json={"instances": [PIXELS] * rows})

    assert client.post("/v1/models/pictures:classify", **body).json == expected.json
    assert expected.json["predictions"][0]["class_name"] == "right"


@pytest.mark.parametrize("content_type", ["image/png", "application/octet-stream"])
def test_top_k_may_be_in_the_query_where_the_body_has_no_place_for_it(client, content_type):
    data = FILE if content_type == "image/png" else bytes([0, 0, 255, 0, 0, 0])

    answer = client.post("/v1/models/pictures:classify?top_k=2", data=data, content_type=content_type)
    refused = client.post("/v1/models/pictures:classify?top_k=x", data=data, content_type=content_type)

    assert [one["class_name"] for one in answer.json["predictions"][0]["top_k"]] == ["right", "left"]
    assert [error["pointer"] for error in refused.json["errors"]] == ["/top_k"]


def test_houses_come_as_csv_and_are_answered_alike(client):
    expected = client.post("/v1/models/houses:regress", json={"instances": [[3, 4], [1, 2.5]]})

    answer = client.post("/v1/models/houses:regress", data="age,rooms\n4,3\n2.5,1\n", content_type="text/csv")

    assert answer.json == expected.json


def test_a_long_answer_is_deflated_for_a_client_that_takes_it(client, server):
    server.contracts["houses", 1] = house_contract(description="What a house costs. " * 100)
    path, headers = "/v1/models/houses/metadata", {"Accept-Encoding": "gzip"}
    plain = client.get(path)

    deflated = client.get(path, headers=headers)
    short = client.get("/livez", headers=headers)

    assert gzip.decompress(deflated.data) == plain.data
    assert (short.json, "Content-Encoding" in short.headers) == ({"alive": True}, False)


@pytest.mark.parametrize(
    ("path", "content_type", "data", "pointer", "words"),
    [
        (
            "houses:regress",
            "text/csv",
            b"rooms,age\n3,4\n3,west",
            "/instances/1/age",
            "expected a number, got a string",
        ),
        ("houses:regress", "text/csv", b"rooms\n3", "/instances/0/age", "the feature is missing"),
        ("houses:regress", "text/csv", b"rooms,age\n3,inf", "/instances/0/age", "expected a finite 32-bit number"),
        ("houses:regress", "text/csv", b"rooms,age\n3", "/instances/0", "expected 2 values, as the first line has"),
        ("houses:regress", "text/csv", b"rooms,age", "/instances", "expected at least one instance"),
        ("pictures:classify", "text/csv", b"rooms\n3", "/instances/0", "got an object of other members"),
        ("pictures:classify", "image/png", b"boot", "/instances/0", "got bytes that are neither"),
        ("pictures:classify", "application/octet-stream", b"1234567", "", "expected 6 bytes an image, one after the"),
        (
            "pictures:classify",
            "application/octet-stream",
            b"x" * 24,
            "/instances",
            "at most 3 instances in one request",
        ),
        ("houses:regress", "image/png", FILE, "/instances/0", "expected an object by feature name or an array of 2"),
        ("houses:regress", "application/octet-stream", b"12", "", "takes features, so it does not take a block of"),
    ],
)
def test_an_image_that_cannot_be_taken_is_422_with_its_place(client, path, content_type, data, pointer, words):
    answer = client.post(f"/v1/models/{path}", data=data, content_type=content_type)

    assert answer.status_code == 422, answer.json
    [error] = answer.json["errors"]
    assert error["pointer"] == pointer
    assert words in error["detail"]


def test_numbers_have_no_more_digits_than_a_float32_needs(client):
    answer = client.post("/v1/models/houses:regress", json={"instances": [[0.973, 0]]})

    assert b'"value":0.973,' in answer.data


def test_a_version_can_be_named(client, server):
    server.contracts["houses", 2] = house_contract()

    for path, version in [("houses", "2"), ("houses/versions/1", "1"), ("houses/versions/2", "2")]:
        answer = client.post(f"/v1/models/{path}:predict", json={"instances": [[3, 4]]})
        assert answer.json["model"]["version"] == version


def test_a_label_names_a_version_too(client, server):
    server.contracts["houses", 2] = house_contract()
    server.labels["houses", "stable"] = 1

    answer = client.post("/v1/models/houses/labels/stable:predict", json={"instances": [[3, 4]]})
    status = client.get("/v1/models/houses/labels/stable")
    metadata = client.get("/v1/models/houses/labels/stable/metadata")

    assert answer.json["model"]["version"] == "1"
    assert [one["version"] for one in status.json["model_version_status"]] == ["1"]
    assert metadata.headers["X-Model-Version"] == "1"


def test_lists_the_models_with_what_answers_for_each(client, server, parts):
    server.contracts["houses", 2] = house_contract()
    server.states["houses", 2] = "LOADING"
    del server.contracts["pictures", 1]
    for watch in parts.offers.watches.values():
        watch.look()

    pictures, houses = client.get("/v1/models").json["models"]

    assert pictures == {
        "name": "pictures",
        "task": None,
        "description": None,
        "version": None,
        "reason": "model 'pictures' is not on offer: the model server has no version of it",
        "versions": [],
    }
    assert houses == {
        "name": "houses",
        "task": "regression",
        "description": "What a house costs",
        "version": "1",
        "reason": None,
        "versions": [
            {"version": "2", "state": "LOADING", "on_offer": False},
            {"version": "1", "state": "AVAILABLE", "on_offer": True},
        ],
    }


def test_gives_the_status_as_tensorflow_serving_does(client):
    expected = {
        "model_version_status": [
            {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ]
    }

    assert client.get("/v1/models/houses").json == expected
    assert client.get("/v1/models/houses/versions/1").json == expected


def test_the_metadata_is_the_contract_and_a_header_names_its_version(client):
    for path in ("houses", "houses/versions/1"):
        answer = client.get(f"/v1/models/{path}/metadata")
        assert answer.json["provenance"]["data_source"] == "made up"
        assert answer.headers["X-Model-Version"] == "1"


def test_alive_and_ready(client, parts, server):
    assert client.get("/livez").json == {"alive": True}
    assert client.get("/readyz").status_code == 503

    for watch in parts.offers.watches.values():
        watch.look()

    assert client.get("/readyz").status_code == 200
    assert client.get("/readyz").json["models"]["houses"] == {"version": 1, "reason": None}

    parts.draining.set()
    assert client.get("/readyz").status_code == 503
    assert client.get("/livez").status_code == 200


NOT_FOUND = [
    ("GET", "/v1/models/cars", "unknown-model"),
    ("GET", "/v1/models/cars/metadata", "unknown-model"),
    ("POST", "/v1/models/cars:predict", "unknown-model"),
    ("POST", "/v1/models/houses/versions/7:predict", "unknown-model"),
    ("POST", "/v1/models/houses/versions/0:predict", "unknown-model"),
    ("GET", "/v1/models/houses/versions/0", "unknown-model"),
    ("GET", "/v1/models/houses/versions/0/metadata", "unknown-model"),
    ("POST", "/v1/models/houses/labels/canary:predict", "unknown-model"),
    ("GET", "/v1/models/houses/labels/canary", "unknown-model"),
    ("GET", "/v1/models/houses/labels/canary/metadata", "unknown-model"),
    ("GET", "/v1/models/cars/labels/canary", "unknown-model"),
    ("POST", "/v1/models/houses/labels/:predict", "no-such-path"),
    ("POST", "/v1/models/houses/versions/-1:predict", "no-such-path"),
    ("POST", "/v1/models/houses/versions/latest:predict", "no-such-path"),
    ("POST", f"/v1/models/houses/versions/{'9' * 5000}:predict", "no-such-path"),
    ("POST", "/v1/models/houses:explain", "no-such-path"),
    ("POST", "/v1/models/:predict", "no-such-path"),
    ("GET", "/v1/models/", "no-such-path"),
    ("GET", "//v1/models", "no-such-path"),
    ("GET", "/playground", "no-such-path"),
]


@pytest.mark.parametrize(("method", "path", "kind"), NOT_FOUND)
def test_what_is_not_there_is_404(client, method, path, kind):
    answer = client.open(path, method=method, json={"instances": [[3, 4]]})

    assert (answer.status_code, answer.json["type"]) == (404, f"urn:atelier:problem:{kind}")
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/models/houses:predict", "OPTIONS, POST"),
        ("PUT", "/v1/models/houses/versions/1:predict", "OPTIONS, POST"),
        ("POST", "/v1/models", "GET, HEAD, OPTIONS"),
        ("DELETE", "/v1/models/houses", "GET, HEAD, OPTIONS"),
    ],
)
def test_another_method_is_405_with_the_right_ones(client, method, path, allow):
    answer = client.open(path, method=method)

    assert (answer.status_code, answer.headers["Allow"]) == (405, allow)


def test_head_and_options_have_no_body(client):
    assert client.head("/v1/models").data == b""
    options = client.options("/v1/models/houses:predict")
    assert (options.status_code, options.data) == (200, b"")
    assert set(options.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (ModelServerUnreachable("away"), 503, "model-server-unreachable"),
        (Overloaded("too much"), 503, "overloaded"),
        (DeadlineExceeded("slow"), 504, "deadline-exceeded"),
        (ModelServerFault("op 7 failed"), 502, "model-server-fault"),
    ],
)
def test_a_fault_of_the_model_server_has_its_status(client, server, error, status, kind):
    client.post("/v1/models/houses:predict", json={"instances": [[3, 4]]})
    server.broken = error

    answer = client.post("/v1/models/houses:predict", json={"instances": [[3, 4]]})

    assert (answer.status_code, answer.json["type"]) == (status, f"urn:atelier:problem:{kind}")
    assert answer.headers.get("Retry-After") == ("1" if status == 503 else None)


def test_a_bug_is_500_without_insides_and_is_logged_with_the_request_id(client, server, caplog):
    client.post("/v1/models/houses:predict", json={"instances": [[3, 4]]})
    server.broken = ZeroDivisionError("a detail of ours")

    answer = client.post("/v1/models/houses:predict", json={"instances": [[3, 4]]}, headers={"X-Request-Id": "find-me"})

    assert (answer.status_code, answer.json["type"]) == (500, "urn:atelier:problem:internal-error")
    assert "a detail of ours" not in answer.text
    assert "request find-me failed" in caplog.text


def test_a_body_over_the_limit_is_413(client):
    answer = client.post("/v1/models/houses:predict", data=b"x" * 2049, content_type="application/json")

    assert (answer.status_code, answer.json["type"]) == (413, "urn:atelier:problem:body-too-large")


def test_the_clients_time_reaches_the_model_server(client, server):
    given = []
    predict = server.predict

    def note(model, version, inputs, timeout_s, *signature):
        given.append(timeout_s)
        return predict(model, version, inputs, timeout_s, *signature)

    body = {"instances": [[3, 4]]}
    client.post("/v1/models/houses:predict", json=body)
    server.predict = note
    client.post("/v1/models/houses:predict", json=body, headers={"X-Request-Timeout": "2.5"})
    client.post("/v1/models/houses:predict", json=body, headers={"X-Request-Timeout": "3600"})

    assert 1 < given[0] <= 2.5
    assert 9 < given[1] <= 10


def test_time_that_ran_out_before_the_model_server_is_asked_is_504(client):
    answer = client.post(
        "/v1/models/houses:predict", json={"instances": [[3, 4]]}, headers={"X-Request-Timeout": "0.000000001"}
    )

    assert (answer.status_code, answer.json["type"]) == (504, "urn:atelier:problem:deadline-exceeded")


@pytest.mark.parametrize("asked", ["0", "-1", "soon", "1e3"])
def test_a_time_that_is_no_number_of_seconds_is_400(client, asked):
    answer = client.post(
        "/v1/models/houses:predict", json={"instances": [[3, 4]]}, headers={"X-Request-Timeout": asked}
    )

    assert (answer.status_code, answer.json["type"]) == (400, "urn:atelier:problem:malformed-request")
    assert answer.json["detail"].startswith("X-Request-Timeout: expected seconds above 0")


@pytest.mark.parametrize("asked", ["a", "A-b_c.d:1", "x" * 64])
def test_a_request_id_is_given_back(client, asked):
    answer = client.get("/v1/models/cars", headers={"X-Request-Id": asked})

    assert answer.headers["X-Request-Id"] == answer.json["request_id"] == asked


@pytest.mark.parametrize("asked", [None, "", "x" * 65, "a b", "<script>", "é"])
def test_a_request_id_is_made_where_none_will_do(client, asked):
    headers = {} if asked is None else {"X-Request-Id": asked}

    assert re.fullmatch("[0-9a-f]{32}", client.get("/livez", headers=headers).headers["X-Request-Id"])


def test_describes_what_is_on_offer_now(client, parts, server):
    assert "/v1/models/houses:regress" not in client.get("/openapi.json").json["paths"]

    for watch in parts.offers.watches.values():
        watch.look()

    assert "/v1/models/houses:regress" in client.get("/openapi.json").json["paths"]


def test_the_viewer_of_the_description_comes_from_here(client):
    assert client.get("/docs").mimetype == "text/html"
    assert client.get("/docs/docs.js").mimetype == "text/javascript"
    assert client.get("/docs/settings.py").status_code == 404


@pytest.mark.parametrize("path", ["/livez", "/v1/models/houses", "/v1/models/cars", "/nothing", "/docs", "/metrics"])
def test_every_answer_tells_a_browser_to_make_no_more_of_it_than_it_is(client, path):
    headers = client.get(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Cache-Control"] == ("no-cache" if path == "/docs" else "no-store")


def test_every_answer_is_counted_by_what_a_client_cannot_invent(client, parts):
    body = {"instances": [[3, 4]]}
    client.post("/v1/models/houses:regress", json=body)
    client.post("/v1/models/houses:classify", json=body)
    client.post("/v1/models/cars:predict", json=body)
    client.post("/v1/models/made-up:predict", json=body)
    client.get("/v1/models/houses")
    client.get("/nothing-here")
    client.get("/livez")
    client.get("/metrics")

    assert sorted(counted(parts)) == [
        ("", "", "unknown", "404"),
        ("houses", "", "classify", "400"),
        ("houses", "", "status", "200"),
        ("houses", "1", "regress", "200"),
    ]
    assert 'atelier_requests_total{code="404",model="unknown",verb="predict",version=""} 2.0' in (
        client.get("/metrics").text
    )
    assert "atelier_requests_in_flight 1.0" in client.get("/metrics").text  # this one


def test_an_answered_prediction_shows_where_its_time_went_and_what_was_said(client, parts):
    client.post("/v1/models/houses:regress", json={"instances": [[3, 4]]})
    client.post("/v1/models/houses:regress", json={"instances": []})

    text = parts.metrics.exposition().decode()
    for phase in ("validation", "waiting", "model_server", "encoding"):
        labels = f'model="houses",phase="{phase}",version="1"'
        assert f"atelier_request_phase_duration_seconds_count{{{labels}}} 1.0" in text
    assert 'atelier_predicted_value_bucket{le="10.0",model="houses",version="1"} 1.0' in text


def test_refusals_are_counted_by_their_reason(client, parts):
    client.post("/v1/models/houses:regress", json={"instances": []})
    client.post("/v1/models/made-up:regress", json={"instances": [[3, 4]]})

    text = parts.metrics.exposition().decode()
    assert 'atelier_refusals_total{model="houses",reason="invalid-input"} 1.0' in text
    assert 'atelier_refusals_total{model="unknown",reason="unknown-model"} 1.0' in text


def test_the_whole_answer_is_json_that_any_parser_reads(client, server):
    server.contracts["houses", 1] = house_contract(golden_tolerance=1.0)
    answer = client.post("/v1/models/houses:regress", json={"instances": [[1e-30, 0], [3.4e38, 0]]})

    values = [prediction["value"] for prediction in json.loads(answer.data)["predictions"]]
    np.testing.assert_array_equal(np.array([1e-30, 3.4e38], np.float32), np.array(values, np.float32))


def test_the_playground_is_served_at_the_root_to_anybody(client):
    page = client.get("/")

    assert page.mimetype == "text/html"
    assert client.get("/playground/main.js").mimetype == "text/javascript"
    assert client.get("/playground/doors.json").json == {"grpc_port": 8081, "tls": False, "needs_key": False}
    assert "Set-Cookie" not in page.headers


@pytest.mark.parametrize("place", ["", "/versions/1"])
def test_a_version_s_document_comes_with_its_type_and_may_do_nothing(client, server, place):
    server.contracts["houses", 1] = house_contract(documents=(Document("report", "Report", "text/html"),))
    server.documents["houses", 1] = {"report": "<h1>Report</h1>"}

    answer = client.get(f"/v1/models/houses{place}/documents/report")

    assert (answer.status_code, answer.text) == (200, "<h1>Report</h1>")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["X-Model-Version"] == "1"


def test_a_document_that_a_version_does_not_have_is_not_found(client):
    answer = client.get("/v1/models/houses/documents/report")

    assert (answer.status_code, answer.json["type"]) == (404, "urn:atelier:problem:unknown-model")
    assert answer.json["detail"] == "version 1 of 'houses' has no such document; it has none"
