"""Requests that a server plays to a version before it takes traffic, as a TFRecord of TF Serving's PredictionLog."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from serving.contract import CONTRACT_PROBE, CONTRACT_SIGNATURE, ModelContract
from training.goldens import from_json_instances
from training.raw_pixels import by_signature

# One instance, a form's worth, and a batch: the shapes a server is likely to meet first.
_BATCH_SIZES = (1, 8, 64)


def write_warmup(path: Path, contract: ModelContract) -> None:
    """The goldens in batches of several sizes to each signature that predicts, and one call for the contract itself."""
    goldens = from_json_instances(contract.input, [golden.instance for golden in contract.goldens])
    requests = [
        (signature, {name: np.resize(tensor, (size, *tensor.shape[1:])) for name, tensor in tensors.items()})
        for signature, tensors in by_signature(contract, goldens).items()
        for size in _BATCH_SIZES
    ]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, tensors in requests:
            writer.write(_record(contract.name, signature, tensors))
        writer.write(_record(contract.name, CONTRACT_SIGNATURE, {CONTRACT_PROBE: np.zeros(1, np.int32)}))


def read_warmup(path: Path) -> list[tuple[str, dict[str, npt.NDArray[Any]]]]:
    """The requests of a warm-up file: (signature, tensors by name)."""
    logs = [PredictionLog.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(path))]
    requests = [log.predict_log.request for log in logs]
    return [
        (request.model_spec.signature_name, {name: tf.make_ndarray(t) for name, t in request.inputs.items()})
        for request in requests
    ]


def _record(model: str, signature: str, tensors: dict[str, npt.NDArray[Any]]) -> bytes:
    log = PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = model  # TF Serving does not look at it
    request.model_spec.signature_name = signature
    for name, tensor in tensors.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(tensor))
    serialized: bytes = log.SerializeToString()
    return serialized
