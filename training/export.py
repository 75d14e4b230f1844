"""Writes a trained model as a SavedModel that carries its own contract, in the layout TF Serving reads.

    saved_model.pb, variables/            signatures serving_default, contract and documents,
                                          raw_pixels of image models, mc_dropout on request
    assets.extra/contract.json            the same JSON as the contract signature answers
    assets.extra/tf_serving_warmup_requests
    assets.extra/…                        documents for people: the whole evaluation, report, model card

Knows nothing of the store: it fills the folder it is given.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import tensorflow as tf

from serving.contract import (
    CONTRACT_OUTPUT,
    CONTRACT_PROBE,
    CONTRACT_SIGNATURE,
    DEFAULT_SIGNATURE,
    DOCUMENTS_SIGNATURE,
    ImageInput,
    ModelContract,
    to_json,
)
from training.datasets import output_tensors, tensor_shapes
from training.digest import WEIGHTS_NODE, weight_variables
from training.documents import SERVED
from training.errors import CannotWrite
from training.models import Model, by_name, call_inputs
from training.monte_carlo import mean_and_spread, with_dropout_on
from training.raw_pixels import raw_signature
from training.warmup import write_warmup

MC_DROPOUT_SIGNATURE = "mc_dropout"
CONTRACT_FILE = Path("assets.extra/contract.json")
WARMUP_FILE = Path("assets.extra/tf_serving_warmup_requests")  # TF Serving's g3doc/saved_model_warmup.md
NO_DOCUMENTS: Mapping[str, str] = MappingProxyType({})


def export(
    model: Model,
    contract: ModelContract,
    folder: Path,
    documents: Mapping[str, str] = NO_DOCUMENTS,
    *,
    mc_samples: int = 0,
) -> None:
    """Fill an empty folder with the whole artefact; documents, by file name, lie beside the contract.

    Args:
        mc_samples: how many passes the signature mc_dropout makes; 0: there is none.
    Raises:
        CannotWrite: TensorFlow could not; where Python could not, an OSError.
    """
    artefact = tf.Module()
    # Only the weights hang on the artefact: not the Keras object, whose other functions nobody serves.
    setattr(artefact, WEIGHTS_NODE, weight_variables(model))
    serving = _serving_signature(model, contract)
    signatures = {
        DEFAULT_SIGNATURE: serving,
        CONTRACT_SIGNATURE: _text_signature({CONTRACT_OUTPUT: to_json(contract)}),
    }
    if isinstance(contract.input, ImageInput) and contract.input.raw_signature is not None:
        signatures[contract.input.raw_signature] = raw_signature(contract.input, serving)
    if served := {SERVED[file].name: text for file, text in documents.items() if file in SERVED}:
        signatures[DOCUMENTS_SIGNATURE] = _text_signature(served)
    if mc_samples:
        signatures[MC_DROPOUT_SIGNATURE] = _mc_dropout_signature(model, contract, mc_samples)
    extra = (folder / CONTRACT_FILE).parent
    try:
        tf.saved_model.save(artefact, str(folder), signatures)
        extra.mkdir()
        write_warmup(folder / WARMUP_FILE, contract)
    except tf.errors.OpError as error:  # TensorFlow writes files in C++: a full disk is no OSError there
        reason = str(error.message).rpartition("; ")[2].partition(" [Op:")[0]  # what the system said, after the path
        raise CannotWrite(f"nothing was published: {folder}: cannot be written: {reason}") from error
    for name, text in {**documents, CONTRACT_FILE.name: to_json(contract)}.items():
        (extra / name).write_text(text, encoding="utf-8")


def _serving_signature(model: Model, contract: ModelContract) -> Any:
    """Model tensors -> output tensors, both by the names of the contract."""

    def serve(tensors: dict[str, Any]) -> dict[str, Any]:
        answers = by_name(model(call_inputs(tensors), training=False), contract.output.tensor)
        return {name: answers[name] for name in output_tensors(contract.output, contract.domain)}

    return tf.function(serve, input_signature=[_input_specs(contract)])


def _mc_dropout_signature(model: Model, contract: ModelContract, samples: int) -> Any:
    """The same tensors -> the main output's mean and spread over so many passes with dropout on."""
    doubting, output = with_dropout_on(model), contract.output.tensor

    def serve(tensors: dict[str, Any]) -> dict[str, Any]:
        return mean_and_spread(doubting, tensors, output, samples)

    return tf.function(serve, input_signature=[_input_specs(contract)])


def _input_specs(contract: ModelContract) -> dict[str, Any]:
    return {
        name: tf.TensorSpec((None, *shape), tf.float32, name=name)
        for name, shape in tensor_shapes(contract.input).items()
    }


def _text_signature(texts: Mapping[str, str]) -> Any:
    """probe int32 (n,) -> strings (n,) by output name, each element the text."""

    def answer(probe: Any) -> dict[str, Any]:
        with tf.device("/CPU:0"):  # strings have no GPU kernels
            return {name: tf.fill(tf.shape(probe), tf.constant(text)) for name, text in texts.items()}

    return tf.function(answer, input_signature=[tf.TensorSpec((None,), tf.int32, name=CONTRACT_PROBE)])
