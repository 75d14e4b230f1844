"""MultiInference: several signatures of one model on the same tf.Examples, in one run.

The order of checks and every text are those of tensorflow_serving/servables/tensorflow/multi_inference.cc.
"""

from typing import Any

from tensorflow_serving.apis import inference_pb2

from serving.model_server import metrics
from serving.model_server.classify import CLASSIFY
from serving.model_server.example_input import serialized_examples
from serving.model_server.example_method import INPUTS, ExampleMethod
from serving.model_server.predict import fill_model_spec
from serving.model_server.regress import REGRESS
from serving.model_server.servable import DEFAULT_SIGNATURE, Servable
from serving.model_server.status import Code, StatusError, invalid_argument

_Task = tuple[Any, ExampleMethod]  # SignatureDef and what to do with it
_METHODS = {method.name: method for method in (CLASSIFY, REGRESS)}
_RESULT_FIELDS = {CLASSIFY.name: "classification_result", REGRESS.name: "regression_result"}


def run_multi_inference(
    servable: Servable, request: inference_pb2.MultiInferenceRequest, timeout_s: float | None
) -> inference_pb2.MultiInferenceResponse:
    """Answer a MultiInferenceRequest; results come in the order of the tasks."""
    signatures = _signatures(servable, request)
    examples = serialized_examples(request.input)
    feeds = {signature.inputs[INPUTS].name: examples for signature, _ in signatures.values()}
    fetches = sorted({name for signature, method in signatures.values() for name in method.outputs(signature)})
    tensors = dict(zip(fetches, servable.runner.run(feeds, fetches, timeout_s), strict=True))
    metrics.request_example_counts.add(len(examples), servable.id.name)
    metrics.request_example_count_total.increment(servable.id.name, by=len(examples))
    response = inference_pb2.MultiInferenceResponse()
    for task, (name, (signature, method)) in zip(request.tasks, signatures.items(), strict=True):
        result = response.results.add()
        method.fill(getattr(result, _RESULT_FIELDS[method.name]), signature, tensors, len(examples))
        fill_model_spec(result.model_spec, task.model_spec.name, servable.id.version, name)
    return response


def _signatures(servable: Servable, request: inference_pb2.MultiInferenceRequest) -> dict[str, _Task]:
    """Signature name -> SignatureDef and method, checked task by task."""
    found: dict[str, _Task] = {}
    for task in request.tasks:
        if not task.model_spec.name:
            raise invalid_argument("Found ModelSpec with an empty model name.")
        if task.model_spec.name != request.tasks[0].model_spec.name:
            raise invalid_argument("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if name in found:
            raise invalid_argument(f"Duplicate evaluation of signature: {name}")
        if name not in servable.signatures:
            raise invalid_argument(f"Requested signature not found in model graph: {name}")
        method = _METHODS.get(task.method_name)
        if method is None:
            raise StatusError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")
        method.check(servable, servable.signatures[name])
        found[name] = (servable.signatures[name], method)
    return found
