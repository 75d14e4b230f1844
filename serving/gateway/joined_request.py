"""One PredictRequest of the batches of several requests, as bytes; each tensor's values are copied once.

A message copies them when they are joined, put in, taken over by the message around, and serialised: of some hundred
kilobytes that is most of what the call costs here. This writes protobuf's own encoding, which the tests hold to the
message's.
"""

from collections.abc import Sequence

import numpy as np

from serving.gateway.model_server import Tensor, Tensors
from serving.gateway.tensors import wire_type
from serving.generated.atelier.modelserver.v1 import model_server_pb2 as wire
from serving.protobuf_fields import KEY, VALUE, Pieces, field


def joined_request(spec: wire.ModelSpec, batches: Sequence[Tensors]) -> bytes:
    """The inputs of each batch, one after the other; all have the same names, dtypes and shapes but for the first size.

    Raises:
        TypeError: the wire has no such dtype.
    """
    pieces = field(wire.PredictRequest.MODEL_SPEC_FIELD_NUMBER, [spec.SerializeToString()])
    for name in batches[0]:
        tensor = _tensor([batch[name] for batch in batches])
        entry = [*field(KEY, [name.encode()]), *field(VALUE, tensor)]
        pieces += field(wire.PredictRequest.INPUTS_FIELD_NUMBER, entry)
    return b"".join(pieces)


def _tensor(arrays: Sequence[Tensor]) -> Pieces:
    head = wire.Tensor(dtype=wire_type(arrays[0].dtype))
    for size in (sum(map(len, arrays)), *arrays[0].shape[1:]):
        head.tensor_shape.dim.add(size=size)
    values: Pieces = [np.ascontiguousarray(array).reshape(-1).view(np.uint8).data for array in arrays]
    return [head.SerializeToString(), *field(wire.Tensor.TENSOR_CONTENT_FIELD_NUMBER, values)]
