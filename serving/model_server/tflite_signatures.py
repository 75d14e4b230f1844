"""The signatures of a TFLite model: those recorded in it, or else one made from its tensors. Runs nothing.

After tensorflow_serving/servables/tensorflow/tflite_session.cc. What newer converters write, the flatbuffer's own
`signature_defs`, is not read there, and so not here.
"""

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from tensorflow import dtypes
from tensorflow.core.protobuf import meta_graph_pb2

from serving.model_server.servable import DEFAULT_SIGNATURE
from serving.model_server.status import Code, StatusError, invalid_argument

_logger = logging.getLogger(__name__)

METADATA = b"signature_defs_metadata"  # tensorflow/lite/tools/signature/signature_def_util.h
_PREDICT_METHOD = "tensorflow/serving/predict"

SignatureDef = Any  # tensorflow.SignatureDef
TensorDetails = Mapping[str, Any]  # what an interpreter tells of a tensor: name, shape, dtype


def tflite_signatures(
    model: bytes, inputs: Iterable[TensorDetails], outputs: Iterable[TensorDetails]
) -> dict[str, SignatureDef]:
    """Signature name -> SignatureDef, whose tensors are all in the model.

    Raises:
        StatusError: a recorded signature cannot be read, or names a tensor that there is not.
    """
    input_infos, output_infos = _tensor_infos("Input", inputs), _tensor_infos("Output", outputs)
    signatures = _recorded_signatures(model)
    if not signatures:
        _logger.warning("No signature def found in TFLite model. Generating one.")
        return {DEFAULT_SIGNATURE: _signature_of_tensors(input_infos, output_infos)}
    for signature in signatures.values():
        for alias, info in signature.inputs.items():
            info.name = _existing(info.name, input_infos, f"Signature input {alias}")
        for alias, info in signature.outputs.items():
            info.name = _existing(info.name, output_infos, f"Signature output {alias}")
    return signatures


def _recorded_signatures(model: bytes) -> dict[str, SignatureDef]:
    """Those of the metadata entry: a flexbuffer, signature name -> serialized SignatureDef."""
    from flatbuffers import flexbuffers
    from tensorflow.lite.python import schema_py_generated as schema

    flatbuffer = schema.Model.GetRootAsModel(model, 0)
    entries = (flatbuffer.Metadata(index) for index in range(flatbuffer.MetadataLength()))
    entry = next((entry for entry in entries if entry.Name() == METADATA), None)
    if entry is None:
        return {}
    try:
        recorded = flexbuffers.GetRoot(flatbuffer.Buffers(entry.Buffer()).DataAsNumpy().tobytes()).AsMap
        return {
            key.AsKey: meta_graph_pb2.SignatureDef.FromString(bytes(value.AsStringBytes))
            for key, value in zip(recorded.Keys, recorded.Values, strict=True)
        }
    except (DecodeError, ValueError, TypeError, IndexError) as error:
        raise invalid_argument(f"Invalid SignatureDefs found in TfLite model: {error}") from error


def _signature_of_tensors(inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> SignatureDef:
    """`serving_default`, where an alias is the name of the tensor without its `:0`."""
    signature = meta_graph_pb2.SignatureDef(method_name=_PREDICT_METHOD)
    for infos, target in ((inputs, signature.inputs), (outputs, signature.outputs)):
        for name, info in infos.items():
            target[_without_index(name)].CopyFrom(info)
    return signature


def _tensor_infos(kind: str, tensors: Iterable[TensorDetails]) -> dict[str, Any]:
    """Tensor name -> TensorInfo. The shape is that of the file, where an unknown dim is 1."""
    infos: dict[str, Any] = {}
    for tensor in tensors:
        name = tensor["name"]
        if name in infos:
            raise StatusError(Code.ALREADY_EXISTS, f"{kind} tensor name: {name} has multiple indices")
        dtype = dtypes.string if np.dtype(tensor["dtype"]).kind == "S" else dtypes.as_dtype(tensor["dtype"])
        infos[name] = meta_graph_pb2.TensorInfo(name=name, dtype=dtype.as_datatype_enum)
        for size in tensor["shape"]:
            infos[name].tensor_shape.dim.add(size=size)
    return infos


def _existing(name: str, tensors: Collection[str], what: str) -> str:
    """The name, or the name without index that early converters wrote, whichever is a tensor's."""
    for candidate in (name, _without_index(name)):
        if candidate in tensors:
            return candidate
    raise StatusError(Code.INTERNAL, f"{what} references an unknown tensor: Unknown tensor '{_without_index(name)}'.")


def _without_index(name: str) -> str:
    return name.partition(":")[0]
