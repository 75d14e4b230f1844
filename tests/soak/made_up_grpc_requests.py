"""gRPC requests: good ones with odd values, and anything."""

from typing import Any

from hypothesis import strategies as st
from tensorflow.core.example import example_pb2, feature_pb2
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    input_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from tests.soak.made_up_values import INPUTS, MODELS, SIGNATURES, float32s, int32s, int64s, rows_of

specs = st.builds(model_pb2.ModelSpec, name=st.sampled_from([*MODELS, ""]), signature_name=st.sampled_from(SIGNATURES))
# Shapes in between would be answered too, but with gigabytes of zeros.
sizes = st.sampled_from([-1, 0, 1, 1, 2, 2, 3, 7, 100, 2**40, 2**62])


@st.composite
def tensors(draw: st.DrawFn) -> tensor_pb2.TensorProto:
    """A TensorProto: any dtype, a shape, and values in one field or more, which need not fit."""
    proto = tensor_pb2.TensorProto(dtype=draw(st.sampled_from([1, 1, 3, 7, 9]) | st.integers(0, 30)))  # type: ignore[arg-type]
    for size in draw(st.lists(sizes, max_size=3)):
        proto.tensor_shape.dim.add(size=size)
    proto.float_val.extend(draw(st.lists(st.floats(width=32), max_size=4)))
    for field, elements in (
        ("int_val", st.integers(-(2**31), 2**31 - 1)),
        ("int64_val", int64s),
        ("string_val", st.binary(max_size=4)),
        ("bool_val", st.booleans()),
        ("half_val", st.integers(0, 2**31 - 1)),
    ):
        if draw(st.integers(0, 3)) == 0:
            getattr(proto, field).extend(draw(st.lists(elements, max_size=4)))
    if draw(st.integers(0, 4)) == 0:
        proto.tensor_content = draw(st.binary(max_size=16))
    return proto


@st.composite
def inputs(draw: st.DrawFn) -> input_pb2.Input:
    """Examples whose features are of any kind."""
    message = input_pb2.Input()
    for _ in range(draw(st.integers(0, 3))):
        example = message.example_list.examples.add()
        kind = draw(st.sampled_from(["float_list", "int64_list", "bytes_list", "none"]))
        feature = feature_pb2.Feature()
        if kind != "none":
            elements = {"float_list": st.floats(width=32), "int64_list": int64s, "bytes_list": st.binary(max_size=4)}
            getattr(feature, kind).value.extend(draw(st.lists(elements[kind], max_size=3)))
        example.features.feature[draw(st.sampled_from(INPUTS))].CopyFrom(feature)
    return message


tasks = st.lists(
    st.builds(
        inference_pb2.InferenceTask,
        model_spec=specs,
        method_name=st.sampled_from(["tensorflow/serving/classify", "tensorflow/serving/regress", "x", ""]),
    ),
    max_size=3,
)
any_grpc_requests = st.one_of(
    st.builds(
        predict_pb2.PredictRequest,
        model_spec=specs,
        inputs=st.dictionaries(st.sampled_from(INPUTS), tensors(), max_size=2),
        output_filter=st.lists(st.sampled_from(["y", "sum", ""]), max_size=2),
    ),
    st.builds(classification_pb2.ClassificationRequest, model_spec=specs, input=inputs()),
    st.builds(regression_pb2.RegressionRequest, model_spec=specs, input=inputs()),
    st.builds(inference_pb2.MultiInferenceRequest, tasks=tasks, input=inputs()),
    st.builds(
        get_model_metadata_pb2.GetModelMetadataRequest,
        model_spec=specs,
        metadata_field=st.lists(st.sampled_from(["signature_def", "x"]), max_size=2),
    ),
    st.builds(get_model_status_pb2.GetModelStatusRequest, model_spec=specs),
)


def good_predict(model: str, signature: str, dtype: str, element: Any, *names: str) -> st.SearchStrategy[Any]:
    """Tensors of the right dtype and of one shape, with any values."""

    def request(items: list[tuple[Any, ...]], columns: int) -> predict_pb2.PredictRequest:
        made = predict_pb2.PredictRequest()
        made.model_spec.name, made.model_spec.signature_name = model, signature
        for name, values in zip(names, zip(*items, strict=True), strict=True):
            tensor = made.inputs[name]
            tensor.dtype = types_pb2.DataType.Value(f"DT_{dtype}")
            for size in (len(items), columns):
                tensor.tensor_shape.dim.add(size=size)
            getattr(tensor, FIELDS[dtype]).extend(value for value in values for _ in range(columns))
        return made

    # a row of width 2 fits every model here, row_times_two too
    return st.builds(request, rows_of(st.tuples(*[element] * len(names))), st.just(2))


FIELDS = {"FLOAT": "float_val", "INT64": "int64_val", "STRING": "string_val", "INT32": "int_val", "INT8": "int_val"}
good_examples = st.builds(
    lambda numbers: input_pb2.Input(
        example_list=input_pb2.ExampleList(
            examples=[example_pb2.Example() if number is None else example_of(number) for number in numbers]
        )
    ),
    rows_of(st.none() | float32s),
)


def example_of(number: float) -> Any:
    example = example_pb2.Example()
    example.features.feature["x"].float_list.value.append(number)
    return example


def half(signature: str) -> model_pb2.ModelSpec:
    return model_pb2.ModelSpec(name="half_plus_two", signature_name=signature)


good_grpc_requests = st.one_of(
    good_predict("half_plus_two", "", "FLOAT", float32s, "x"),
    good_predict("two_versions", "serving_default", "FLOAT", float32s, "x"),
    good_predict("sum_and_diff", "", "FLOAT", float32s, "a", "b"),
    good_predict("shout", "", "STRING", st.binary(max_size=8), "s"),
    good_predict("next_number", "", "INT64", int64s, "n"),
    good_predict("next_number", "echo_int8", "INT8", int32s, "value"),
    good_predict("row_times_two", "", "FLOAT", float32s, "x"),
    good_predict("half_plus_two", "contract", "INT32", int32s, "probe"),
    good_predict("half_in_both", "", "FLOAT", float32s, "serving_default_x"),
    good_predict("tflite_with_signature", "halve", "FLOAT", float32s, "x"),
    st.builds(classification_pb2.ClassificationRequest, model_spec=st.just(half("classify")), input=good_examples),
    st.builds(regression_pb2.RegressionRequest, model_spec=st.just(half("regress")), input=good_examples),
    st.builds(
        inference_pb2.MultiInferenceRequest,
        tasks=st.just(
            [
                inference_pb2.InferenceTask(model_spec=half(verb), method_name=f"tensorflow/serving/{verb}")
                for verb in ("regress", "classify")
            ]
        ),
        input=good_examples,
    ),
    st.builds(
        get_model_metadata_pb2.GetModelMetadataRequest,
        model_spec=st.just(half("")),
        metadata_field=st.just(["signature_def"]),
    ),
    st.builds(get_model_status_pb2.GetModelStatusRequest, model_spec=st.just(half(""))),
)
