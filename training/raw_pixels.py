"""Images as they travel to a model server: one byte a value, which the model scales itself (docs/adr/0017)."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from serving.contract import DEFAULT_SIGNATURE, FeatureInput, ImageInput, ModelContract
from training.datasets import encode

RAW_SIGNATURE = "raw_pixels"


def with_raw_signature(spec: ImageInput | FeatureInput) -> ImageInput | FeatureInput:
    """An input as its contract tells it: an image whose values fit in bytes may be sent as it is."""
    if isinstance(spec, ImageInput) and spec.minimum >= 0 and spec.maximum <= 255:
        return dataclasses.replace(spec, raw_signature=RAW_SIGNATURE)
    return spec


def as_sent(spec: ImageInput | FeatureInput, instances: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """Raw instances as the tensors that the gateway sends to the contract's signature."""
    if isinstance(spec, ImageInput) and spec.raw_signature is not None:
        return {spec.tensor: instances.astype(np.uint8)}
    return encode(spec, instances)


def by_signature(contract: ModelContract, instances: npt.NDArray[Any]) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """Raw instances as the tensors of each signature that predicts: who calls the model server itself scales."""
    spec = contract.input
    return {contract.signature: as_sent(spec, instances), DEFAULT_SIGNATURE: encode(spec, instances)}


def raw_signature(spec: ImageInput, serve: Any) -> Any:
    """Raw values, uint8 (batch, *shape), by the tensor's name -> what `serve` gives for them, scaled as by `encode`."""

    def serve_raw(tensors: dict[str, Any]) -> dict[str, Any]:
        scaled = tf.cast(tensors[spec.tensor], tf.float32) * np.float32(spec.scale)
        # TensorFlow's optimizer makes one constant of this one and another that a model may begin with, which rounds
        # otherwise. It does not look past this.
        answers: dict[str, Any] = serve({spec.tensor: tf.ensure_shape(scaled, (None, *spec.shape))})
        return answers

    pixels = tf.TensorSpec((None, *spec.shape), tf.uint8, name=spec.tensor)
    return tf.function(serve_raw, input_signature=[{spec.tensor: pixels}])
