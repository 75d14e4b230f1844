"""REST: the rows of sections 1.1 to 1.8 of the TensorFlow Serving reference."""

# ruff: noqa: E501 (the texts of the wire are given whole)

import base64
import gzip
import json
from typing import Any

import pytest

from tests.conformance.rows import row
from tests.model_server_process import ModelServerClient

HALF = "/v1/models/half_plus_two:predict"
JSON = "application/json"


# --- 1.1 routing --------------------------------------------------------------------------------------------------


@row("4/2")
@pytest.mark.parametrize("target", ["/", "/v1", "/v2/models/half_plus_two", "/monitoring/prometheus/metrics"])
def test_other_paths_get_an_html_404(server: ModelServerClient, target: str) -> None:
    reply = server.http("GET", target)
    assert (reply.status, reply.headers["Content-Type"]) == (404, "text/html")


@row("1.8/25")
@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", HALF + "?a=1"),
        ("GET", "/v1/models/half_plus_two/"),
        ("GET", HALF),
        ("POST", "/v1/models/half_plus_two/metadata"),
        ("GET", "/v1/models/half_plus_two/version/1"),
        ("GET", "/v1/models/half_plus_two/versions/one"),
        ("GET", "/v1/models/half_plus_two/versions/1/labels/stable"),
        ("PUT", "/v1/models/half_plus_two"),
        ("DELETE", "/v1/models/half_plus_two"),
        ("PATCH", "/v1/models/half_plus_two"),
        ("POST", "/v1/models/half_plus_two:PREDICT"),
        ("POST", "/v1/models/half_plus_two"),
        pytest.param("POST", "/v1/models/half_plus_two:multiInference", id="1.6/7 multi-inference"),
        pytest.param("POST", "/v1/models/half_plus_two:sessionRun", id="1.6/7 session-run"),
        pytest.param("POST", "/v1/models:reload", id="1.6/7 reload"),
    ],
)
def test_malformed_requests_are_named(server: ModelServerClient, method: str, target: str) -> None:
    reply = server.http(method, target, b"{}" if method == "POST" else None)
    assert (reply.status, reply.error) == (400, f"Malformed request: {method} {target}")
    assert reply.headers["Content-Type"] == JSON


def test_head_is_malformed_and_never_405(server: ModelServerClient) -> None:
    assert server.http("HEAD", "/v1/models/half_plus_two").status == 400


def test_a_query_on_get_is_part_of_the_name(server: ModelServerClient) -> None:
    reply = server.http("GET", "/v1/models/half_plus_two?a=1")
    assert (reply.status, reply.error) == (404, "Could not find any versions of model half_plus_two?a=1")


def test_path_words_may_be_in_any_case(server: ModelServerClient) -> None:
    assert server.http("GET", "/V1/Models/half_plus_two/Versions/1").status == 200


def test_names_are_percent_decoded(server: ModelServerClient) -> None:
    assert server.http("GET", "/v1/models/with%20space").status == 200
    assert server.http("GET", "/v1/models/with+space").error == "Could not find any versions of model with+space"


@pytest.mark.parametrize("digits", ["9223372036854775808", "9" * 20, "9" * 5000])
def test_a_version_beyond_int64_gets_400_and_an_empty_body(server: ModelServerClient, digits: str) -> None:
    reply = server.http("GET", f"/v1/models/half_plus_two/versions/{digits}")
    assert (reply.status, reply.body, reply.headers["Content-Type"]) == (400, b"", JSON)


def test_a_version_may_begin_with_any_number_of_zeros(server: ModelServerClient) -> None:
    reply = server.http("GET", f"/v1/models/half_plus_two/versions/{'0' * 5000}1")
    assert reply.json["model_version_status"][0]["version"] == "1"


def test_of_a_whole_url_only_the_path_counts(server: ModelServerClient) -> None:
    """As it comes from a client that takes the server for a proxy."""
    assert server.http("GET", "http://some.host:1/v1/models/half_plus_two").status == 200
    assert server.http("POST", f"HTTP://some.host{HALF}", {"instances": [2]}).json == {"predictions": [3.0]}
    assert server.http("GET", "http://some.host").status == 404


@pytest.mark.parametrize("target", ["/v1/models", "/v1/models/metadata"])
def test_there_is_no_list_of_models(server: ModelServerClient, target: str) -> None:
    assert server.http("GET", target).status in (400, 404)
    assert server.http("GET", "/v1/models").error == "Missing model name in request."


@row("1.7/2")
def test_status_ignores_the_label(server: ModelServerClient) -> None:
    reply = server.http("GET", "/v1/models/two_versions/labels/unheard-of")
    assert [item["version"] for item in reply.json["model_version_status"]] == ["3", "2"]


def test_metadata_resolves_the_label(server: ModelServerClient) -> None:
    assert server.http("GET", "/v1/models/two_versions/labels/stable/metadata").json["model_spec"]["version"] == "2"
    reply = server.http("GET", "/v1/models/two_versions/labels/other/metadata")
    assert (reply.status, reply.error) == (400, "Unrecognized servable version label: other")


# --- 1.2 headers, CORS, compression, timeouts ---------------------------------------------------------------------


@pytest.mark.parametrize(("origin", "status"), [("http://a", 200), ("https://a", 200), ("a", 400), (None, 400)])
def test_preflights_are_answered_by_their_origin(server: ModelServerClient, origin: str | None, status: int) -> None:
    reply = server.http("OPTIONS", HALF, headers={"Origin": origin} if origin else {})
    assert (reply.status, reply.body) == (status, b"")
    assert "Content-Type" not in reply.headers
    assert "Access-Control-Allow-Origin" not in reply.headers


def test_request_content_type_is_ignored(server: ModelServerClient) -> None:
    reply = server.http("POST", HALF, b'{"instances": [2]}', {"Content-Type": "image/png"})
    assert reply.json == {"predictions": [3.0]}


def test_gzip_bodies_are_inflated(server: ModelServerClient) -> None:
    body = gzip.compress(b'{"instances": [2]}')
    assert server.http("POST", HALF, body, {"Content-Encoding": "gzip"}).json == {"predictions": [3.0]}


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(bytes(101 * 1024 * 1024))])
def test_a_body_that_cannot_be_inflated_counts_as_empty(server: ModelServerClient, body: bytes) -> None:
    reply = server.http("POST", HALF, body, {"Content-Encoding": "gzip"})
    assert (reply.status, reply.error) == (400, "JSON Parse error: The document is empty")


@row("1.3/5")
def test_a_call_that_takes_too_long_gets_504(server: ModelServerClient) -> None:
    reply = server.http("POST", "/v1/models/wait:predict", {"instances": [30.0]})
    assert reply.status == 504


def test_connections_are_kept_alive(server: ModelServerClient) -> None:
    import http.client

    connection = http.client.HTTPConnection(server.rest_address, timeout=60)
    for _ in range(2):
        connection.request("GET", "/v1/models/half_plus_two")
        response = connection.getresponse()
        assert response.status == 200
        response.read()
    connection.close()


# --- 1.4 predict requests -----------------------------------------------------------------------------------------


def b64(data: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(data).decode()}


@row("1.3/1", "1.5/9")
@pytest.mark.parametrize(
    ("model", "body", "reply"),
    [
        pytest.param("half_plus_two", {"instances": [1, 2.0, 5]}, {"predictions": [2.5, 3.0, 4.5]}, id="1.4/9 row"),
        pytest.param(
            "half_plus_two", {"instances": [{"x": 1}, {"x": 2}]}, {"predictions": [2.5, 3.0]}, id="1.4/9 row-objects"
        ),
        pytest.param(
            "half_plus_two",
            {"instances": [[1, 2], [3, 4]]},
            {"predictions": [[2.5, 3.0], [3.5, 4.0]]},
            id="1.4/11 row-lists",
        ),
        pytest.param("half_plus_two", {"inputs": [1.0, 2.0]}, {"outputs": [2.5, 3.0]}, id="1.4/13 columnar"),
        pytest.param("half_plus_two", {"inputs": {"x": [1.0]}}, {"outputs": [2.5]}, id="1.4/14 columnar-object"),
        pytest.param(
            "half_plus_two", {"inputs": {"x": [1.0], "other": 1}}, {"outputs": [2.5]}, id="1.4/14 columnar-extra-name"
        ),
        pytest.param("half_plus_two", {"inputs": 4}, {"outputs": 4.0}, id="1.4/13 columnar-scalar"),
        pytest.param("half_plus_two", {"inputs": [[], []]}, {"outputs": [[], []]}, id="1.4/20 empty-dimension"),
        pytest.param(
            "half_plus_two",
            {"signature_name": "", "instances": [2]},
            {"predictions": [3.0]},
            id="1.4/7 empty-signature-name",
        ),
        pytest.param(
            "half_plus_two", {"instances": [2], "whatever": {}}, {"predictions": [3.0]}, id="1.4/5 other-keys"
        ),
        pytest.param(
            "half_plus_two",
            {"signature_name": "contract", "instances": [0]},
            {"predictions": ['{"contract_version":1}']},
            id="contract",
        ),
        pytest.param(
            "sum_and_diff",
            {"instances": [{"a": 3, "b": 1}]},
            {"predictions": [{"sum": 4.0, "diff": 2.0}]},
            id="1.4/10 two-inputs",
        ),
        pytest.param(
            "sum_and_diff",
            {"inputs": {"a": [3], "b": [[1], [2]]}},
            {"outputs": {"sum": [[4.0], [5.0]], "diff": [[2.0], [1.0]]}},
            id="1.4/16 dims-may-differ",
        ),
        pytest.param(
            "with_default",
            {"inputs": {"a": [3], "b": [1]}},
            {"outputs": {"sum": [4.0], "diff": [2.0]}},
            id="1.4/15 given-despite-default",
        ),
        pytest.param(
            "shout",
            {"instances": ["hé"]},
            {"predictions": [{"loud": "hé!", "loud_bytes": b64("hé!".encode())}]},
            id="1.4/25 strings",
        ),
        pytest.param(
            "shout",
            {"instances": [b64(b"hi"), "yo"]},
            {"predictions": [{"loud": "hi!", "loud_bytes": b64(b"hi!")}, {"loud": "yo!", "loud_bytes": b64(b"yo!")}]},
            id="1.4/17 b64",
        ),
        pytest.param(
            "shout",
            {"instances": [{"s": b64(b"hi")}]},
            {"predictions": [{"loud": "hi!", "loud_bytes": b64(b"hi!")}]},
            id="1.4/17 b64-named",
        ),
        pytest.param(
            "shout",
            {"inputs": b64(b"hi")},
            {"outputs": {"loud": "hi!", "loud_bytes": b64(b"hi!")}},
            id="1.4/17 b64-columnar",
        ),
        pytest.param(
            "next_number",
            {"instances": [9223372036854775806]},
            {"predictions": [9223372036854775807]},
            id="1.5/7 int64",
        ),
        pytest.param("row_times_two", {"instances": [[1, 1]]}, {"predictions": [[4.0, 6.0]]}, id="matrix"),
    ],
)
def test_answers(server: ModelServerClient, model: str, body: Any, reply: Any) -> None:
    got = server.http("POST", f"/v1/models/{model}:predict", body)
    assert (got.status, got.json) == (200, reply)
    assert got.headers["Content-Type"] == JSON


@row("1.4/21", "1.4/22", "1.4/23", "1.4/24")
@pytest.mark.parametrize(
    ("dtype", "value", "echo"),
    [
        ("float32", 1e300, float("inf")),
        ("float32", 1e-300, 0.0),
        ("float64", 0.1, 0.1),
        ("int8", 300, 44),
        ("uint8", -1, 255),
        ("int16", 70000, 4464),
        ("int32", -(2**31), -(2**31)),
        ("uint32", 2**32 - 1, 2**32 - 1),
        ("uint64", 2**64 - 1, 2**64 - 1),
        ("bool", True, True),
    ],
)
def test_every_json_dtype_is_read_and_written(server: ModelServerClient, dtype: str, value: Any, echo: Any) -> None:
    reply = server.http(
        "POST", "/v1/models/next_number:predict", {"signature_name": f"echo_{dtype}", "instances": [value]}
    )
    assert reply.json == {"predictions": [echo]}


@row("1.4/3", "1.4/4")
@pytest.mark.parametrize(
    "body", [b'\xef\xbb\xbf{"instances": [2]}', b' {"instances": [2]} trailing', b'{"instances":[2],"instances":[4]}']
)
def test_reads_what_rapidjson_reads(server: ModelServerClient, body: bytes) -> None:
    assert server.http("POST", HALF, body).json == {"predictions": [3.0]}


@row("1.4/2", "1.5/6")
@pytest.mark.parametrize(
    ("text", "printed"), [(b"NaN", "NaN"), (b"Inf", "Infinity"), (b"-Infinity", "-Infinity"), (b"-Inf", "-Infinity")]
)
def test_not_finite_numbers_go_in_and_out(server: ModelServerClient, text: bytes, printed: str) -> None:
    reply = server.http("POST", HALF, b'{"instances": [' + text + b"]}")
    assert reply.body == f'{{\n    "predictions": [{printed}\n    ]\n}}'.encode()


@row("1.4/6")
def test_deep_nesting_is_refused_and_harmless(server: ModelServerClient) -> None:
    reply = server.http("POST", HALF, b'{"instances": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    assert reply.status == 400


@row("1.5/8")
def test_bytes_that_are_no_utf8_come_through(server: ModelServerClient) -> None:
    reply = server.http("POST", "/v1/models/shout:predict", b'{"inputs": "\xff"}')
    assert b'"loud": "\xff!"' in reply.body


# --- 1.5 layout and numbers ---------------------------------------------------------------------------------------


@row("1.5/1")
def test_row_layout(server: ModelServerClient) -> None:
    reply = server.http("POST", HALF, {"instances": [1, 2, 5]})
    assert reply.body == b'{\n    "predictions": [2.5, 3.0, 4.5\n    ]\n}'


@row("1.5/2")
def test_row_layout_of_several_outputs(server: ModelServerClient) -> None:
    body = server.http("POST", "/v1/models/sum_and_diff:predict", {"instances": [{"a": [3], "b": [1]}]}).body
    members = ['            "sum": [4.0]', '            "diff": [2.0]']
    layouts = [
        '{\n    "predictions": [\n        {\n' + ",\n".join(order) + "\n        }\n    ]\n}"
        for order in (members, members[::-1])
    ]
    assert body.decode() in layouts


@row("1.5/3")
def test_columnar_layout(server: ModelServerClient) -> None:
    reply = server.http("POST", HALF, {"inputs": [[1], [2]]})
    assert reply.body == (
        b'{\n    "outputs": [\n        [\n            2.5\n        ],\n        [\n            3.0\n        ]\n    ]\n}'
    )


@row("1.5/4")
@pytest.mark.parametrize(
    ("number", "printed"),
    [
        ("0.2", "0.2"),
        ("1", "1.0"),
        ("9000000", "9e+06"),
        ("0.3333333333", "0.333333343"),
        ("16777216", "16777216.0"),
        ("123456.7", "123456.703"),
        ("1435774380", "1.43577434e+09"),
        ("0.00003", "3e-05"),
    ],
)
def test_floats_are_printed_as_write_decimal_does(server: ModelServerClient, number: str, printed: str) -> None:
    body = b'{"signature_name": "echo_float32", "inputs": %s}' % number.encode()
    assert (
        server.http("POST", "/v1/models/next_number:predict", body).body == f'{{\n    "outputs": {printed}\n}}'.encode()
    )


@row("1.5/5")
def test_doubles_are_printed_with_17_digits_if_need_be(server: ModelServerClient) -> None:
    body = b'{"signature_name": "echo_float64", "inputs": [0.1, 0.3333333333333333]}'
    reply = server.http("POST", "/v1/models/next_number:predict", body)
    assert reply.body == b'{\n    "outputs": [\n        0.1,\n        0.33333333333333331\n    ]\n}'


@row("1.5/8")
def test_strings_are_escaped_as_rapidjson_does(server: ModelServerClient) -> None:
    reply = server.http("POST", "/v1/models/shout:predict", {"inputs": 'a"\\/\n\x01é'})
    assert '"loud": "a\\"\\\\/\\n\\u0001é!"'.encode() in reply.body


@row("1.4/26", "1.3/10")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "uint16", "complex64"])
def test_other_dtypes_are_not_converted(server: ModelServerClient, dtype: str) -> None:
    name = {"float16": "half"}.get(dtype, dtype)
    path = "/v1/models/next_number:predict"
    columnar = server.http("POST", path, {"signature_name": f"echo_{dtype}", "inputs": [1]})
    assert (columnar.status, columnar.error) == (501, f"Conversion of JSON Value: 1 to type: {name}")
    row = server.http("POST", path, {"signature_name": f"echo_{dtype}", "instances": [1]})
    assert (row.status, row.error) == (
        400,
        f"Failed to process element: 0 of 'instances' list. Error: UNIMPLEMENTED: Conversion of JSON Value: 1 to type: {name}",
    )


# --- 1.7 status and metadata --------------------------------------------------------------------------------------


@row("1.7/1")
def test_status_layout(server: ModelServerClient) -> None:
    assert server.http("GET", "/v1/models/half_plus_two").body == (
        b'{\n "model_version_status": [\n  {\n   "version": "1",\n   "state": "AVAILABLE",\n   "status": {\n'
        b'    "error_code": "OK",\n    "error_message": ""\n   }\n  }\n ]\n}\n'
    )


@row("1.7/4", "1.7/5")
def test_metadata_has_every_signature_and_every_field(server: ModelServerClient) -> None:
    document = server.http("GET", "/v1/models/half_plus_two/metadata").json
    assert document["model_spec"] == {"name": "half_plus_two", "signature_name": "", "version": "1"}
    signatures = document["metadata"]["signature_def"]["signature_def"]
    assert {"serving_default", "contract", "__saved_model_init_op"} <= signatures.keys()
    assert signatures["serving_default"]["inputs"]["x"] == {
        "dtype": "DT_FLOAT",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
        "name": "serving_default_x:0",
    }
    assert signatures["serving_default"]["defaults"] == {}
    assert signatures["serving_default"]["method_name"] == "tensorflow/serving/predict"


# --- 1.8 failures -------------------------------------------------------------------------------------------------


def element(index: int, text: str, key: str | None = None) -> str:
    where = f"key: {key} " if key else ""
    return f"Failed to process element: {index} {where}of 'instances' list. Error: INVALID_ARGUMENT: {text}"


@row("1.3/4", "1.4/8", "1.4/12", "1.4/19")
@pytest.mark.parametrize(
    ("model", "body", "error"),
    [
        pytest.param("half_plus_two", b"", "JSON Parse error: The document is empty", id="1.8/1 empty-body"),
        pytest.param(
            "half_plus_two",
            b"{",
            "JSON Parse error: Missing a name for object member. at offset: 1",
            id="1.8/2 open-object",
        ),
        pytest.param(
            "half_plus_two", b'{"instances": x}', "JSON Parse error: Invalid value. at offset: 14", id="1.8/2 bad-json"
        ),
        pytest.param(
            "half_plus_two",
            b'{"instances": [1 2]}',
            "JSON Parse error: Missing a comma or ] after an array element. at offset: 17",
            id="1.8/2 no-comma",
        ),
        pytest.param(
            "half_plus_two",
            b'{"instances": [1.]}',
            "JSON Parse error: Miss fraction part in number. at offset: 17",
            id="1.8/2 no-fraction",
        ),
        pytest.param(
            "unheard-of",
            b"{",
            "JSON Parse error: Missing a name for object member. at offset: 1",
            id="1.4/1 bad-json-comes-first",
        ),
        pytest.param("half_plus_two", [1, 2], "JSON Value: [1, 2] Is not object", id="1.8/3 not-an-object"),
        pytest.param(
            "half_plus_two",
            {"signature_name": 5},
            "JSON Value: {\n    \"signature_name\": 5\n} not formatted correctly. 'signature_name' key must be a string value.",
            id="1.8/4 signature-name-no-string",
        ),
        pytest.param(
            "half_plus_two",
            {"signature_name": "nope", "instances": [1]},
            'Serving signature name: "nope" not found in signature def',
            id="1.8/7 unknown-signature",
        ),
        pytest.param("half_plus_two", {}, "Missing 'inputs' or 'instances' key", id="1.8/9 neither-key"),
        pytest.param(
            "half_plus_two",
            {"inputs": 1, "instances": [1]},
            "JSON Value: {\n    \"inputs\": 1,\n    \"instances\": [1]\n} Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ",
            id="1.8/10 both-keys",
        ),
        pytest.param(
            "half_plus_two",
            {"instances": 1},
            "JSON Value: {\n    \"instances\": 1\n} Expecting 'instances' to be an list/array",
            id="1.8/11 instances-no-list",
        ),
        pytest.param(
            "half_plus_two",
            {"instances": []},
            "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array",
            id="1.8/11 instances-empty",
        ),
        pytest.param(
            "sum_and_diff",
            {"instances": [1]},
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per tensorinfo_map",
            id="1.8/12 plain-list",
        ),
        pytest.param(
            "sum_and_diff",
            {"inputs": [1]},
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per tensorinfo_map",
            id="1.8/12 plain-inputs",
        ),
        pytest.param(
            "sum_and_diff",
            {"instances": [{"a": 1, "c": 1}]},
            element(0, "JSON object: does not have named input: c", "c"),
            id="1.8/13 unknown-key",
        ),
        pytest.param(
            "sum_and_diff",
            {"instances": [{"a": 1, "b": 1}, {"a": 1}]},
            "Failed to process element: 1 of 'instances' list. JSON object: {\n    \"a\": 1\n} keys must be equal to: a,b",
            id="1.8/13 missing-key",
        ),
        pytest.param(
            "sum_and_diff",
            {"inputs": {"a": 1}},
            "Missing named input: b in 'inputs' object.",
            id="1.8/14 columnar-input-missing",
        ),
        pytest.param(
            "with_default",
            {"inputs": {"a": [1]}},
            "Missing named input: b in 'inputs' object.",
            id="1.4/15 columnar-input-missing-despite-default",
        ),
        pytest.param(
            "half_plus_two",
            {"inputs": "a"},
            'JSON Value: "a" Type: String is not of expected type: float',
            id="1.8/15 wrong-dtype",
        ),
        pytest.param(
            "half_plus_two",
            {"instances": [1, True]},
            element(1, "JSON Value: true Type: True is not of expected type: float"),
            id="1.8/15 wrong-dtype-row",
        ),
        pytest.param(
            "half_plus_two",
            {"instances": [{"x": None}]},
            element(0, "JSON Value: null Type: Null is not of expected type: float", "x"),
            id="1.8/15 wrong-dtype-named",
        ),
        pytest.param(
            "half_plus_two",
            {"inputs": [{"b64": "aGk="}]},
            'JSON Value: {\n    "b64": "aGk="\n} Type: Object is not of expected type: float',
            id="1.4/17 b64-of-numbers",
        ),
        pytest.param(
            "sum_and_diff",
            {"instances": [{"b64": "aGk="}]},
            element(0, 'JSON Value: {\n    "b64": "aGk="\n} Type: Object is not of expected type: float'),
            id="1.4/17 b64-rows-of-several-inputs",
        ),
        pytest.param(
            "next_number",
            {"inputs": [1.0]},
            "JSON Value: 1.0 Type: Number is not of expected type: int64",
            id="1.4/23 float-for-integer",
        ),
        pytest.param(
            "half_plus_two",
            {"instances": [[1, 2], [3]]},
            element(1, "Expecting tensor size: 2 but got: 1"),
            id="1.8/16 unequal-size",
        ),
        pytest.param(
            "half_plus_two",
            {"instances": [[[1, 2]], [[1], [2]]]},
            element(1, "Expecting shape [1,2] but got: [2,1]"),
            id="1.8/16 unequal-shape",
        ),
        pytest.param(
            "half_plus_two",
            {"inputs": [[1, 2], [3]]},
            "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
            id="1.8/17 ragged",
        ),
        pytest.param(
            "half_plus_two",
            {"inputs": [1, [2]]},
            "Encountered list at unexpected level: 1 expected < 1",
            id="1.8/17 list-too-deep",
        ),
        pytest.param(
            "half_plus_two",
            {"inputs": [[1], 2]},
            "JSON Value: 2 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
            id="1.8/17 value-too-high",
        ),
        pytest.param(
            "half_plus_two",
            {"instances": [{"x": 1}, 2]},
            "Expecting object but got list at item 1 of input list",
            id="1.8/18 mixed-object-first",
        ),
        pytest.param(
            "half_plus_two",
            {"instances": [1, {"x": 2}]},
            "Expecting value/list but got object at item 1 of input list",
            id="1.8/18 mixed-value-first",
        ),
        pytest.param("shout", {"inputs": {"b64": "?"}}, "Unable to base64 decode", id="1.8/19 bad-base64"),
        pytest.param("shout", {"inputs": {"b64": "_-8="}}, "Unable to base64 decode", id="1.4/18 web-safe-base64"),
        pytest.param(
            "shout",
            {"inputs": [{"b64": "aGk=", "x": 1}]},
            'JSON Value: {\n    "b64": "aGk=",\n    "x": 1\n} not formatted correctly for base64 data',
            id="1.8/19 bad-b64-object",
        ),
        pytest.param(
            "next_number",
            {"signature_name": "to_half", "instances": [1]},
            "Failed to write JSON value for tensor type: half",
            id="1.5/10 half",
        ),
        pytest.param(
            "row_times_two",
            {"signature_name": "scalar", "instances": [[1, 2]]},
            "Tensor name: y has no shape information ",
            id="1.8/21 row-output-of-rank-0",
        ),
    ],
)
def test_refuses(server: ModelServerClient, model: str, body: Any, error: str) -> None:
    reply = server.http("POST", f"/v1/models/{model}:predict", body)
    assert (reply.status, reply.error) == (400, error)
    assert reply.headers["Content-Type"] == JSON


@row("1.8/21")
def test_row_outputs_need_one_first_dim(server: ModelServerClient) -> None:
    body = {"signature_name": "uneven", "instances": [[1, 2]]}
    reply = server.http("POST", "/v1/models/row_times_two:predict", body)
    assert reply.status == 400
    assert reply.error in (  # whichever output comes first
        "Tensor name: z has inconsistent batch size: 2 expecting: 1",
        "Tensor name: y has inconsistent batch size: 1 expecting: 2",
    )


@row("1.8/20")
def test_a_shape_the_graph_refuses_gets_the_words_of_the_op(server: ModelServerClient) -> None:
    reply = server.http("POST", "/v1/models/row_times_two:predict", {"instances": [[1, 2, 3]]})
    assert reply.status == 400
    assert reply.error.startswith("Matrix size-incompatible: In[0]: [1,3], In[1]: [2,2]\n\t [[{{")


@row("1.8/5", "1.8/6", "1.3/6")
@pytest.mark.parametrize(
    ("target", "status", "error"),
    [
        ("/v1/models/no:predict", 404, "Servable not found for request: Latest(no)"),
        (
            "/v1/models/half_plus_two/versions/7:predict",
            404,
            "Servable not found for request: Specific(half_plus_two, 7)",
        ),
        ("/v1/models/two_versions/labels/L:predict", 400, "Unrecognized servable version label: L"),
        (
            "/v1/models/two_versions/labels/gone:predict",
            404,
            "Servable not found for request: Specific(two_versions, 9)",
        ),
    ],
)
def test_unknown_models_versions_and_labels(server: ModelServerClient, target: str, status: int, error: str) -> None:
    reply = server.http("POST", target, {"instances": [1]})
    assert (reply.status, reply.error) == (status, error)


def test_labels_and_versions_choose(server: ModelServerClient) -> None:
    answers = {
        path: server.http("POST", f"/v1/models/two_versions{path}:predict", {"instances": [2]}).json["predictions"]
        for path in ("", "/versions/2", "/versions/3", "/labels/stable")
    }
    assert answers == {"": [4.0], "/versions/2": [3.0], "/versions/3": [4.0], "/labels/stable": [3.0]}


@row("1.8/24")
@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("/v1/models/m", "Could not find any versions of model m"),
        ("/v1/models/half_plus_two/versions/7", "Could not find version 7 of model half_plus_two"),
        ("/v1/models/m/metadata", "Servable not found for request: Latest(m)"),
    ],
)
def test_status_and_metadata_of_the_unknown(server: ModelServerClient, target: str, error: str) -> None:
    reply = server.http("GET", target)
    assert (reply.status, reply.error) == (404, error)


@row("1.8/26")
def test_quoted_values_are_cut_near_256_bytes(server: ModelServerClient) -> None:
    reply = server.http("POST", HALF, json.dumps(list(range(1000))).encode())
    assert reply.status == 400
    assert 250 < len(reply.error) < 300


@row("1.3/13")
def test_error_layout(server: ModelServerClient) -> None:
    reply = server.http("POST", HALF, b"{}")
    assert reply.body == b"{\n    \"error\": \"Missing 'inputs' or 'instances' key\"\n}"


# --- 1.6 classify and regress -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "body", "reply"),
    [
        pytest.param(
            "classify",
            {"signature_name": "classify", "examples": [{"x": 2.0}]},
            b'{\n    "results": [[["up", 3.0], ["down", -3.0]]\n    ]\n}',
            id="1.6/5 classify",
        ),
        pytest.param(
            "classify",
            {"signature_name": "classify_scores", "examples": [{"x": 2.0}, {"x": [4.0]}]},
            b'{\n    "results": [[["", 3.0]], [["", 4.0]]\n    ]\n}',
            id="1.6/5 without-labels",
        ),
        pytest.param(
            "regress",
            {"signature_name": "regress", "examples": [{"x": 2.0}, {"x": 4.5}]},
            b'{\n    "results": [3.0, 4.25]\n}',
            id="1.6/6 regress",
        ),
        pytest.param(
            "regress",
            {"signature_name": "regress", "context": {"x": 2.0}, "examples": [{}, {"x": 4.0}]},
            b'{\n    "results": [3.0, 4.0]\n}',
            id="1.6/4 context",
        ),
        pytest.param(
            "regress",
            {"signature_name": "regress", "examples": [{"x": 2.0, "i": [1, True], "s": ["a", {"b64": "aGk="}]}]},
            b'{\n    "results": [3.0]\n}',
            id="1.6/2 other-features",
        ),
        pytest.param(
            "regress",
            {"signature_name": "regress", "examples": [{"x": 2**64}, {"x": [-(10**40)]}]},
            b'{\n    "results": [9.22337204e+18, -Infinity]\n}',
            id="1.6/1 whole-numbers-beyond-64-bits-are-floats",
        ),
    ],
)
def test_classify_and_regress(server: ModelServerClient, verb: str, body: Any, reply: bytes) -> None:
    got = server.http("POST", f"/v1/models/half_plus_two:{verb}", body)
    assert (got.status, got.body) == (200, reply)


@pytest.mark.parametrize("verb", ["classify", "regress"])
@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"signature_name": "\xff", "examples": [{}]}', b"No signature was found with the name: \xff"),
        (b'{"examples": [{"\xff": 1.0}]}', b"Feature: \xff has a name that is no UTF-8"),
        (b'{"context": {"\xff": 1.0}, "examples": [{}]}', b"Feature: \xff has a name that is no UTF-8"),
    ],
)
def test_names_that_are_no_utf8_are_refused(server: ModelServerClient, verb: str, body: bytes, error: bytes) -> None:
    reply = server.http("POST", f"/v1/models/half_plus_two:{verb}", body)
    assert (reply.status, reply.body) == (400, b'{\n    "error": "%b"\n}' % error)


def whole(text: str, problem: str) -> str:
    return f"JSON Value: {text} {problem}"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param(
            {},
            whole("{}", "When method is classify, key 'examples' is expected and was not found"),
            id="1.8/22 no-examples",
        ),
        pytest.param(
            {"examples": 1},
            whole('{\n    "examples": 1\n}', "Expecting 'examples' value to be an list/array"),
            id="1.8/22 examples-no-list",
        ),
        pytest.param(
            {"examples": []},
            whole('{\n    "examples": []\n}', "'examples' value is an empty array"),
            id="1.8/22 examples-empty",
        ),
        pytest.param(
            {"examples": [1]}, "Example must be JSON object but got JSON Number", id="1.8/23 example-no-object"
        ),
        pytest.param(
            {"examples": [{"F": None}]}, "Feature: F has element with unexpected JSON type: Null", id="1.8/23 null"
        ),
        pytest.param(
            {"examples": [{"F": [[1]]}]},
            "Feature: F has element with unexpected JSON type: Array",
            id="1.8/23 nested-list",
        ),
        pytest.param(
            {"examples": [{"F": {"a": 1}}]},
            "Feature: F has element with unexpected JSON type: Object",
            id="1.8/23 object",
        ),
        pytest.param(
            {"examples": [{"F": [1, 2.0]}]},
            "Unexpected element type in feature: F expecting type: int64",
            id="1.6/3 mixed",
        ),
        pytest.param(
            {"examples": [{"F": [1.5, "a"]}]},
            "Unexpected element type in feature: F expecting type: float",
            id="1.6/3 mixed-float",
        ),
        pytest.param(
            {"examples": [{"F": ["a", True]}]},
            "Unexpected element type in feature: F expecting type: bytes",
            id="1.6/3 mixed-bytes",
        ),
        pytest.param(
            {"examples": [{"F": 2**63}]},
            "Feature: F has uint64_t element. Only int64_t is supported.",
            id="1.6/1 uint64",
        ),
        pytest.param(
            {"signature_name": "S", "examples": [{"x": 1.0}]},
            "No signature was found with the name: S",
            id="1.8/8 unknown-signature",
        ),
    ],
)
@pytest.mark.parametrize("verb", ["classify", "regress"])
def test_classify_and_regress_refuse(server: ModelServerClient, verb: str, body: Any, error: str) -> None:
    reply = server.http("POST", f"/v1/models/half_plus_two:{verb}", body)
    assert (reply.status, reply.error) == (400, error)
