"""Instances as messages of the gRPC API. What these would not show the gateway is judged here, by its own rules."""

import base64
import sys
from itertools import chain
from typing import Any

from serving.client_instances import is_file
from serving.client_transport import Call
from serving.contract import FeatureInput, ModelContract
from serving.gateway import predictor
from serving.gateway.violations import invalid
from serving.generated.atelier.prediction.v1 import prediction_pb2 as wire


def to_messages(contract: ModelContract, call: Call) -> list[wire.Instance]:
    """The call's instances; lists are pixels or features, as the model takes them.

    Raises:
        ServingError: the call breaks the contract.
    """
    _check(contract, call)
    return [_message(contract, instance, index) for index, instance in enumerate(call.instances)]


def _check(contract: ModelContract, call: Call) -> None:
    """As the gateway would if it saw the arrays' form, and booleans. Bytes it does see: a golden stands for them."""
    seen = [contract.goldens[0].instance if isinstance(one, bytes) else one for one in call.instances]
    asked = predictor.Call(call.model, None, call.verb, seen, call.top_k)
    predictor.prepare(asked, predictor.Offer(contract, 0), sys.maxsize)


def _message(contract: ModelContract, instance: Any, index: int) -> wire.Instance:
    match instance:
        case bytes():
            return _image(encoded=instance) if is_file(instance) else _image(pixels=instance)
        case {"b64": str(text)}:
            return _image(encoded=base64.b64decode(text))
        case dict():
            return wire.Instance(features=wire.Features(values=instance))
        case list() if isinstance(contract.input, FeatureInput):
            names = [feature.name for feature in contract.input.features]
            return wire.Instance(features=wire.Features(values=dict(zip(names, instance, strict=True))))
    return _image(pixels=_one_byte_a_pixel(instance, index))


def _image(**data: bytes) -> wire.Instance:
    return wire.Instance(image=wire.Image(**data))


def _one_byte_a_pixel(pixels: list[Any], index: int) -> bytes:
    """Of whole numbers, nested or flat."""
    while isinstance(pixels[0], list):
        pixels = list(chain.from_iterable(pixels))
    try:
        return bytes(map(int, pixels))
    except ValueError as error:
        raise invalid(
            ("instances", index), "expected pixels from 0 to 255, as gRPC carries them, got others"
        ) from error
