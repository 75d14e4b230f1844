"""`Input` messages → a vector of serialized tf.Examples, as Classify, Regress and MultiInference feed it. Pure.

After InputToSerializedExampleTensor in tensorflow_serving/servables/tensorflow/util.cc.
"""

import numpy as np
from tensorflow_serving.apis import input_pb2

from serving.model_server.status import invalid_argument
from serving.model_server.tensors import Array


def serialized_examples(input_: input_pb2.Input) -> Array:
    """The examples, each a string; the context's bytes go in front of each, which protobuf reads as a merge."""
    context = b""
    examples = input_.example_list.examples
    if input_.WhichOneof("kind") == "example_list_with_context":
        context = input_.example_list_with_context.context.SerializeToString()
        examples = input_.example_list_with_context.examples
    if not examples:
        raise invalid_argument("Input is empty.")
    array = np.empty(len(examples), object)
    array[:] = [context + example.SerializeToString() for example in examples]
    return array
