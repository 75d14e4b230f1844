"""An artefact's digest: the same weights with the same promise have the same one, on any machine, at any time."""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from serving.contract import ModelContract, to_json
from training.models import Model

Weights = Mapping[str, npt.NDArray[Any]]

# Where export.py hangs the weights in the SavedModel, as checkpoints spell it. A "/" inside a name would be escaped.
WEIGHTS_NODE = "weights"
_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


def digest_of(weights: Weights, contract: ModelContract) -> str:
    """sha256 over every weight (name, dtype, shape, bytes; sorted by name) and the contract with an empty digest."""
    sha = hashlib.sha256()
    for name in sorted(weights):
        array = np.asarray(weights[name])
        sha.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        sha.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    sha.update(to_json(dataclasses.replace(contract, digest="")).encode())
    return f"sha256:{sha.hexdigest()}"


def weight_variables(model: Model) -> dict[str, Any]:
    """The model's tf.Variables by the names they have in a checkpoint of ours."""
    return {weight.path.replace("/", ":"): weight.value for weight in model.weights}


def model_weights(model: Model) -> Weights:
    """The weights of a model in memory."""
    return {name: variable.numpy() for name, variable in weight_variables(model).items()}


def saved_weights(version: Path) -> Weights:
    """The weights of a SavedModel on disk, as its checkpoint has them."""
    checkpoint = tf.train.load_checkpoint(str(version / "variables" / "variables"))
    prefix = f"{WEIGHTS_NODE}/"
    return {
        key.removeprefix(prefix).removesuffix(_SUFFIX): checkpoint.get_tensor(key)
        for key in checkpoint.get_variable_to_shape_map()
        if key.startswith(prefix) and key.endswith(_SUFFIX)
    }
