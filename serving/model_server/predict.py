"""Predict: a PredictRequest in, a PredictResponse out, on a servable already found. Pure but for the run.

The order of checks and every text are those of tensorflow_serving/servables/tensorflow/predict_util.cc.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tensorflow_serving.apis import predict_pb2

from serving.model_server import metrics
from serving.model_server.servable import DEFAULT_SIGNATURE, Servable, Signature
from serving.model_server.status import Code, StatusError, invalid_argument
from serving.model_server.tensors import Array, TensorParsingError, fill_proto, to_array

_METHODS = ("tensorflow/serving/predict", "tensorflow/serving/classify", "tensorflow/serving/regress")


@dataclass(frozen=True)
class Step:
    """A run of a signature, checked and ready."""

    signature_name: str
    feeds: Mapping[str, Array]  # by tensor name
    fetches: Sequence[str]  # tensor names
    outputs: Sequence[tuple[str, int]]  # of the fetches: output name, tensorflow.DataType

    def prediction(self, arrays: Sequence[Array]) -> "Prediction":
        """What the run gave, under the names of the signature."""
        outputs = zip(self.outputs, arrays, strict=True)
        return Prediction(self.signature_name, {alias: (array, dtype) for (alias, dtype), array in outputs})


@dataclass(frozen=True)
class Prediction:
    """What running a signature gave."""

    signature_name: str
    outputs: Mapping[str, tuple[Array, int]]  # output name -> array, tensorflow.DataType


def predict(
    servable: Servable,
    signature_name: str,
    inputs: Mapping[str, Any],
    *,
    read: Callable[[Any], Array],
    output_filter: Sequence[str] = (),
    timeout_s: float | None = None,
) -> Prediction:
    """Run one signature; `timeout_s` is how long the graph may. The rest as for `prepare`."""
    step = prepare(servable, signature_name, inputs, read=read, output_filter=output_filter)
    with metrics.run_of(servable.id.name, "Predict"):
        arrays = servable.runner.run(step.feeds, step.fetches, timeout_s)
    return step.prediction(arrays)


def prepare(
    servable: Servable,
    signature_name: str,
    inputs: Mapping[str, Any],
    *,
    read: Callable[[Any], Array],
    output_filter: Sequence[str] = (),
) -> Step:
    """Check what is asked of a signature.

    Args:
        inputs: input name -> a value that `read` turns into an array.
        output_filter: the outputs wanted, in that order; all if empty.
    """
    name = signature_name or DEFAULT_SIGNATURE
    signature = servable.predict_signatures.get(name)
    if signature is None:
        raise StatusError(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
    if servable.checks_method_names:
        _check_method_name(signature)
    feeds = _feeds(signature, inputs, read)
    aliases = _output_aliases(signature, output_filter)
    fetches, dtypes = zip(*(signature.outputs[alias] for alias in aliases), strict=True) if aliases else ((), ())
    return Step(name, feeds, fetches, list(zip(aliases, dtypes, strict=True)))


def run_predict(
    servable: Servable, request: predict_pb2.PredictRequest, timeout_s: float | None, *, as_content: bool = False
) -> predict_pb2.PredictResponse:
    """Answer a PredictRequest; `as_content` packs the outputs into `tensor_content`."""
    step = prepare_request(servable, request)
    with metrics.run_of(servable.id.name, "Predict"):
        arrays = servable.runner.run(step.feeds, step.fetches, timeout_s)
    return predict_response(servable, request.model_spec.name, step.prediction(arrays), as_content=as_content)


def prepare_request(servable: Servable, request: predict_pb2.PredictRequest) -> Step:
    """Check what a PredictRequest asks for."""
    return prepare(
        servable,
        request.model_spec.signature_name,
        request.inputs,
        read=to_array,
        output_filter=request.output_filter,
    )


def predict_response(
    servable: Servable, model: str, prediction: Prediction, *, as_content: bool
) -> predict_pb2.PredictResponse:
    """A prediction as a message."""
    response = predict_pb2.PredictResponse()
    fill_model_spec(response.model_spec, model, servable.id.version, prediction.signature_name)
    for alias, (array, dtype) in prediction.outputs.items():
        fill_proto(response.outputs[alias], array, dtype, as_content=as_content)
    return response


def fill_model_spec(spec: Any, model: str, version: int, signature: str = "") -> None:
    """What a reply says served it: the resolved version and signature, never a label."""
    spec.name = model
    spec.version.value = version
    spec.signature_name = signature


def _check_method_name(signature: Signature) -> None:
    if signature.method_name not in _METHODS:
        raise StatusError(
            Code.INTERNAL,
            f"Expected prediction signature method_name to be one of {{{', '.join(_METHODS)}}}. "
            f"Was: {signature.method_name}",
        )


def _feeds(signature: Signature, inputs: Mapping[str, Any], read: Callable[[Any], Array]) -> dict[str, Array]:
    """Tensor name -> array, from the request or else from the signature's defaults."""
    _check_input_count(signature, inputs)
    feeds, used = {}, []
    for alias, tensor_name in signature.inputs.items():
        if alias in inputs:
            used.append(alias)
            value = inputs[alias]
        elif alias in signature.defaults:
            value = signature.defaults[alias]
        else:
            raise invalid_argument(
                f"Signature input alias: {alias}(feed name: {tensor_name}) not found in request and no default value "
                f"provided. Inputs expected to be in the request {{{_joined(inputs)}}}, or default input alias set: "
                f"{_joined(signature.defaults)}"
            )
        try:
            feeds[tensor_name] = (read if alias in inputs else to_array)(value)
        except TensorParsingError as error:
            raise invalid_argument(f"tensor parsing error: {alias}") from error
    if len(used) < len(inputs):
        raise invalid_argument(
            f"Inputs contains invalid name. Used request inputs: {_joined(used)}, request input: {_joined(inputs)}"
        )
    return feeds


def _check_input_count(signature: Signature, inputs: Any) -> None:
    if len(inputs) == len(signature.inputs):
        return
    expected, came = set(signature.inputs), set(inputs)
    if len(came) > len(expected) or (len(came) < len(expected) and not signature.defaults):
        raise invalid_argument(
            f"input size does not match signature: {len(came)}!={len(expected)} len({{{_joined(came)}}}) != "
            f"len({{{_joined(expected)}}}). Sent extra: {{{_joined(came - expected)}}}. "
            f"Missing but required: {{{_joined(expected - came)}}}."
        )


def _output_aliases(signature: Signature, output_filter: Any) -> list[str]:
    """The outputs asked for, in that order; all of them if none is named."""
    seen: list[str] = []
    for alias in output_filter:
        if alias not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{{{_joined(signature.outputs)}}}."
            )
        if alias in seen:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
        seen.append(alias)
    return seen or list(signature.outputs)


def _joined(names: Iterable[str]) -> str:
    return ",".join(sorted(names))
