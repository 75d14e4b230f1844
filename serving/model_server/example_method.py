"""A method that runs a signature on tf.Examples, and what its calls have in common. Classify and Regress are the two.

After the parts that classifier.cc and regressor.cc share.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from serving.model_server import metrics
from serving.model_server.example_input import serialized_examples
from serving.model_server.predict import fill_model_spec
from serving.model_server.servable import DEFAULT_SIGNATURE, Servable
from serving.model_server.status import invalid_argument
from serving.model_server.tensors import Array

INPUTS = "inputs"  # the one input that such a signature has: serialized tf.Examples, (batch,)


@dataclass(frozen=True)
class ExampleMethod:
    """What a signature must be for a method, and what its outputs mean."""

    name: str  # as a SignatureDef and an InferenceTask name it
    api: str  # as the metrics name it
    noun: str  # as errors name it
    check_signature: Callable[[Any], None]
    outputs: Callable[[Any], list[str]]  # SignatureDef -> tensors to fetch
    fill: Callable[[Any, Any, Mapping[str, Array], int], None]  # result, SignatureDef, tensors, number of examples

    def check(self, servable: Servable, signature: Any) -> None:
        """Refuse a signature that is no good for this method."""
        if servable.checks_method_names and signature.method_name != self.name:
            raise invalid_argument(
                f"Expected {self.noun} signature method_name to be {self.name}. Was: {signature.method_name}"
            )
        self.check_signature(signature)


def run_method(method: ExampleMethod, servable: Servable, request: Any, response: Any, timeout_s: float | None) -> None:
    """Answer a request of a `model_spec` and an `input`; the response has a `model_spec` and a `result`."""
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(name)
    if signature is None:
        raise invalid_argument(f"No signature was found with the name: {name}")
    method.check(servable, signature)
    examples = serialized_examples(request.input)
    names = method.outputs(signature)
    with metrics.run_of(servable.id.name, method.api):
        arrays = servable.runner.run({signature.inputs[INPUTS].name: examples}, names, timeout_s)
    fill_model_spec(response.model_spec, request.model_spec.name, servable.id.version, name)
    method.fill(response.result, signature, dict(zip(names, arrays, strict=True)), len(examples))
