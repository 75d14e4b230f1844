"""REST requests: good ones with odd values, and anything."""

import json
from typing import Any

from hypothesis import strategies as st

from tests.soak.made_up_values import INPUTS, MODELS, SIGNATURES, int32s, int64s, rows_of

numbers = st.one_of(
    st.integers(-(2**70), 2**70), st.integers(-3, 3), st.floats(), st.sampled_from([1e308, 2**31, 2**63])
)
b64 = st.fixed_dictionaries({"b64": st.sampled_from(["aGk=", "", "!", "AAAA"])})
leaves = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=8), b64)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(INPUTS), inner, max_size=3),
    max_leaves=12,
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "instances": values,
        "inputs": values,
        "examples": values,
        "context": values,
        "signature_name": st.sampled_from(SIGNATURES) | values,
    },
)


def predict_body(signature: str, item: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A document of either format that the signature takes, if the item is one of its."""
    return st.builds(
        lambda key, items: {"signature_name": signature, key: items},
        st.sampled_from(["instances", "inputs"]),
        rows_of(item),
    )


def on(model: str, verb: str, body: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(st.just(f"/v1/models/{model}:{verb}"), body)


float64s = st.one_of(st.floats(), st.sampled_from([1e308, -1e308, 1e-320, 0.0, -0.0]), st.integers(-(2**53), 2**53))
strings = st.one_of(st.text(max_size=8), st.sampled_from([{"b64": "aGk="}, {"b64": ""}, {"b64": "AAAA"}]))
features = st.fixed_dictionaries({"x": float64s.filter(lambda number: isinstance(number, float))})
good_rest_requests = st.one_of(
    on("half_plus_two", "predict", predict_body("", float64s)),
    on("two_versions/versions/3", "predict", predict_body("", st.lists(float64s, min_size=2, max_size=2))),
    on("two_versions/labels/stable", "predict", predict_body("", float64s)),
    on("shout", "predict", predict_body("", strings)),
    on("next_number", "predict", predict_body("", int64s)),
    on("next_number", "predict", predict_body("echo_uint64", st.integers(0, 2**64 - 1))),
    on("next_number", "predict", predict_body("echo_int8", int32s)),
    on("next_number", "predict", predict_body("echo_bool", st.booleans())),
    on("row_times_two", "predict", predict_body("", st.tuples(float64s, float64s))),
    on(
        "sum_and_diff",
        "predict",
        rows_of(st.fixed_dictionaries({"a": float64s, "b": float64s})).map(lambda items: {"instances": items}),
    ),
    on("tflite_with_signature", "predict", predict_body("halve", float64s)),
    *(
        on("half_plus_two", verb, rows_of(features).map(lambda items, v=verb: {"signature_name": v, "examples": items}))
        for verb in ("classify", "regress")
    ),
)
good_bodies = st.fixed_dictionaries({"instances": st.lists(st.integers(-3, 3), min_size=1, max_size=4)})


def damaged(body: bytes, damage: list[tuple[int, int]]) -> bytes:
    """The body with some bytes changed."""
    changed = bytearray(body)
    for position, byte in damage:
        changed[position % len(changed)] = byte
    return bytes(changed)


written = (good_bodies | documents | values).map(lambda document: json.dumps(document).encode())
rest_bodies = st.one_of(
    good_bodies.map(lambda document: json.dumps(document).encode()),
    written,
    st.builds(damaged, written, st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), min_size=1, max_size=2)),
    st.binary(max_size=64),
)


rest_targets = st.one_of(
    st.sampled_from(MODELS).map("/v1/models/{}:predict".format),
    st.builds(
        "/v1/models/{}{}{}".format,
        st.sampled_from(MODELS),
        st.sampled_from(
            ["", "/versions/1", "/versions/99999999999999999999", "/labels/stable", "/metadata", "/versions/"]
        ),
        st.sampled_from([":predict", ":classify", ":regress", "", ":", "%00", "?a"]),
    ),
    st.text("/v1modelshf:%20?&#\\\"'<>", max_size=30).map(lambda text: "/" + text),
)


RestCall = tuple[str, str, bytes, str]  # method, target, body, content encoding
good_rest_calls = st.builds(
    lambda request, encoding: ("POST", request[0], json.dumps(request[1]).encode(), encoding),
    good_rest_requests,
    st.sampled_from(["", "gzip"]),
)
any_rest_calls = st.tuples(
    st.sampled_from([*["POST"] * 6, "GET", "PUT", "OPTIONS"]),
    rest_targets,
    rest_bodies,
    st.sampled_from([*[""] * 6, "gzip", "broken"]),
)
