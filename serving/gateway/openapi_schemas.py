"""A contract as JSON Schema (2020-12, as OpenAPI 3.1 has it): what a model takes, and what it answers."""

import math
from typing import Any

import numpy as np
import orjson

from serving.contract import ClassOutput, FeatureInput, Golden, ImageInput, ModelContract, ValueOutput
from serving.gateway.answers import to_answers

Schema = dict[str, Any]

# A feature becomes a float32; from here on, either way, the nearest one is infinite.
INFINITE_FLOAT32 = float(2**128 - 2**103)
NUMBER: Schema = {"type": "number"}
NAME: Schema = {"type": "string", "minLength": 1}


def closed_object(properties: dict[str, Schema], optional: tuple[str, ...] = (), **more: Any) -> Schema:
    """An object of these members and no others."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False, **more}


def array_of(items: Schema, length: int, **more: Any) -> Schema:
    """An array of exactly this length."""
    return {"type": "array", "items": items, "minItems": length, "maxItems": length, **more}


def request_schema(contract: ModelContract, max_instances: int) -> Schema:
    """The JSON body of a prediction request."""
    instances: Schema = {
        "type": "array",
        "items": instance_schema(contract.input),
        "minItems": 1,
        "maxItems": max_instances,
    }
    if isinstance(contract.output, ClassOutput):
        return closed_object({"instances": instances, "top_k": top_k_schema(contract.output)}, optional=("top_k",))
    return closed_object({"instances": instances})


def top_k_schema(output: ClassOutput) -> Schema:
    """How many of the most probable classes to list."""
    description = "How many of the most probable classes to list."
    return {"type": "integer", "minimum": 1, "maximum": len(output.class_names), "description": description}


def instance_schema(spec: ImageInput | FeatureInput) -> Schema:
    """One instance as JSON."""
    return _image(spec) if isinstance(spec, ImageInput) else _features(spec)


def _image(spec: ImageInput) -> Schema:
    pixel: Schema = {"type": "integer", "minimum": spec.minimum, "maximum": spec.maximum}
    nested = pixel
    for length in reversed(spec.shape):
        nested = array_of(nested, length)
    sides = " x ".join(map(str, spec.shape))
    forms = [
        {**nested, "title": f"{sides} values, nested"},
        array_of(pixel, math.prod(spec.shape), title="the same, flat"),
    ]
    if takes_files(spec):
        file = {"type": "string", "contentEncoding": "base64", "description": "A PNG or JPEG file."}
        forms.append(closed_object({"b64": file}, title="an image file"))
    return {"anyOf": forms}


def takes_files(spec: ImageInput) -> bool:
    """Whether PNG and JPEG files can become this input: they have one channel, or three."""
    return len(spec.shape) == 2 or spec.shape[2] in (1, 3)


def _features(spec: FeatureInput) -> Schema:
    number: Schema = {"type": "number", "exclusiveMinimum": -INFINITE_FLOAT32, "exclusiveMaximum": INFINITE_FLOAT32}
    by_name = {
        feature.name: {
            **number,
            "description": f"{feature.description} Unit: {feature.unit}. "
            f"Training saw {feature.minimum:g} to {feature.maximum:g}.",
        }
        for feature in spec.features
    }
    names = ", ".join(feature.name for feature in spec.features)
    in_order = array_of(number, len(spec.features), title="in the contract's order", description=names)
    return {"anyOf": [closed_object(by_name, title="by name"), in_order]}


def response_schema(contract: ModelContract) -> Schema:
    """The answer to a prediction request."""
    maker = {"name": {"const": contract.name}, "version": version_schema(), "digest": {"type": "string"}}
    predictions = {"type": "array", "items": prediction_schema(contract), "minItems": 1}
    return closed_object({"model": closed_object(maker), "predictions": predictions})


def version_schema() -> Schema:
    """A version, as protobuf's JSON has every int64."""
    return {"type": "string", "pattern": "^[0-9]+$"}


def prediction_schema(contract: ModelContract) -> Schema:
    """The answer for one instance."""
    output = contract.output
    members = _class_members(output) if isinstance(output, ClassOutput) else _value_members(output)
    if contract.domain:
        score = {**NUMBER, "description": f"{contract.domain.description} In domain up to {contract.domain.threshold}."}
        members |= {"in_domain": {"type": "boolean"}, "domain_score": score}
    return closed_object(members, optional=("top_k",))


def _class_members(output: ClassOutput) -> dict[str, Schema]:
    names = list(output.class_names)
    one: dict[str, Schema] = {
        "class_name": {"enum": names},
        "class_id": {"type": "integer", "minimum": 0, "maximum": len(names) - 1},
        "probability": NUMBER,
    }
    members = {
        **one,
        "probabilities": closed_object(dict.fromkeys(names, NUMBER)),
        "top_k": {"type": "array", "items": closed_object(one), "description": "Where asked for, most probable first."},
    }
    if output.prediction_set:
        classes = {"type": "array", "items": {"enum": names}}
        members["prediction_set"] = closed_object(
            {"level": {"const": output.prediction_set.level}, "class_names": classes},
            description="Holds the true class with probability `level`, over inputs like those of training. "
            "Empty where no class is probable enough.",
        )
    return members


def _value_members(output: ValueOutput) -> dict[str, Schema]:
    members: dict[str, Schema] = {"value": NUMBER, "unit": {"const": output.unit}}
    if output.interval:
        members["interval"] = closed_object(
            {"level": {"const": output.interval.level}, "low": NUMBER, "high": NUMBER},
            description="Holds the true value with probability `level`, over inputs like those of training.",
        )
    return members


def example_response(contract: ModelContract, version: int, golden: Golden) -> Any:
    """What the trained model answered to a golden instance, as a client gets it."""
    outputs = {tensor: np.array([values], np.float32) for tensor, values in golden.answer.items()}
    maker = {"name": contract.name, "version": str(version), "digest": contract.digest}
    document = {"model": maker, "predictions": to_answers(contract, outputs, None)}
    return orjson.loads(orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY))
