"""gRPC: the rows of sections 2.1 to 2.5 of the TensorFlow Serving reference, through the official stubs."""

# ruff: noqa: E501 (the texts of the wire are given whole)

from collections.abc import Callable
from typing import Any

import grpc
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    input_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from tests.conformance.rows import row
from tests.model_server_process import ModelServerClient
from tests.tiny_models import CONTRACT, ECHO_DTYPES, predict_request


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    """The code and the text that a call fails with."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value.code().name, caught.value.details()


def predict(server: ModelServerClient, *arguments: Any, **inputs: Any) -> predict_pb2.PredictResponse:
    return server.prediction.Predict(predict_request(*arguments, **inputs), timeout=60)


def of(
    message: tensor_pb2.TensorProto, model: str = "half_plus_two", signature: str = "", name: str = "x"
) -> predict_pb2.PredictRequest:
    request = predict_request(model, signature)
    request.inputs[name].CopyFrom(message)
    return request


def floats(*values: float, shape: list[int] | None = None, **fields: Any) -> tensor_pb2.TensorProto:
    message = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=values, **fields)
    for size in shape or []:
        message.tensor_shape.dim.add(size=size)
    return message


# --- 2.3 Predict --------------------------------------------------------------------------------------------------


@row("2.3/1", "2.4/9")
def test_predict_answers_in_typed_fields(server: ModelServerClient) -> None:
    response = predict(server, "half_plus_two", x=[1.0, 2.0, 5.0])
    output = response.outputs["y"]
    assert list(output.float_val) == [2.5, 3.0, 4.5]
    assert output.tensor_content == b""
    assert [dim.size for dim in output.tensor_shape.dim] == [3]


@row("2.3/4")
def test_the_reply_names_the_resolved_version_and_signature(server: ModelServerClient) -> None:
    request = predict_request("two_versions", x=[2.0])
    request.model_spec.version_label = "stable"
    spec = server.prediction.Predict(request).model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("two_versions", 2, "serving_default")
    assert spec.WhichOneof("version_choice") == "version"


def test_latest_is_the_highest_available_version(server: ModelServerClient) -> None:
    response = predict(server, "two_versions", x=[2.0])
    assert (response.model_spec.version.value, list(response.outputs["y"].float_val)) == (3, [4.0])


def test_shapes_are_not_checked_against_the_signature(server: ModelServerClient) -> None:
    assert list(predict(server, "half_plus_two", x=[[1.0], [2.0]]).outputs["y"].float_val) == [2.5, 3.0]
    assert list(predict(server, "half_plus_two", x=2.0).outputs["y"].float_val) == [3.0]


@pytest.mark.parametrize("length", [0, 1, 5])
def test_the_contract_is_an_ordinary_signature(server: ModelServerClient, length: int) -> None:
    request = predict_request("half_plus_two", "contract")
    request.inputs["probe"].CopyFrom(tf.make_tensor_proto([0] * length, tf.int32, [length]))
    response = server.prediction.Predict(request)
    assert list(response.outputs["contract"].string_val) == [CONTRACT] * length


@row("2.3/6")
def test_a_signature_of_another_method_can_be_predicted_with(server: ModelServerClient) -> None:
    example = tf.train.Example()
    example.features.feature["x"].float_list.value.append(2.0)
    response = predict(server, "half_plus_two", "regress", inputs=[example.SerializeToString()])
    assert list(response.outputs["outputs"].float_val) == [3.0]


@row("2.3/3")
def test_output_filter_chooses_outputs(server: ModelServerClient) -> None:
    request = predict_request("sum_and_diff", a=[3.0], b=[1.0])
    request.output_filter.append("diff")
    assert {name: list(t.float_val) for name, t in server.prediction.Predict(request).outputs.items()} == {
        "diff": [2.0]
    }


@row("2.3/2")
def test_a_default_stands_in_for_a_missing_input(server: ModelServerClient) -> None:
    assert list(predict(server, "with_default", a=[3.0]).outputs["sum"].float_val) == [4.0]
    assert list(predict(server, "with_default", a=[3.0], b=[2.0]).outputs["sum"].float_val) == [5.0]


def test_state_is_kept_between_calls(server: ModelServerClient) -> None:
    before = predict(server, "counter", "get_counter").outputs["output"].float_val[0]
    predict(server, "counter", "incr_counter")
    predict(server, "counter", "incr_counter")
    assert predict(server, "counter", "get_counter").outputs["output"].float_val[0] == before + 2


@row("2.4/9")
@pytest.mark.parametrize("dtype", ECHO_DTYPES)
def test_every_dtype_goes_in_and_out(server: ModelServerClient, dtype: str) -> None:
    values = {"string": [b"a", b"\xff"], "bool": [True, False]}.get(dtype, [1, 2])
    request = predict_request("next_number", f"echo_{dtype}")
    request.inputs["value"].CopyFrom(tf.make_tensor_proto(values, tf.as_dtype(dtype), [2]))
    output = server.prediction.Predict(request).outputs["value"]
    assert output.dtype == tf.as_dtype(dtype).as_datatype_enum
    assert tf.make_ndarray(output).tolist() == tf.make_ndarray(request.inputs["value"]).tolist()
    assert output.tensor_content == b""


# --- 2.4 tensor encodings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "outputs"),
    [
        pytest.param(floats(2, 4, 6, shape=[3]), [3, 4, 5], id="2.4/1 three-values"),
        pytest.param(tf.make_tensor_proto([2.0, 4.0, 6.0]), [3, 4, 5], id="2.4/1 content"),
        pytest.param(floats(2, shape=[3]), [3, 3, 3], id="2.4/2 one-value-fills"),
        pytest.param(floats(2, 4, shape=[3]), [3, 4, 4], id="2.4/3 the-last-value-fills"),
        pytest.param(floats(2, 4, 6, 8, shape=[3]), [3, 4, 5], id="2.4/4 too-many-are-ignored"),
        pytest.param(floats(shape=[3]), [2, 2, 2], id="2.4/5 none-are-zeros"),
        pytest.param(floats(2, 4), [3], id="2.4/6 no-shape-is-a-scalar"),
        pytest.param(floats(shape=[3], int_val=[4]), [2, 2, 2], id="2.4/8 another-types-field-is-ignored"),
    ],
)
def test_takes_tensors_as_c_plus_plus_does(
    server: ModelServerClient, message: tensor_pb2.TensorProto, outputs: list[float]
) -> None:
    assert list(server.prediction.Predict(of(message)).outputs["y"].float_val) == outputs


@row("2.5/11")
@pytest.mark.parametrize(
    "message",
    [
        pytest.param(floats(shape=[3], tensor_content=b"12345"), id="2.4/7 content-of-wrong-size"),
        pytest.param(floats(1, shape=[-1]), id="2.4/7 negative-dim"),
        pytest.param(tensor_pb2.TensorProto(), id="2.4/7 no-dtype"),
    ],
)
def test_refuses_malformed_tensors(server: ModelServerClient, message: tensor_pb2.TensorProto) -> None:
    refused = refusal(lambda: server.prediction.Predict(of(message)))
    assert refused == ("INVALID_ARGUMENT", "tensor parsing error: x")


# --- 2.5 failures -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        pytest.param(predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec", id="2.5/1 no-model-spec"),
        pytest.param(
            predict_request("", x=[1.0]), "INVALID_ARGUMENT", "ModelSpec has no name specified.", id="2.5/2 empty-name"
        ),
        pytest.param(
            predict_request("m", x=[1.0]),
            "NOT_FOUND",
            "Servable not found for request: Latest(m)",
            id="2.5/3 unknown-model",
        ),
        pytest.param(
            predict_request("half_plus_two", version=7, x=[1.0]),
            "NOT_FOUND",
            "Servable not found for request: Specific(half_plus_two, 7)",
            id="2.5/3 unknown-version",
        ),
        pytest.param(
            predict_request("half_plus_two", "S", x=[1.0]),
            "FAILED_PRECONDITION",
            'Serving signature key "S" not found.',
            id="2.5/5 unknown-signature",
        ),
        pytest.param(
            predict_request("half_plus_two", a=[1.0], b=[1.0]),
            "INVALID_ARGUMENT",
            "input size does not match signature: 2!=1 len({a,b}) != len({x}). Sent extra: {a,b}. Missing but required: {x}.",
            id="2.5/8 too-many-inputs",
        ),
        pytest.param(
            predict_request("half_plus_two"),
            "INVALID_ARGUMENT",
            "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}.",
            id="no-inputs",
        ),
        pytest.param(
            predict_request("half_plus_two", z=[1.0]),
            "INVALID_ARGUMENT",
            "Signature input alias: x(feed name: serving_default_x:0) not found in request and no default value provided. Inputs expected to be in the request {z}, or default input alias set: ",
            id="2.5/9 wrong-name",
        ),
        pytest.param(
            predict_request("with_default", a=[1.0], z=[1.0]),
            "INVALID_ARGUMENT",
            "Inputs contains invalid name. Used request inputs: a, request input: a,z",
            id="2.5/10 leftover-name",
        ),
        pytest.param(
            predict_request("half_plus_two", x=["a"]),
            "INVALID_ARGUMENT",
            "Expects arg[0] to be float but string is provided",
            id="2.5/12 wrong-dtype",
        ),
        pytest.param(
            predict_request("sum_and_diff", a=[1.0], b=[1]),
            "INVALID_ARGUMENT",
            "Expects arg[1] to be float but int32 is provided",
            id="2.5/12 wrong-dtype-of-the-second",
        ),
    ],
)
def test_refuses(server: ModelServerClient, request_: predict_pb2.PredictRequest, code: str, text: str) -> None:
    assert refusal(lambda: server.prediction.Predict(request_)) == (code, text)
    assert refusal(lambda: server.prediction.Predict(request_, timeout=60)) == (code, text)


@row("2.5/4")
def test_unknown_label(server: ModelServerClient) -> None:
    request = predict_request("two_versions", x=[1.0])
    request.model_spec.version_label = "L"
    assert refusal(lambda: server.prediction.Predict(request)) == (
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: L",
    )


@row("2.5/13")
@pytest.mark.parametrize("timeout", [None, 60])
def test_a_shape_the_graph_refuses_gets_the_words_of_the_op(server: ModelServerClient, timeout: float | None) -> None:
    request = predict_request("row_times_two", x=[[1.0, 2.0, 3.0]])
    code, text = refusal(lambda: server.prediction.Predict(request, timeout=timeout))
    assert code == "INVALID_ARGUMENT"
    assert text.startswith("Matrix size-incompatible: In[0]: [1,3], In[1]: [2,2]\n\t [[{{")


@row("2.5/14")
@pytest.mark.parametrize(
    ("aliases", "text"),
    [
        (["z"], "output tensor alias not found in signature: z Outputs expected to be in the set {diff,sum}."),
        (["sum", "sum"], "duplicate output tensor alias: sum"),
    ],
)
def test_refuses_output_filters(server: ModelServerClient, aliases: list[str], text: str) -> None:
    request = predict_request("sum_and_diff", a=[3.0], b=[1.0])
    request.output_filter.extend(aliases)
    assert refusal(lambda: server.prediction.Predict(request)) == ("INVALID_ARGUMENT", text)


@row("2.5/24")
def test_long_texts_are_cut(server: ModelServerClient) -> None:
    code, text = refusal(lambda: predict(server, "m" * 2000, x=[1.0]))
    expected = ("Servable not found for request: Latest(" + "m" * 2000)[:1024] + "...TRUNCATED"
    assert (code, text) == ("NOT_FOUND", expected)


@row("2.3/5", "2.5/22")
def test_a_deadline_ends_the_run(server: ModelServerClient) -> None:
    request = predict_request("wait", seconds=[30.0])
    assert refusal(lambda: server.prediction.Predict(request, timeout=0.5))[0] == "DEADLINE_EXCEEDED"


# --- 2.3 GetModelStatus, GetModelMetadata -------------------------------------------------------------------------


def status_request(name: str, version: int | None = None) -> get_model_status_pb2.GetModelStatusRequest:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = name
    if version is not None:
        request.model_spec.version.value = version
    return request


@row("2.3/12")
def test_status_lists_versions_newest_first(server: ModelServerClient) -> None:
    response = server.model.GetModelStatus(status_request("two_versions"))
    states = [(item.version, item.state, item.status.error_code) for item in response.model_version_status]
    assert states == [(3, 30, 0), (2, 30, 0)]


@row("2.3/12")
def test_status_of_one_version(server: ModelServerClient) -> None:
    response = server.model.GetModelStatus(status_request("two_versions", 2))
    assert [item.version for item in response.model_version_status] == [2]


@row("2.3/12")
def test_status_ignores_the_label(server: ModelServerClient) -> None:
    request = status_request("two_versions")
    request.model_spec.version_label = "unheard-of"
    assert len(server.model.GetModelStatus(request).model_version_status) == 2


@row("2.5/3")
@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (get_model_status_pb2.GetModelStatusRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (status_request(""), "NOT_FOUND", "Could not find any versions of model "),
        (status_request("m"), "NOT_FOUND", "Could not find any versions of model m"),
        (status_request("two_versions", 7), "NOT_FOUND", "Could not find version 7 of model two_versions"),
    ],
)
def test_status_refuses(server: ModelServerClient, request_: Any, code: str, text: str) -> None:
    assert refusal(lambda: server.model.GetModelStatus(request_)) == (code, text)


def metadata_request(name: str, *fields: str) -> get_model_metadata_pb2.GetModelMetadataRequest:
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = name
    return request


@row("2.3/11")
def test_metadata_holds_every_signature_whole(server: ModelServerClient) -> None:
    response = server.prediction.GetModelMetadata(metadata_request("with_default", "signature_def"))
    assert (response.model_spec.name, response.model_spec.version.value, response.model_spec.signature_name) == (
        "with_default",
        1,
        "",
    )
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    signature = signatures.signature_def["serving_default"]
    assert set(signature.inputs) == {"a", "b"}
    assert set(signature.defaults) == {"b"}


@row("2.5/20")
@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (get_model_metadata_pb2.GetModelMetadataRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
        (
            metadata_request("half_plus_two"),
            "INVALID_ARGUMENT",
            "GetModelMetadataRequest must specify at least one metadata_field",
        ),
        (metadata_request("half_plus_two", "F"), "INVALID_ARGUMENT", "Metadata field F is not supported"),
        (metadata_request("m", "signature_def"), "NOT_FOUND", "Servable not found for request: Latest(m)"),
    ],
)
def test_metadata_refuses(server: ModelServerClient, request_: Any, code: str, text: str) -> None:
    assert refusal(lambda: server.prediction.GetModelMetadata(request_)) == (code, text)


# --- 2.1 services -------------------------------------------------------------------------------------------------


def test_session_run_is_not_registered(server: ModelServerClient) -> None:
    call = server.channel.unary_unary("/tensorflow.serving.SessionService/SessionRun")
    assert refusal(lambda: call(b""))[0] == "UNIMPLEMENTED"


def test_large_messages_are_taken(server: ModelServerClient) -> None:
    values = tf.zeros([3 * 1024 * 1024]).numpy()  # 12 MiB; gRPC's own limit is 4
    assert len(predict(server, "half_plus_two", x=values).outputs["y"].float_val) == len(values)


@row("2.5/21")
def test_reload_refuses_an_empty_config(server: ModelServerClient) -> None:
    refused = refusal(lambda: server.model.HandleReloadConfigRequest(model_management_pb2.ReloadConfigRequest()))
    assert refused == (
        "INVALID_ARGUMENT",
        "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently supported",
    )


# --- 2.3 and 2.5: Classify, Regress, MultiInference ---------------------------------------------------------------


def examples(*values: float, context: float | None = None) -> input_pb2.Input:
    """tf.Examples with a feature x; or, with a context, empty ones that take x from it."""
    message = input_pb2.Input()
    target = message.example_list
    if context is not None:
        target = message.example_list_with_context
        target.context.features.feature["x"].float_list.value.append(context)
        target.examples.add()
    for value in values:
        target.examples.add().features.feature["x"].float_list.value.append(value)
    return message


def classify_request(signature: str = "classify", input_: Any = None, model: str = "half_plus_two") -> Any:
    request = classification_pb2.ClassificationRequest(input=examples(2.0, 4.0) if input_ is None else input_)
    request.model_spec.name, request.model_spec.signature_name = model, signature
    return request


def regress_request(signature: str = "regress", input_: Any = None, model: str = "half_plus_two") -> Any:
    request = regression_pb2.RegressionRequest(input=examples(2.0, 4.0) if input_ is None else input_)
    request.model_spec.name, request.model_spec.signature_name = model, signature
    return request


@row("2.3/7", "2.3/9")
def test_classify_gives_labels_and_scores(server: ModelServerClient) -> None:
    response = server.prediction.Classify(classify_request())
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("half_plus_two", 1, "classify")
    classes = [[(c.label, c.score) for c in item.classes] for item in response.result.classifications]
    assert classes == [[("up", 3.0), ("down", -3.0)], [("up", 4.0), ("down", -4.0)]]


def test_classify_without_labels_leaves_them_empty(server: ModelServerClient) -> None:
    response = server.prediction.Classify(classify_request("classify_scores"))
    assert [[(c.label, c.score) for c in item.classes] for item in response.result.classifications] == [
        [("", 3.0)],
        [("", 4.0)],
    ]


@row("2.3/8", "2.3/9")
def test_regress_gives_a_number_an_example(server: ModelServerClient) -> None:
    response = server.prediction.Regress(regress_request())
    assert [item.value for item in response.result.regressions] == [3.0, 4.0]
    assert response.model_spec.signature_name == "regress"


def test_a_context_is_part_of_every_example(server: ModelServerClient) -> None:
    response = server.prediction.Regress(regress_request(input_=examples(6.0, context=2.0)))
    assert [item.value for item in response.result.regressions] == [3.0, 5.0]


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        pytest.param(classification_pb2.ClassificationRequest(), "Missing ModelSpec", id="2.5/1 no-model-spec"),
        pytest.param(classify_request("S"), "No signature was found with the name: S", id="2.5/6 unknown-signature"),
        pytest.param(classify_request("", model="sum_and_diff"), "Expected one input Tensor.", id="2.5/15 two-inputs"),
        pytest.param(
            classify_request("", model="half_plus_two"),
            "No classification inputs found in SignatureDef: ",
            id="no-inputs",
        ),
        pytest.param(
            classify_request("regress"),
            'Expected classification signature outputs to contain at least one of "classes" or "scores". Signature was: ',
            id="2.5/15 no-classes",
        ),
        pytest.param(classify_request(input_=input_pb2.Input()), "Input is empty.", id="2.5/17 no-examples"),
        pytest.param(
            classify_request("classify_vector"),
            "Expected Tensor shape: [batch_size num_classes] but got [2]",
            id="2.5/16 rank-1",
        ),
    ],
)
def test_classify_refuses(server: ModelServerClient, request_: Any, text: str) -> None:
    code, details = refusal(lambda: server.prediction.Classify(request_))
    assert code == "INVALID_ARGUMENT"
    assert details.startswith(text)


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        pytest.param(regression_pb2.RegressionRequest(), "Missing ModelSpec", id="2.5/1 no-model-spec"),
        pytest.param(regress_request("S"), "No signature was found with the name: S", id="2.5/6 unknown-signature"),
        pytest.param(regress_request("", model="sum_and_diff"), "Expected one input Tensor.", id="2.5/15 two-inputs"),
        pytest.param(regress_request("classify"), "Expected one output Tensor.", id="2.5/15 two-outputs"),
        pytest.param(
            regress_request("classify_scores"), "No regression outputs found in SignatureDef: ", id="2.5/15 no-outputs"
        ),
        pytest.param(regress_request(input_=input_pb2.Input()), "Input is empty.", id="2.5/17 no-examples"),
        pytest.param(
            regress_request("regress_wide"),
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [2,2]",
            id="2.5/16 too-wide",
        ),
        pytest.param(
            regress_request("regress_total"),
            "Input batch size did not match output batch size: 2 vs. 1",
            id="2.5/16 another-batch",
        ),
    ],
)
def test_regress_refuses(server: ModelServerClient, request_: Any, text: str) -> None:
    code, details = refusal(lambda: server.prediction.Regress(request_))
    assert code == "INVALID_ARGUMENT"
    assert details.startswith(text)


def multi_request(*tasks: tuple[str, str, str]) -> inference_pb2.MultiInferenceRequest:
    request = inference_pb2.MultiInferenceRequest(input=examples(2.0))
    for model, signature, method in tasks:
        task = request.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = model, signature
    return request


CLASSIFY = ("half_plus_two", "classify", "tensorflow/serving/classify")
REGRESS = ("half_plus_two", "regress", "tensorflow/serving/regress")


@row("2.3/10")
def test_multi_inference_answers_in_the_order_of_the_tasks(server: ModelServerClient) -> None:
    response = server.prediction.MultiInference(multi_request(REGRESS, CLASSIFY))
    assert [item.WhichOneof("result") for item in response.results] == ["regression_result", "classification_result"]
    assert [item.model_spec.signature_name for item in response.results] == ["regress", "classify"]
    assert response.results[0].regression_result.regressions[0].value == 3.0
    assert response.results[1].classification_result.classifications[0].classes[0].score == 3.0


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        pytest.param(multi_request(), "INVALID_ARGUMENT", "ModelSpec has no name specified.", id="no-tasks"),
        pytest.param(
            multi_request(REGRESS, ("", "classify", "m")),
            "INVALID_ARGUMENT",
            "Found ModelSpec with an empty model name.",
            id="no-name",
        ),
        pytest.param(
            multi_request(REGRESS, ("shout", "classify", "m")),
            "INVALID_ARGUMENT",
            "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
            id="2.5/19 mixed-models",
        ),
        pytest.param(
            multi_request(REGRESS, REGRESS),
            "INVALID_ARGUMENT",
            "Duplicate evaluation of signature: regress",
            id="2.5/19 duplicate",
        ),
        pytest.param(
            multi_request(("half_plus_two", "S", "m")),
            "INVALID_ARGUMENT",
            "Requested signature not found in model graph: S",
            id="2.5/7 unknown-signature",
        ),
        pytest.param(
            multi_request(("half_plus_two", "regress", "M")),
            "UNIMPLEMENTED",
            "Unsupported signature method_name: M",
            id="2.5/18 unknown-method",
        ),
    ],
)
def test_multi_inference_refuses(server: ModelServerClient, request_: Any, code: str, text: str) -> None:
    assert refusal(lambda: server.prediction.MultiInference(request_)) == (code, text)
