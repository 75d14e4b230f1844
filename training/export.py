"""Writes a trained model as a SavedModel that carries its own contract, in the layout TF Serving reads.

    saved_model.pb, variables/            signatures serving_default and contract
    assets.extra/contract.json            the same JSON as the contract signature answers
    assets.extra/tf_serving_warmup_requests

Knows nothing of the store: it fills the folder it is given.
"""

from pathlib import Path
from typing import Any

import tensorflow as tf

from serving.contract import (
    CONTRACT_OUTPUT,
    CONTRACT_PROBE,
    CONTRACT_SIGNATURE,
    ModelContract,
    to_json,
)
from training.datasets import output_tensors, tensor_shapes
from training.digest import WEIGHTS_NODE, weight_variables
from training.models import Model, by_name, call_inputs
from training.warmup import write_warmup

SERVING_SIGNATURE = "serving_default"
CONTRACT_FILE = Path("assets.extra/contract.json")
WARMUP_FILE = Path("assets.extra/tf_serving_warmup_requests")  # TF Serving's g3doc/saved_model_warmup.md


def export(model: Model, contract: ModelContract, folder: Path) -> None:
    """Fill an empty folder with the whole artefact."""
    artefact = tf.Module()
    # Only the weights hang on the artefact: not the Keras object, whose other functions nobody serves.
    setattr(artefact, WEIGHTS_NODE, weight_variables(model))
    signatures = {
        SERVING_SIGNATURE: _serving_signature(model, contract),
        CONTRACT_SIGNATURE: _contract_signature(to_json(contract)),
    }
    tf.saved_model.save(artefact, str(folder), signatures)
    (folder / CONTRACT_FILE).parent.mkdir()
    (folder / CONTRACT_FILE).write_text(to_json(contract), encoding="utf-8")
    write_warmup(folder / WARMUP_FILE, contract)


def _serving_signature(model: Model, contract: ModelContract) -> Any:
    """Model tensors -> output tensors, both by the names of the contract."""
    specs = {
        name: tf.TensorSpec((None, *shape), tf.float32, name=name)
        for name, shape in tensor_shapes(contract.input).items()
    }

    def serve(tensors: dict[str, Any]) -> dict[str, Any]:
        answers = by_name(model(call_inputs(tensors), training=False), contract.output.tensor)
        return {name: answers[name] for name in output_tensors(contract.output, contract.domain)}

    return tf.function(serve, input_signature=[specs])


def _contract_signature(document: str) -> Any:
    """probe int32 (n,) -> contract string (n,), each element the document."""

    def answer(probe: Any) -> dict[str, Any]:
        with tf.device("/CPU:0"):  # strings have no GPU kernels
            return {CONTRACT_OUTPUT: tf.fill(tf.shape(probe), tf.constant(document))}

    return tf.function(answer, input_signature=[tf.TensorSpec((None,), tf.int32, name=CONTRACT_PROBE)])
