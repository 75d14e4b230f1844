"""Regress: tf.Examples in, one number an example out, on a servable already found.

The order of checks and every text are those of tensorflow_serving/servables/tensorflow/regressor.cc.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorflow_serving.apis import regression_pb2

from serving.model_server.example_method import INPUTS, ExampleMethod, run_method
from serving.model_server.servable import Servable
from serving.model_server.status import invalid_argument
from serving.model_server.tensors import Array, array_dtype_name, shape_text

OUTPUTS = "outputs"


def run_regress(
    servable: Servable, request: regression_pb2.RegressionRequest, timeout_s: float | None
) -> regression_pb2.RegressionResponse:
    """Answer a RegressionRequest."""
    response = regression_pb2.RegressionResponse()
    run_method(REGRESS, servable, request, response, timeout_s)
    return response


def _check(signature: Any) -> None:
    """Whether the signature can regress: one input `inputs`, one output `outputs`."""
    if len(signature.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise invalid_argument("Expected one output Tensor.")
    if INPUTS not in signature.inputs:
        raise invalid_argument(f"No regression inputs found in SignatureDef: {signature}")
    if OUTPUTS not in signature.outputs:
        raise invalid_argument(f"No regression outputs found in SignatureDef: {signature}")


def _outputs(signature: Any) -> list[str]:
    """The tensors to fetch."""
    return [signature.outputs[OUTPUTS].name]


def _fill(result: Any, signature: Any, tensors: Mapping[str, Array], num_examples: int) -> None:
    """Write one Regression an example.

    Args:
        tensors: tensor name -> array; the output's of shape (num_examples,) or (num_examples, 1).
    """
    array = tensors[signature.outputs[OUTPUTS].name]
    if array.ndim != 1 and array.shape[1:] != (1,):
        raise invalid_argument(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
            f"{shape_text(array.shape)}"
        )
    if array.shape[0] != num_examples:
        raise invalid_argument(f"Input batch size did not match output batch size: {num_examples} vs. {array.shape[0]}")
    if array.dtype != np.float32:
        raise invalid_argument(f"Expected output Tensor of DT_FLOAT.  Got: {array_dtype_name(array)}")
    for value in array.ravel().tolist():
        result.regressions.add(value=value)


REGRESS = ExampleMethod("tensorflow/serving/regress", "Regress", "regression", _check, _outputs, _fill)
