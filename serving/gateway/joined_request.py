"""One PredictRequest of the batches of several requests, as bytes; each tensor's values are copied once.

A message copies them when they are joined, put in, taken over by the message around, and serialised: of some hundred
kilobytes that is most of what the call costs here. This writes protobuf's own encoding, which the tests hold to the
message's: https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Sequence

import numpy as np

from serving.gateway.model_server import Tensor, Tensors
from serving.gateway.tensors import wire_type
from serving.generated.atelier.modelserver.v1 import model_server_pb2 as wire

_LENGTH_DELIMITED = 2  # protobuf's wire type of strings, bytes and messages
_KEY, _VALUE = 1, 2  # the fields of a map's entry

Pieces = list[bytes | memoryview]


def joined_request(spec: wire.ModelSpec, batches: Sequence[Tensors]) -> bytes:
    """The inputs of each batch, one after the other; all have the same names, dtypes and shapes but for the first size.

    Raises:
        TypeError: the wire has no such dtype.
    """
    pieces = _field(wire.PredictRequest.MODEL_SPEC_FIELD_NUMBER, [spec.SerializeToString()])
    for name in batches[0]:
        tensor = _tensor([batch[name] for batch in batches])
        entry = [*_field(_KEY, [name.encode()]), *_field(_VALUE, tensor)]
        pieces += _field(wire.PredictRequest.INPUTS_FIELD_NUMBER, entry)
    return b"".join(pieces)


def _tensor(arrays: Sequence[Tensor]) -> Pieces:
    head = wire.Tensor(dtype=wire_type(arrays[0].dtype))
    for size in (sum(map(len, arrays)), *arrays[0].shape[1:]):
        head.tensor_shape.dim.add(size=size)
    values: Pieces = [np.ascontiguousarray(array).reshape(-1).view(np.uint8).data for array in arrays]
    return [head.SerializeToString(), *_field(wire.Tensor.TENSOR_CONTENT_FIELD_NUMBER, values)]


def _field(number: int, pieces: Pieces) -> Pieces:
    """Bytes, or a message, under their number."""
    return [_varint(number << 3 | _LENGTH_DELIMITED) + _varint(sum(map(len, pieces))), *pieces]


def _varint(value: int) -> bytes:
    coded = bytearray()
    while value > 0x7F:
        coded.append(value & 0x7F | 0x80)
        value >>= 7
    coded.append(value)
    return bytes(coded)
