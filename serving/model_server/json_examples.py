"""REST classify and regress: a JSON body → an `Input` of tf.Examples, and the results → JSON. Pure.

After FillClassifyRegressRequestFromJson and MakeJsonFrom*Result in json_tensor.cc.
"""

from typing import Any

import numpy as np
from tensorflow.core.example import example_pb2, feature_pb2

from serving.model_server.json_parser import Json
from serving.model_server.json_reply import decimals
from serving.model_server.json_request import parse_object, signature_name_of
from serving.model_server.json_tensor import decode_b64_object, is_b64_object, text_bytes, type_name
from serving.model_server.json_writer import INDENT, debug_string, quoted, to_bytes
from serving.model_server.status import StatusError, invalid_argument

_KIND_NAMES = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


def fill_example_request(body: bytes, request: Any) -> None:
    """Fill the signature name and the input of a ClassificationRequest or RegressionRequest."""
    document = parse_object(body)
    signature = signature_name_of(document)
    if not _is_utf8(signature):
        raise invalid_argument(f"No signature was found with the name: {signature}")
    request.model_spec.signature_name = signature
    target = request.input.example_list
    if "context" in document:
        target = request.input.example_list_with_context
        _fill_example(target.context, document["context"])
    if "examples" not in document:
        # whichever the method, the text says classify
        raise _refusal(document, "When method is classify, key 'examples' is expected and was not found")
    if not isinstance(document["examples"], list):
        raise _refusal(document, "Expecting 'examples' value to be an list/array")
    if not document["examples"]:
        raise _refusal(document, "'examples' value is an empty array")
    for item in document["examples"]:
        _fill_example(target.examples.add(), item)


def _refusal(document: Json, problem: str) -> StatusError:
    return invalid_argument(f"JSON Value: {debug_string(document)} {problem}")


def _fill_example(example: example_pb2.Example, value: Json) -> None:
    if not isinstance(value, dict):
        raise invalid_argument(f"Example must be JSON object but got JSON {type_name(value)}")
    for name, content in value.items():
        if not _is_utf8(name):
            raise invalid_argument(f"Feature: {name} has a name that is no UTF-8")
        feature = feature_pb2.Feature()
        for item in content if isinstance(content, list) else [content]:
            _add_value(feature, name, item)
        example.features.feature[name].CopyFrom(feature)


def _is_utf8(text: str) -> bool:
    """Whether a message can hold it: bytes that are no UTF-8 came as surrogate escapes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _add_value(feature: feature_pb2.Feature, name: str, value: Json) -> None:
    """Add one value; the first one fixes the kind of the feature."""
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        value = float(value)  # as rapidjson reads it
    if isinstance(value, bool | int):
        kind: str = "int64_list"
    elif isinstance(value, float):
        kind = "float_list"
    elif isinstance(value, str) or is_b64_object(value):
        kind = "bytes_list"
    else:
        raise invalid_argument(f"Feature: {name} has element with unexpected JSON type: {type_name(value)}")
    if feature.WhichOneof("kind") not in (None, kind):
        expected = _KIND_NAMES[feature.WhichOneof("kind")]
        raise invalid_argument(f"Unexpected element type in feature: {name} expecting type: {expected}")
    if kind == "int64_list" and value >= 2**63:
        raise invalid_argument(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
    getattr(feature, kind).value.append(_feature_value(value))


def _feature_value(value: Json) -> Any:
    if isinstance(value, dict):
        return decode_b64_object(value)
    if isinstance(value, str):
        return text_bytes(value)
    if isinstance(value, float):
        with np.errstate(over="ignore"):
            return float(np.float32(value))
    return int(value)


def classification_document(result: Any) -> bytes:
    """The reply to a classify call: a list of [label, score] pairs an example, each example on one line."""
    if not result.classifications:
        raise invalid_argument("Cannot convert empty ClassificationResults to JSON")
    items = ", ".join(_classes(item.classes) for item in result.classifications)
    return to_bytes(f'{{\n{INDENT}"results": [{items}\n{INDENT}]\n}}')


def _classes(classes: Any) -> str:
    scores = decimals(np.array([item.score for item in classes], np.float32))
    pairs = ", ".join(f"[{quoted(item.label)}, {score}]" for item, score in zip(classes, scores, strict=True))
    return f"[{pairs}]"


def regression_document(result: Any) -> bytes:
    """The reply to a regress call: a list of numbers."""
    if not result.regressions:
        raise invalid_argument("Cannot convert empty RegressionResults to JSON")
    values = decimals(np.array([item.value for item in result.regressions], np.float32))
    return to_bytes(f'{{\n{INDENT}"results": [{", ".join(values)}]\n}}')
