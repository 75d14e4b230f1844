"""Bodies of the Open Inference Protocol over HTTP: JSON, and tensors as bytes behind it (Triton's binary extension).

The extension: docs/protocol/extension_binary_data.md in triton-inference-server/server. Knows no model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from werkzeug.exceptions import BadRequest

from serving.gateway.oip import refuse_many, refuse_parameters
from serving.gateway.outputs import Outputs
from serving.gateway.raw_tensors import RawTensor, TensorBatch
from serving.gateway.violations import Path, invalid, kind_of

HEADER = "Inference-Header-Content-Length"

T = TypeVar("T")
_KINDS: Mapping[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    list: "an array",
    dict: "an object",
}


@dataclass(frozen=True)
class InferRequest:
    """What a body asks."""

    id: str | None
    batch: TensorBatch
    binary: frozenset[str]  # the outputs to send as bytes; see `all_binary`
    all_binary: bool  # send outputs as bytes where nothing else is said of them

    def is_binary(self, output: str) -> bool:
        """Whether to send this output as bytes."""
        return output in self.binary or (self.all_binary and output not in self.batch.outputs)


def parse(body: bytes, json_size: str | None) -> InferRequest:
    """A request's body.

    Args:
        json_size: of the header; how many bytes of the body are JSON, all of them without one.
    Raises:
        BadRequest: it cannot be read.
        InvalidInput: it can be read, but is no inference request.
    """
    text, rest = _split(body, json_size)
    document = _parse_json(text)
    parameters = _optional(document, "parameters", dict, ())
    by_default = bool(_optional(parameters or {}, "binary_data_output", bool, ("parameters",)))
    outputs = [_output(output, index, by_default) for index, output in enumerate(_objects(document, "outputs") or ())]
    inputs = _inputs(_objects(document, "inputs"), rest)
    return InferRequest(
        id=_optional(document, "id", str, ()),
        batch=TensorBatch(inputs, tuple(name for name, _ in outputs)),
        binary=frozenset(name for name, is_binary in outputs if is_binary),
        all_binary=by_default,
    )


def encode(
    document: dict[str, Any], outputs: Outputs, names: tuple[str, ...], request: InferRequest
) -> tuple[bytes, int]:
    """A reply's body, and how many bytes of it are JSON."""
    described, blocks = [], []
    for name in names:
        tensor = outputs[name].astype("<f4", copy=False)
        about: dict[str, Any] = {"name": name, "datatype": "FP32", "shape": tensor.shape}
        if request.is_binary(name):
            blocks.append(tensor.tobytes())
            about["parameters"] = {"binary_data_size": tensor.nbytes}
        else:
            about["data"] = tensor.ravel()
        described.append(about)
    text = orjson.dumps({**document, "outputs": described}, option=orjson.OPT_SERIALIZE_NUMPY)
    return text + b"".join(blocks), len(text)


def _split(body: bytes, json_size: str | None) -> tuple[bytes, bytes]:
    if json_size is None:
        return body, b""
    if not (json_size.isascii() and json_size.isdecimal() and len(json_size) < 20 and int(json_size) <= len(body)):
        raise BadRequest(f"expected the number of JSON bytes in {HEADER}, at most the body's {len(body)}")
    return body[: int(json_size)], body[int(json_size) :]


def _parse_json(text: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error.msg}, at line {error.lineno} column {error.colno}") from error
    return _expect(document, dict, ())


def _objects(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    items = _optional(document, key, list, ()) or []
    refuse_many(len(items), (key,))
    return [_expect(item, dict, (key, index)) for index, item in enumerate(items)]


def _inputs(described: list[dict[str, Any]], rest: bytes) -> tuple[RawTensor, ...]:
    """The inputs, each with its share of the bytes behind the JSON."""
    inputs, start = [], 0
    for index, about in enumerate(described):
        path: Path = ("inputs", index)
        size = _binary_size(about, path)
        if size is None:
            values: list[Any] | bytes = _required(about, "data", list, path)
        elif about.get("data") is not None:
            raise invalid((*path, "data"), "expected data or binary_data_size, got both")
        else:
            values = rest[start : start + size]
            start += size
        inputs.append(
            RawTensor(
                _required(about, "name", str, path),
                _required(about, "datatype", str, path),
                _shape(about, path),
                values,
            )
        )
    if start != len(rest):
        raise BadRequest(f"expected {start} bytes behind the JSON, by binary_data_size, got {len(rest)}")
    return tuple(inputs)


def _binary_size(about: dict[str, Any], path: Path) -> int | None:
    parameters = _parameters(about, path)
    size = _optional(parameters, "binary_data_size", int, (*path, "parameters"))
    if size is not None and size < 0:
        raise invalid((*path, "parameters", "binary_data_size"), "expected a number of bytes, got a negative one")
    return size


def _output(about: dict[str, Any], index: int, by_default: bool) -> tuple[str, bool]:  # noqa: FBT001 (a setting)
    path: Path = ("outputs", index)
    is_binary = _optional(_parameters(about, path), "binary_data", bool, (*path, "parameters"))
    return _required(about, "name", str, path), by_default if is_binary is None else is_binary


def _parameters(about: dict[str, Any], path: Path) -> dict[str, Any]:
    parameters = _optional(about, "parameters", dict, path) or {}
    refuse_parameters(parameters, path)
    return parameters


def _shape(about: dict[str, Any], path: Path) -> tuple[int, ...]:
    sizes = _required(about, "shape", list, path)
    return tuple(_expect(size, int, (*path, "shape", index)) for index, size in enumerate(sizes))


def _required(about: dict[str, Any], key: str, kind: type[T], path: Path) -> T:
    value = _optional(about, key, kind, path)
    if value is None:
        raise invalid((*path, key), f"expected {_KINDS[kind]}, but the member is missing")
    return value


def _optional(about: dict[str, Any], key: str, kind: type[T], path: Path) -> T | None:
    """A member, or None where it is absent or null, which some clients send for absent."""
    value = about.get(key)
    return None if value is None else _expect(value, kind, (*path, key))


def _expect(value: Any, kind: type[T], path: Path) -> T:
    if type(value) is not kind:  # not isinstance: true is no integer
        raise invalid(path, f"expected {_KINDS[kind]}, got {kind_of(value)}")
    return value
