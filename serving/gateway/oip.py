"""What the Open Inference Protocol, version 2, asks of a server over any transport: metadata, readiness, inference.

The protocol: https://github.com/kserve/open-inference-protocol. Both its doors translate to and from this.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import serving
from serving.errors import ModelNotReady, ModelServerUnreachable
from serving.gateway.parts import Parts
from serving.gateway.predictor import Call, Label, Prediction, Selector
from serving.gateway.raw_tensors import TensorBatch, TensorSpec, input_specs, output_specs
from serving.gateway.violations import Path, invalid

SERVER_NAME = "atelier"
SERVER_VERSION = serving.__version__
# Triton's name for tensors as bytes behind the JSON of an HTTP body.
EXTENSIONS = ("binary_tensor_data",)
# One of the protocol's own names.
PLATFORM = "tensorflow_savedmodel"
# Parameters that say where a tensor lies, or in which form it shall come back: ignoring one, as the protocol allows
# with others, would answer another question. They are Triton's extensions.
REFUSED_PARAMETERS = ("shared_memory_region", "classification")
# Far more than a model has; a body has room for half a million, which would take seconds to look at.
MAX_TENSORS = 1024


@dataclass(frozen=True)
class ModelMetadata:
    """What a client must know to call a model."""

    name: str
    versions: tuple[str, ...]  # those on offer, newest first
    platform: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


def selector(version: str) -> Selector:
    """The protocol's versions are texts: a number, a label, or nothing for the newest on offer."""
    if version.isascii() and version.isdecimal() and len(version) < 20:  # an int64, as far as digits can say
        return int(version)
    return Label(version) if version else None


def model_metadata(parts: Parts, model: str, version: str, timeout_s: float) -> ModelMetadata:
    """The tensors of the version on offer."""
    offer = parts.offers.find(model, selector(version), timeout_s)
    on_offer = sorted(parts.offers.watch(model).snapshot.offers, reverse=True)
    return ModelMetadata(
        name=model,
        versions=tuple(map(str, on_offer)),
        platform=PLATFORM,
        inputs=input_specs(offer.contract),
        outputs=output_specs(offer.contract),
    )


def is_model_ready(parts: Parts, model: str, version: str, timeout_s: float) -> bool:
    """Whether that version is on offer; an unknown one is an error."""
    try:
        parts.offers.find(model, selector(version), timeout_s)
    except (ModelNotReady, ModelServerUnreachable):
        return False
    return True


def infer(parts: Parts, model: str, version: str, batch: TensorBatch, timeout_s: float) -> Prediction:
    """The output tensors, by the way that every call goes."""
    call = Call(model, selector(version), "predict", batch)
    prediction = parts.predictor.predict(call, timeout_s)
    parts.metrics.predictions.observe(prediction.offer.contract, prediction.offer.version, prediction.outputs)
    return prediction


def wanted(prediction: Prediction, batch: TensorBatch) -> tuple[str, ...]:
    """The names of the outputs to send, in the order in which they were asked for."""
    return batch.outputs or tuple(prediction.outputs)


def refuse_many(count: int, path: Path) -> None:
    """Refuse more inputs or outputs than any model has."""
    if count > MAX_TENSORS:
        raise invalid(path, f"expected at most {MAX_TENSORS}, got {count}")


def refuse_parameters(names: Iterable[str], path: Path) -> None:
    """Refuse a tensor's parameters that cannot be ignored."""
    for name in names:
        if name in REFUSED_PARAMETERS:
            raise invalid((*path, "parameters", name), "this server does not have that extension")
