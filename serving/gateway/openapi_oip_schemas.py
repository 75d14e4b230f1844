"""A contract's tensors as JSON Schema: what the Open Inference Protocol's infer takes of a model, and what it gives."""

import math
from typing import Any

import numpy as np
import orjson

from serving.contract import FeatureInput, Golden, ImageInput, ModelContract
from serving.gateway.features import read_features
from serving.gateway.openapi_schemas import NUMBER, Schema, array_of, closed_object, version_schema
from serving.gateway.raw_tensors import DATATYPES, INTEGERS, TensorSpec, input_specs, output_specs

TEXT: Schema = {"type": "string"}


def model_metadata(model: str) -> Schema:
    """The answer to a look at a model's tensors."""
    shape: Schema = {"type": "array", "items": {"type": "integer", "minimum": -1}, "minItems": 1}
    tensor = closed_object({"name": TEXT, "datatype": TEXT, "shape": shape})
    tensors: Schema = {"type": "array", "items": tensor, "minItems": 1}
    versions: Schema = {"type": "array", "items": version_schema()}
    about: dict[str, Schema] = {
        "name": {"const": model},
        "versions": versions,
        "platform": TEXT,
        "inputs": tensors,
        "outputs": tensors,
    }
    return closed_object(about)


def infer_request(contract: ModelContract, max_instances: int) -> Schema:
    """The JSON of an infer request whose tensors are in it."""
    inputs = [_input(contract, spec, max_instances) for spec in input_specs(contract)]
    names = [spec.name for spec in output_specs(contract)]
    as_bytes = _parameters(binary_data={"type": ["boolean", "null"]})
    output = _open_object({"name": {"enum": names}, "parameters": as_bytes}, ["name"])
    members = {
        "id": {"type": ["string", "null"]},
        "parameters": _parameters(binary_data_output={"type": ["boolean", "null"]}),
        "inputs": array_of(_any_of(inputs), len(inputs)),
        "outputs": {"type": ["array", "null"], "items": output, "description": "None are all."},
    }
    return _open_object(members, ["inputs"])


def infer_reply(contract: ModelContract) -> Schema:
    """The answer where all of it is JSON."""
    outputs = [
        _open_object(
            {
                "name": {"const": spec.name},
                "datatype": {"const": spec.datatype},
                "shape": _shape(spec),
                "data": {"type": "array", "items": NUMBER, "minItems": math.prod(spec.shape[1:])},
            },
            ["name", "datatype", "shape", "data"],
        )
        for spec in output_specs(contract)
    ]
    return closed_object(
        {
            "model_name": {"const": contract.name},
            "model_version": version_schema(),
            "parameters": closed_object({"digest": TEXT}),
            "id": TEXT,
            "outputs": {"type": "array", "items": _any_of(outputs), "minItems": 1},
        },
        optional=("id",),
    )


def example_request(contract: ModelContract, golden: Golden) -> Any:
    """A golden instance as tensors."""
    inputs = [
        {
            "name": spec.name,
            "datatype": spec.datatype,
            "shape": [1, *spec.shape[1:]],
            "data": _raw_values(contract, spec.name, golden.instance),
        }
        for spec in input_specs(contract)
    ]
    return {"inputs": inputs}


def example_reply(contract: ModelContract, version: int, golden: Golden) -> Any:
    """What the trained model answered to it, as a client gets it."""
    outputs = [
        {
            "name": spec.name,
            "datatype": spec.datatype,
            "shape": [1, *spec.shape[1:]],
            "data": np.array(golden.answer[spec.name], np.float32),
        }
        for spec in output_specs(contract)
    ]
    about = {"model_name": contract.name, "model_version": str(version), "parameters": {"digest": contract.digest}}
    return orjson.loads(orjson.dumps({**about, "outputs": outputs}, option=orjson.OPT_SERIALIZE_NUMPY))


def _raw_values(contract: ModelContract, tensor: str, instance: Any) -> list[Any]:
    if isinstance(contract.input, FeatureInput):
        return read_features(contract.input, [instance])[tensor].ravel().tolist()
    values: list[Any] = np.array(instance).ravel().tolist()
    return values


def _input(contract: ModelContract, spec: TensorSpec, max_instances: int) -> Schema:
    image = contract.input if isinstance(contract.input, ImageInput) else None
    element = {"type": "integer", "minimum": image.minimum, "maximum": image.maximum} if image else NUMBER
    row = element
    for length in reversed(spec.shape[1:]):
        row = array_of(row, length)
    size = math.prod(spec.shape[1:])
    flat = {"type": "array", "items": element, "minItems": size, "maxItems": size * max_instances, "title": "flat"}
    nested = {"type": "array", "items": row, "minItems": 1, "maxItems": max_instances, "title": "as the shape says"}
    members: dict[str, Schema] = {
        "name": {"const": spec.name},
        "datatype": {"enum": list(INTEGERS if image else DATATYPES), "description": f"{spec.datatype} is enough."},
        "shape": _shape(spec),
        "data": {"anyOf": [flat, nested]},
        "parameters": _parameters(),
    }
    return _open_object(members, ["name", "datatype", "shape", "data"])


def _shape(spec: TensorSpec) -> Schema:
    """Its numbers one by one would be `prefixItems`, which common tools do not read yet."""
    size: Schema = {"type": "integer", "minimum": 1}
    sides = ", ".join(["rows", *map(str, spec.shape[1:])])
    return array_of(size, len(spec.shape), description=f"[{sides}]")


def _parameters(**known: Schema) -> Schema:
    """What the protocol lets a client add; null is none."""
    return {"type": ["object", "null"], **({"properties": known} if known else {})}


def _open_object(properties: dict[str, Schema], required: list[str]) -> Schema:
    """An object that may have more members: the protocol has them ignored."""
    return {"type": "object", "properties": properties, "required": required}


def _any_of(schemas: list[Schema]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
