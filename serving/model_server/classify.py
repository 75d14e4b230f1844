"""Classify: tf.Examples in, labels and scores out, on a servable already found.

The order of checks and every text are those of tensorflow_serving/servables/tensorflow/classifier.cc.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorflow_serving.apis import classification_pb2

from serving.model_server.example_method import INPUTS, ExampleMethod, run_method
from serving.model_server.servable import Servable
from serving.model_server.status import invalid_argument
from serving.model_server.tensors import Array, array_dtype_name, shape_text

CLASSES, SCORES = "classes", "scores"


def run_classify(
    servable: Servable, request: classification_pb2.ClassificationRequest, timeout_s: float | None
) -> classification_pb2.ClassificationResponse:
    """Answer a ClassificationRequest."""
    response = classification_pb2.ClassificationResponse()
    run_method(CLASSIFY, servable, request, response, timeout_s)
    return response


def _check(signature: Any) -> None:
    """Whether the signature can classify: one input `inputs`, outputs `classes` or `scores`."""
    if len(signature.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise invalid_argument(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if INPUTS not in signature.inputs:
        raise invalid_argument(f"No classification inputs found in SignatureDef: {signature}")
    if CLASSES not in signature.outputs and SCORES not in signature.outputs:
        raise invalid_argument(
            'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            f"Signature was: {signature}"
        )


def _outputs(signature: Any) -> list[str]:
    """The tensors to fetch."""
    return [signature.outputs[alias].name for alias in (CLASSES, SCORES) if alias in signature.outputs]


def _fill(result: Any, signature: Any, tensors: Mapping[str, Array], num_examples: int) -> None:
    """Write one Classifications an example.

    Args:
        tensors: tensor name -> array, each of shape (num_examples, number of classes).
    """
    classes = _output(signature, CLASSES, tensors, num_examples, np.dtype(object))
    scores = _output(signature, SCORES, tensors, num_examples, np.dtype(np.float32))
    if classes is not None and scores is not None and classes.shape[1] != scores.shape[1]:
        raise invalid_argument(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    labels = None if classes is None else classes.tolist()
    numbers = None if scores is None else scores.tolist()
    width = (classes if classes is not None else scores).shape[1]  # type: ignore[union-attr]
    for example in range(num_examples):
        item = result.classifications.add()
        for index in range(width):
            one = item.classes.add()
            if labels is not None:
                # a proto3 string; bytes that are no UTF-8 cannot be one in Python
                one.label = labels[example][index].decode("utf-8", "replace")
            if numbers is not None:
                one.score = numbers[example][index]


def _output(
    signature: Any, alias: str, tensors: Mapping[str, Array], num_examples: int, dtype: np.dtype[Any]
) -> Array | None:
    if alias not in signature.outputs:
        return None
    array = tensors[signature.outputs[alias].name]
    if array.ndim != 2:
        raise invalid_argument(f"Expected Tensor shape: [batch_size num_classes] but got {shape_text(array.shape)}")
    if array.dtype != dtype:
        expected = "DT_STRING" if alias == CLASSES else "DT_FLOAT"
        raise invalid_argument(f"Expected {alias} Tensor of {expected}. Got: {array_dtype_name(array)}")
    if array.shape[0] != num_examples:
        raise invalid_argument(f"Expected {alias} output batch size of {num_examples}. Got: {array.shape[0]}")
    return array


CLASSIFY = ExampleMethod("tensorflow/serving/classify", "Classify", "classification", _check, _outputs, _fill)
