"""Instances as messages of the gRPC API. What these cannot carry is refused here, as the gateway would refuse it."""

import base64
import binascii
from typing import Any

from serving.client_instances import is_file, plain
from serving.client_transport import ProblemError
from serving.contract import FeatureInput, ModelContract
from serving.generated.atelier.prediction.v1 import prediction_pb2 as wire


def to_message(contract: ModelContract, instance: Any, index: int) -> wire.Instance:
    """One instance; lists are pixels or features, as the model takes them.

    Raises:
        ProblemError: as of the gateway, with a pointer to the instance.
    """
    instance = plain(instance)
    if isinstance(contract.input, FeatureInput) and isinstance(instance, list):
        _check_length([feature.name for feature in contract.input.features], instance, index)
    try:
        return _message(contract, instance)
    except (TypeError, ValueError, binascii.Error) as error:
        expected = "finite numbers" if isinstance(contract.input, FeatureInput) else "pixels as integers from 0 to 255"
        raise refusal(f"/instances/{index}", f"expected {expected}, got what gRPC cannot carry for them") from error


def refusal(pointer: str, detail: str) -> ProblemError:
    """As the gateway refuses an input."""
    problem = {
        "type": "urn:atelier:problem:invalid-input",
        "title": "Invalid input",
        "status": 422,
        "detail": f"{pointer}: {detail}",
        "errors": [{"pointer": pointer, "detail": detail}],
    }
    return ProblemError(422, problem)


def _check_length(names: list[str], values: list[Any], index: int) -> None:
    if len(values) != len(names):
        expected = f"expected {len(names)} numbers ({', '.join(names)})"
        raise refusal(f"/instances/{index}", f"{expected}, got an array of {len(values)}")


def _message(contract: ModelContract, instance: Any) -> wire.Instance:
    match instance:
        case bytes():
            return _image(encoded=instance) if is_file(instance) else _image(pixels=instance)
        case {"b64": str(text)}:
            return _image(encoded=base64.b64decode(text, validate=True))
        case dict():
            return wire.Instance(features=wire.Features(values=instance))
        case list() if isinstance(contract.input, FeatureInput):
            names = [feature.name for feature in contract.input.features]
            return wire.Instance(features=wire.Features(values=dict(zip(names, instance, strict=True))))
        case list():
            return _image(pixels=bytes(_flat(instance)))
    raise TypeError


def _image(**data: bytes) -> wire.Instance:
    return wire.Instance(image=wire.Image(**data))


def _flat(values: list[Any]) -> list[Any]:
    return [item for value in values for item in (_flat(value) if isinstance(value, list) else [value])]
