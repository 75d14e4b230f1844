"""REST predict requests: a JSON body → arrays by input name. Pure. Rules and texts are those of json_tensor.cc.

A batch that is regular is converted whole; one that is not is walked element by element to find the words for it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from serving.model_server.json_parser import Json, parse
from serving.model_server.json_tensor import IrregularValue, is_b64_object, read_dense, read_item, to_dense_array
from serving.model_server.json_writer import debug_string
from serving.model_server.status import StatusError, invalid_argument
from serving.model_server.tensors import Array, shape_text

TensorInfos = Mapping[str, Any]  # input name -> tensorflow.TensorInfo


class RequestFormat(Enum):
    """How the request lays out its tensors; the reply does the same."""

    ROW = "instances"
    COLUMNAR = "inputs"


@dataclass(frozen=True)
class JsonPredictRequest:
    """What a predict body asks for."""

    signature_name: str  # "" for the default
    inputs: Mapping[str, Array]
    format: RequestFormat


def parse_object(body: bytes) -> dict[str, Json]:
    """The body's top-level object."""
    document = parse(body)
    if not isinstance(document, dict):
        raise invalid_argument(f"JSON Value: {debug_string(document)} Is not object")
    return document


def signature_name_of(document: dict[str, Json]) -> str:
    """The signature that a request names, "" if none."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid_argument(
            f"JSON Value: {debug_string(document)} not formatted correctly. 'signature_name' key must be a string "
            "value."
        )
    return name


def parse_predict_request(body: bytes, inputs_of: Callable[[str], TensorInfos]) -> JsonPredictRequest:
    """Read a predict body.

    Args:
        inputs_of: the inputs of the signature of that name; raises StatusError if there is no such model or signature.
    """
    document = parse_object(body)
    signature = signature_name_of(document)
    infos = inputs_of(signature)
    if not infos:
        raise invalid_argument(f"Failed to get input map for signature: {signature or 'DEFAULT'}")
    if "instances" in document:
        _check_instances(document)
        return JsonPredictRequest(signature, _read_instances(document["instances"], infos), RequestFormat.ROW)
    if "inputs" in document:
        return JsonPredictRequest(signature, _read_inputs(document["inputs"], infos), RequestFormat.COLUMNAR)
    raise invalid_argument("Missing 'inputs' or 'instances' key")


def _check_instances(document: dict[str, Json]) -> None:
    problem = None
    if "inputs" in document:
        problem = "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
    elif not isinstance(document["instances"], list):
        problem = "Expecting 'instances' to be an list/array"
    elif not document["instances"]:
        problem = "No values in 'instances' array"
    if problem:
        raise invalid_argument(f"JSON Value: {debug_string(document)} {problem}")


def _is_named(item: Json) -> bool:
    """Whether an instance gives its inputs by name."""
    return isinstance(item, dict) and not is_b64_object(item)


def _read_instances(instances: list[Json], infos: TensorInfos) -> dict[str, Array]:
    if not isinstance(instances[0], dict) and len(infos) > 1:
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    try:
        return _read_regular_instances(instances, infos)
    except (IrregularValue, KeyError):
        return _read_irregular_instances(instances, infos)


def _read_regular_instances(instances: list[Json], infos: TensorInfos) -> dict[str, Array]:
    """All instances at once, one conversion an input."""
    if not _is_named(instances[0]):
        if len(infos) > 1:  # b64 objects, of which only one input can be made
            raise IrregularValue
        ((name, info),) = infos.items()
        return {name: read_dense(instances, info.dtype)}
    if any(type(item) is not dict or len(item) != len(infos) for item in instances):
        raise IrregularValue
    return {name: read_dense([item[name] for item in instances], info.dtype) for name, info in infos.items()}


class _Columns:
    """The tensors of a row request, gathered instance by instance."""

    def __init__(self, infos: TensorInfos) -> None:
        self._infos = infos
        self._shapes: dict[str, tuple[int, ...]] = {}  # of one instance
        self._values: dict[str, list[Any]] = {}

    def add(self, name: str, item: Json) -> None:
        """Add an instance's value of one input."""
        if name not in self._infos:
            raise invalid_argument(f"JSON object: does not have named input: {name}")
        shape, flat = read_item(item, self._infos[name].dtype)
        expected = self._shapes.setdefault(name, shape)
        if math.prod(expected) != len(flat):
            raise invalid_argument(f"Expecting tensor size: {math.prod(expected)} but got: {len(flat)}")
        if expected != shape:
            raise invalid_argument(f"Expecting shape {shape_text(expected)} but got: {shape_text(shape)}")
        self._values.setdefault(name, []).extend(flat)

    def arrays(self, count: int) -> dict[str, Array]:
        """The tensors, with the batch of `count` as first dimension."""
        return {
            name: to_dense_array(values, (count, *self._shapes[name]), self._infos[name].dtype)
            for name, values in self._values.items()
        }


def _read_irregular_instances(instances: list[Json], infos: TensorInfos) -> dict[str, Array]:
    """Instance by instance: finds TensorFlow Serving's error, or reads what is regular after all (b64 objects)."""
    columns = _Columns(infos)
    are_named = _is_named(instances[0])
    for index, item in enumerate(instances):
        if _is_named(item) != are_named:
            came, expected = ("list", "object") if are_named else ("object", "value/list")
            raise invalid_argument(f"Expecting {expected} but got {came} at item {index} of input list")
        members = item if are_named else {next(iter(infos)): item}
        for name, value in members.items():
            try:
                columns.add(name, value)
            except StatusError as error:
                key = f"key: {name} " if are_named else ""
                raise invalid_argument(
                    f"Failed to process element: {index} {key}of 'instances' list. Error: {error}"
                ) from None
        if are_named and members.keys() != infos.keys():
            raise invalid_argument(
                f"Failed to process element: {index} of 'instances' list. JSON object: {debug_string(item)} keys must "
                f"be equal to: {','.join(sorted(infos))}"
            )
    return columns.arrays(len(instances))


def _read_inputs(inputs: Json, infos: TensorInfos) -> dict[str, Array]:
    if not _is_named(inputs):
        if len(infos) > 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        ((name, info),) = infos.items()
        return {name: _read_value(inputs, info.dtype)}
    arrays = {}
    for name, info in infos.items():
        if name not in inputs:
            raise invalid_argument(f"Missing named input: {name} in 'inputs' object.")
        arrays[name] = _read_value(inputs[name], info.dtype)
    return arrays


def _read_value(value: Json, dtype: int) -> Array:
    try:
        return read_dense(value, dtype)
    except IrregularValue:
        shape, flat = read_item(value, dtype)
        return to_dense_array(flat, shape, dtype)
