"""Every kind of bad input over real HTTP: the right status, pointer and words, and never a 500."""

import json

import numpy as np
import pytest

from serving.contract import Golden, ImageInput
from tests.fakes import FakeModelServer, WireModelServer, house_contract, picture_contract
from tests.gateway_process import GatewayProcess, gateway_process, wait_until
from tests.image_files import empty_png, png

SIDE = 28
MAX_BODY_BYTES = 4 * 1024 * 1024


@pytest.fixture(scope="module")
def gateway():
    """Pictures of 28 x 28, of which the fake model looks at the brightest of 28 columns; houses of two features."""
    pictures = picture_contract(
        input=ImageInput("pixels", (SIDE, SIDE), 0, 255, 1 / 255),
        output=picture_contract().output.__class__("probabilities", tuple(f"column {i}" for i in range(SIDE))),
        goldens=(Golden([[255] + [0] * (SIDE - 1)] * SIDE, {"probabilities": (1.0,) + (0.0,) * (SIDE - 1)}),),
    )
    server = WireModelServer(FakeModelServer(pictures, house_contract()))
    with gateway_process(server.address, "pictures,houses", ATELIER_MAX_BODY_BYTES=str(MAX_BODY_BYTES)) as running:
        wait_until(running.is_ready, running.log)
        yield running
    server.stop()


def image(**pixels: object) -> list[list[object]]:
    """A black picture with one other pixel: r3c27=256 is row 3, column 27."""
    rows: list[list[object]] = [[0] * SIDE for _ in range(SIDE)]
    for place, value in pixels.items():
        row, column = map(int, place[1:].split("c"))
        rows[row][column] = value
    return rows


def pictures(*instances: object) -> bytes:
    return json.dumps({"instances": list(instances)}).encode()


def one_pixel(text: str) -> bytes:
    """A picture whose pixel in row 3, column 27 is this raw JSON."""
    return pictures(image(r3c27="HERE")).replace(b'"HERE"', text.encode())


def houses(text: str) -> bytes:
    return b'{"instances": [' + text.encode() + b"]}"


PIXEL = "expected an integer from 0 to 255, got "
CLASSIFY, REGRESS = "/v1/models/pictures:classify", "/v1/models/houses:regress"
JSON = "application/json"

# name: path, content type, body, status, pointer (None: no errors), words
CASES: dict[str, tuple[str, str | None, bytes, int, str | None, str]] = {
    "empty body": (CLASSIFY, JSON, b"", 400, None, "the body is empty"),
    "broken JSON": (CLASSIFY, JSON, b'{"instances": [[0, 1', 400, None, "at line 1 column 21"),
    "trailing comma on line 2": (CLASSIFY, JSON, b'{"instances":\n[1,]}', 400, None, "at line 2 column 3"),
    "deep nesting": (CLASSIFY, JSON, b"[" * 100_000, 400, None, "depth limit"),
    "not UTF-8": (CLASSIFY, JSON, b'{"instances": ["\xff"]}', 400, None, "UTF-8"),
    "wrong Content-Type": (CLASSIFY, "text/plain", pictures(image()), 415, None, "send Content-Type: application/json"),
    "form Content-Type": (
        CLASSIFY,
        "application/x-www-form-urlencoded",
        pictures(image()),
        415,
        None,
        "send Content-Type: application/json",
    ),
    "no Content-Type": (CLASSIFY, None, pictures(image()), 415, None, "got no Content-Type"),
    "an array": (CLASSIFY, JSON, b"[]", 422, "", "expected an object with instances, got an array"),
    "no instances": (CLASSIFY, JSON, b"{}", 422, "/instances", "the member is missing"),
    "an unknown member": (CLASSIFY, JSON, b'{"instances": [1], "k": 3}', 422, "/k", "expected only instances, top_k"),
    "instances is no array": (CLASSIFY, JSON, b'{"instances": 1}', 422, "/instances", "expected an array of instances"),
    "empty instances": (CLASSIFY, JSON, b'{"instances": []}', 422, "/instances", "expected at least one instance"),
    "too many instances": (
        CLASSIFY, JSON, pictures(*[0] * 1025), 422, "/instances", "expected at most 1024 instances",
    ),
    "27 rows": (CLASSIFY, JSON, pictures(image()[:27]), 422, "/instances/0", "expected an array of 28, got one of 27"),
    "29 rows": (CLASSIFY, JSON, pictures([*image(), [0] * 28]), 422, "/instances/0", "an array of 28, got one of 29"),
    "a ragged row": (
        CLASSIFY, JSON, pictures(image(), [*image()[:27], [0] * 27]), 422, "/instances/1/27", "of 28, got one of 27",
    ),
    "783 pixels": (CLASSIFY, JSON, pictures([0] * 783), 422, "/instances/0", "got a flat array of 783"),
    "an empty image": (CLASSIFY, JSON, pictures([]), 422, "/instances/0", "got an empty array"),
    "an image as text": (CLASSIFY, JSON, pictures("boot"), 422, "/instances/0", "expected a 28 x 28 array"),
    "256": (CLASSIFY, JSON, one_pixel("256"), 422, "/instances/0/3/27", PIXEL + "a larger number"),
    "-1": (CLASSIFY, JSON, one_pixel("-1"), 422, "/instances/0/3/27", PIXEL + "a smaller number"),
    "1.5": (CLASSIFY, JSON, one_pixel("1.5"), 422, "/instances/0/3/27", PIXEL + "a fraction"),
    "1e300": (CLASSIFY, JSON, one_pixel("1e300"), 422, "/instances/0/3/27", PIXEL + "a larger number"),
    "a huge integer": (CLASSIFY, JSON, one_pixel("9" * 300), 422, "/instances/0/3/27", PIXEL + "a larger number"),
    "a string": (CLASSIFY, JSON, one_pixel('"7"'), 422, "/instances/0/3/27", PIXEL + "a string"),
    "null": (CLASSIFY, JSON, one_pixel("null"), 422, "/instances/0/3/27", PIXEL + "null"),
    "true": (CLASSIFY, JSON, one_pixel("true"), 422, "/instances/0/3/27", PIXEL + "a boolean"),
    "an array for a pixel": (CLASSIFY, JSON, one_pixel("[7]"), 422, "/instances/0/3/27", PIXEL + "an array"),
    "NaN": (CLASSIFY, JSON, one_pixel("NaN"), 400, None, "the body is not JSON"),
    "Infinity": (CLASSIFY, JSON, one_pixel("Infinity"), 400, None, "the body is not JSON"),
    "1e999": (CLASSIFY, JSON, one_pixel("1e999"), 400, None, "the body is not JSON"),
    "top_k 0": (CLASSIFY, JSON, b'{"instances": [1], "top_k": 0}', 422, "/top_k", "from 1 to 28, got a smaller number"),
    "top_k for a value": (REGRESS, JSON, b'{"instances": [[1, 2]], "top_k": 1}', 422, "/top_k", "only classification"),
    "a missing feature": (REGRESS, JSON, houses('{"rooms": 1}'), 422, "/instances/0/age", "the feature is missing"),
    "an unknown feature": (
        REGRESS, JSON, houses('{"rooms": 1, "age": 2, "a/b~": 3}'), 422, "/instances/0/a~1b~0", "only rooms, age",
    ),
    "a feature as text": (
        REGRESS, JSON, houses('{"rooms": "three", "age": 2}'), 422, "/instances/0/rooms", "a number, got a string",
    ),
    "a feature in a list": (REGRESS, JSON, houses("[1, null]"), 422, "/instances/0/1", "expected a number, got null"),
    "an infinite feature": (REGRESS, JSON, houses('{"rooms": 1e999, "age": 2}'), 400, None, "the body is not JSON"),
    "a feature beyond float32": (
        REGRESS, JSON, houses('{"rooms": 1e39, "age": 2}'), 422, "/instances/0/rooms", "a finite 32-bit number",
    ),
    "one number short": (REGRESS, JSON, houses("[1]"), 422, "/instances/0", "expected 2 numbers (rooms, age)"),
    "a file that is no image": (CLASSIFY, "image/png", b"boot", 422, "/instances/0", "got bytes that are neither"),
    "a PNG of 30,000 x 30,000": (
        CLASSIFY, "image/png", empty_png(30_000, 30_000), 422, "/instances/0", "at most 16777216 pixels",
    ),
    "a CSV cell that is no number": (
        REGRESS, "text/csv", b"age,rooms\n1,2\n1,three", 422, "/instances/1/rooms", "expected a number, got a string",
    ),
    "a CSV without a feature": (REGRESS, "text/csv", b"age\n1", 422, "/instances/0/rooms", "the feature is missing"),
    "a CSV of nothing": (REGRESS, "text/csv", b"\n", 400, None, "no line with the names of the features"),
    "783 raw pixels": (CLASSIFY, "application/octet-stream", bytes(783), 422, "", "expected 784 bytes an image"),
    "a form without a boundary": (CLASSIFY, "multipart/form-data", b"x", 400, None, "the form has no boundary"),
    "10 MB too much": (CLASSIFY, JSON, b"[" + b"0," * 7_000_000, 413, None, "at most 4194304 bytes"),
    "unknown model": ("/v1/models/cars:classify", JSON, pictures(image()), 404, None, "there are pictures, houses"),
    "unknown version": ("/v1/models/pictures/versions/7:predict", JSON, pictures(image()), 404, None, "no version 7"),
    "version 0": ("/v1/models/pictures/versions/0:classify", JSON, pictures(image()), 404, None, "has no version 0"),
    "a version that is no number": ("/v1/models/pictures/versions/x:classify", JSON, pictures(image()), 404, None, ""),
    "unknown verb": ("/v1/models/pictures:draw", JSON, pictures(image()), 404, None, ""),
    "wrong verb for the task": (
        "/v1/models/houses:classify", JSON, houses("[1, 2]"), 400, None, "does regression, so it does not classify",
    ),
}  # fmt: skip


def test_the_good_input_beside_the_bad_is_answered(gateway: GatewayProcess):
    reply = gateway.request("POST", CLASSIFY, json.loads(pictures(image(r0c3=9), [12.0] + [0] * 783)))

    assert reply.status == 200, reply.body
    assert [p["class_name"] for p in reply.json["predictions"]] == ["column 3", "column 0"]


def test_a_png_is_answered_as_its_pixels_are(gateway: GatewayProcess):
    pixels = image(r0c3=9)

    by_file = gateway.request("POST", CLASSIFY, png(np.array(pixels, np.uint8)), {"Content-Type": "image/png"})

    assert by_file.status == 200, by_file.body
    assert by_file.json == gateway.request("POST", CLASSIFY, json.loads(pictures(pixels))).json


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_with_status_place_and_words(gateway: GatewayProcess, name: str):
    path, content_type, body, status, pointer, words = CASES[name]

    reply = gateway.request("POST", path, body, {"Content-Type": content_type} if content_type else {})

    problem = reply.json
    assert reply.status == problem["status"] == status
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert problem["request_id"] == reply.headers["X-Request-Id"]
    assert [error["pointer"] for error in problem.get("errors", [])] == ([] if pointer is None else [pointer])
    assert words in (problem["detail"] if pointer is None else problem["errors"][0]["detail"])


def test_a_hundred_wrong_pixels_are_answered_with_the_first_twenty(gateway: GatewayProcess):
    reply = gateway.request("POST", CLASSIFY, {"instances": [[["x"] * SIDE] * SIDE]})

    assert reply.status == 422
    assert [e["pointer"] for e in reply.json["errors"]] == [f"/instances/0/0/{i}" for i in range(20)]


def test_neither_answer_nor_log_repeats_the_clients_values(gateway: GatewayProcess):
    secret = "my-secret-value"
    for body in ({"instances": [{"rooms": secret, "age": 1}]}, {"instances": secret}, {"instances": [[secret]]}):
        assert secret not in gateway.request("POST", REGRESS, body).body.decode()

    assert secret not in gateway.log()
