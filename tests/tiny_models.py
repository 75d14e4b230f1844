"""SavedModels you can compute in your head. Each function writes one version directory and returns it.

half_plus_two   y = x / 2 + 2                         also as regress and classify on tf.Examples, and `contract`
sum_and_diff    sum = a + b, diff = a - b             two inputs, two outputs
shout           loud = s + "!", loud_bytes = the same  strings
next_number     following = n + 1                     int64, and one signature `echo_<dtype>` for each dtype
row_times_two   y = x @ [[1, 2], [3, 4]]              rank 2: a graph that can refuse a shape
wait            waited = seconds, after that long     for what happens while a request is in flight
counter         a TF1 reference variable               signatures incr_counter, get_counter
classifier      784-300-100-10, random weights         the size of a real one: what is measured is not only overhead
half_in_both    half_plus_three as a SavedModel, half_plus_two as a TFLite model beside it
unloadable      numeric, and no SavedModel in it
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import tensorflow as tf
from flatbuffers import flexbuffers
from tensorflow.compat import v1
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

CONTRACT = b'{"contract_version":1}'
ECHO_DTYPES = [
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128", "bool", "string"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
]


def _spec(dtype: Any, *shape: int | None, name: str) -> tf.TensorSpec:
    return tf.TensorSpec(shape, dtype, name)


def _save(module: tf.Module, path: Path, signatures: dict[str, Any]) -> Path:
    tf.saved_model.save(module, str(path), signatures=signatures)
    return path


def half_plus_two(path: Path, plus: float = 2.0) -> Path:
    """y = x / 2 + `plus`, for x of any shape."""
    module = tf.Module()
    module.plus = tf.Variable(plus, name="plus")

    @tf.function(input_signature=[_spec(tf.float32, None, name="x")])
    def predict(x: Any) -> Any:
        return {"y": x / 2.0 + module.plus}

    @tf.function(input_signature=[_spec(tf.int32, None, name="probe")])
    def contract(probe: Any) -> Any:
        return {"contract": tf.fill(tf.shape(probe), tf.constant(CONTRACT))}

    def of_examples(serialized: Any) -> Any:
        return (
            tf.io.parse_example(serialized, {"x": tf.io.FixedLenFeature([1], tf.float32, 0.0)})["x"] / 2.0 + module.plus
        )

    @tf.function(input_signature=[_spec(tf.string, None, name="inputs")])
    def regress(inputs: Any) -> Any:
        return {"outputs": of_examples(inputs)}

    @tf.function(input_signature=[_spec(tf.string, None, name="inputs")])
    def classify(inputs: Any) -> Any:
        scores = of_examples(inputs)  # (batch, 1)
        return {
            "scores": tf.concat([scores, -scores], axis=1),
            "classes": tf.tile([["up", "down"]], [tf.shape(scores)[0], 1]),
        }

    @tf.function(input_signature=[_spec(tf.string, None, name="inputs")])
    def classify_scores(inputs: Any) -> Any:
        return {"scores": of_examples(inputs)}

    def examples_to(outputs: Callable[[Any], dict[str, Any]]) -> Any:
        """A signature that is no good for what its name says."""

        @tf.function(input_signature=[_spec(tf.string, None, name="inputs")])
        def unfit(inputs: Any) -> Any:
            return outputs(of_examples(inputs))

        return unfit

    return _save(
        module,
        path,
        {
            "classify_vector": examples_to(lambda y: {"scores": y[:, 0]}),
            "regress_wide": examples_to(lambda y: {"outputs": tf.concat([y, y], axis=1)}),
            "regress_total": examples_to(lambda y: {"outputs": tf.reduce_sum(y, keepdims=True)}),
            "serving_default": predict,
            "contract": contract,
            "regress": regress,
            "classify": classify,
            "classify_scores": classify_scores,
        },
    )


def half_plus_three(path: Path) -> Path:
    """The next version of the same."""
    return half_plus_two(path, plus=3.0)


def sum_and_diff(path: Path) -> Path:
    """Two inputs, two outputs."""

    @tf.function(input_signature=[_spec(tf.float32, None, name="a"), _spec(tf.float32, None, name="b")])
    def predict(a: Any, b: Any) -> Any:
        return {"sum": a + b, "diff": a - b}

    return _save(tf.Module(), path, {"serving_default": predict})


def shout(path: Path) -> Path:
    """Strings, plain and as bytes; `number` reads them, and quotes those that it cannot."""

    @tf.function(input_signature=[_spec(tf.string, None, name="s")])
    def predict(s: Any) -> Any:
        return {"loud": s + "!", "loud_bytes": s + "!"}

    @tf.function(input_signature=[_spec(tf.string, None, name="s")])
    def number(s: Any) -> Any:
        return {"number": tf.strings.to_number(s)}

    return _save(tf.Module(), path, {"serving_default": predict, "number": number})


def next_number(path: Path) -> Path:
    """Integers; and an identity for every dtype."""

    @tf.function(input_signature=[_spec(tf.int64, None, name="n")])
    def predict(n: Any) -> Any:
        return {"following": n + 1}

    @tf.function(input_signature=[_spec(tf.float32, None, name="x")])
    def to_half(x: Any) -> Any:
        return {"half": tf.cast(x, tf.float16)}

    def echo(dtype: str) -> Any:
        @tf.function(input_signature=[_spec(tf.as_dtype(dtype), None, name="value")])
        def identity(value: Any) -> Any:
            return {"value": tf.identity(value)}

        return identity

    return _save(
        tf.Module(),
        path,
        {"serving_default": predict, "to_half": to_half} | {f"echo_{d}": echo(d) for d in ECHO_DTYPES},
    )


def row_times_two(path: Path) -> Path:
    """A matrix product: (n, 2) -> (n, 2). `scalar` gives an output of rank 0, `uneven` outputs of n and 2 n rows."""
    weights = tf.constant([[1.0, 2.0], [3.0, 4.0]])

    @tf.function(input_signature=[_spec(tf.float32, None, 2, name="x")])
    def predict(x: Any) -> Any:
        return {"y": tf.linalg.matmul(x, weights, name="mm")}

    @tf.function(input_signature=[_spec(tf.float32, None, 2, name="x")])
    def total(x: Any) -> Any:
        return {"y": tf.reduce_sum(x)}

    @tf.function(input_signature=[_spec(tf.float32, None, 2, name="x")])
    def uneven(x: Any) -> Any:
        return {"y": x, "z": tf.concat([x, x], axis=0)}

    return _save(tf.Module(), path, {"serving_default": predict, "scalar": total, "uneven": uneven})


def wait(path: Path) -> Path:
    """Takes as many seconds as it is told, and says so."""

    @tf.function(input_signature=[_spec(tf.float32, None, name="seconds")])
    def predict(seconds: Any) -> Any:
        end = tf.timestamp() + tf.cast(tf.reduce_max(seconds), tf.float64)
        spins = tf.while_loop(lambda _: tf.timestamp() < end, lambda i: (i + 1,), (tf.constant(0),))[0]
        return {"waited": seconds + 0.0 * tf.cast(spins, tf.float32)}

    return _save(tf.Module(), path, {"serving_default": predict})


def counter(path: Path) -> Path:
    """A reference variable, which `tf.saved_model.load` refuses."""
    with tf.Graph().as_default(), v1.Session() as session:
        value = v1.get_variable("counter", initializer=0.0, use_resource=False)
        increment = v1.assign_add(value, 1.0)
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.builder.SavedModelBuilder(str(path))
        signatures = {
            name: v1.saved_model.build_signature_def(
                inputs={},
                outputs={"output": v1.saved_model.build_tensor_info(tensor)},
                method_name="tensorflow/serving/predict",
            )
            for name, tensor in {"incr_counter": increment, "get_counter": tf.identity(value)}.items()
        }
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
        builder.save()
    return path


def classifier(path: Path) -> Path:
    """Images (n, 784) -> probabilities (n, 10). Random weights, from a seed: none to do in your head."""
    random = np.random.default_rng(0)
    module = tf.Module()
    module.layers = [
        (tf.Variable(random.normal(0, i**-0.5, (i, o)), dtype=tf.float32), tf.Variable(tf.zeros(o)))
        for i, o in ((784, 300), (300, 100), (100, 10))
    ]

    @tf.function(input_signature=[_spec(tf.float32, None, 784, name="images")])
    def predict(images: Any) -> Any:
        *hidden, (weights, bias) = module.layers
        for hidden_weights, hidden_bias in hidden:
            images = tf.nn.relu(images @ hidden_weights + hidden_bias)
        return {"probabilities": tf.nn.softmax(images @ weights + bias)}

    return _save(module, path, {"serving_default": predict})


def half_in_both(path: Path) -> Path:
    """y = x / 2 + 3 as a SavedModel, y = x / 2 + 2 as `model.tflite` beside it: the answer says which is served."""
    half_plus_three(path)
    with tempfile.TemporaryDirectory() as scratch:
        (path / "model.tflite").write_bytes(as_tflite(half_plus_two(Path(scratch))))
    return path


def shout_in_tflite(path: Path) -> Path:
    """Strings: the first two of `s`, and all of them. Only as a TFLite model."""

    @tf.function(input_signature=[_spec(tf.string, None, name="s")])
    def predict(s: Any) -> Any:
        return {"first_two": tf.gather(s, [0, 1]), "all": tf.identity(s)}

    with tempfile.TemporaryDirectory() as scratch:
        model = as_tflite(_save(tf.Module(), Path(scratch), {"serving_default": predict}))
    path.mkdir(parents=True)
    (path / "model.tflite").write_bytes(model)
    return path


def as_tflite(saved_model: Path) -> bytes:
    """The default signature, converted. Today's converter records no SignatureDef that TensorFlow Serving reads."""
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model), signature_keys=["serving_default"])
    return bytes(converter.convert())


def unloadable(path: Path) -> Path:
    """A version directory without a SavedModel."""
    path.mkdir(parents=True)
    return path


def publish(write: Callable[[Path], Path], base: Path, version: int) -> Path:
    """Write a version beside the base path and move it in, so that a server sees it whole or not at all."""
    staging = write(base.with_name(f".{base.name}-{version}.staging"))
    base.mkdir(parents=True, exist_ok=True)
    return staging.rename(base / str(version))


def add_default(version: Path, signature: str, alias: str, value: Any) -> None:
    """Give an input of a signature a default value, which exporters of today do not write."""
    file = version / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    model.meta_graphs[0].signature_def[signature].defaults[alias].CopyFrom(tf.make_tensor_proto(value))
    file.write_bytes(model.SerializeToString())


def record_signature(version: Path, name: str) -> None:
    """Give the TFLite model, of one input and one output, a signature x -> y, as early converters did."""
    file = version / "model.tflite"
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(file.read_bytes(), 0))
    graph = model.subgraphs[0]
    signature = meta_graph_pb2.SignatureDef(method_name="tensorflow/serving/predict")
    for target, index in ((signature.inputs["x"], graph.inputs[0]), (signature.outputs["y"], graph.outputs[0])):
        target.name, target.dtype = graph.tensors[index].name.decode(), tf.float32.as_datatype_enum
    file.write_bytes(with_signatures(model, {name: signature.SerializeToString()}))


def with_signatures(model: schema.ModelT, signatures: Mapping[str, bytes]) -> bytes:
    """The model, with SignatureDefs where TensorFlow Serving looks for them (tensorflow/lite/tools/signature)."""
    builder = flexbuffers.Builder()
    with builder.Map():
        for name, signature in signatures.items():
            builder.Key(name)
            builder.String(signature.decode("ascii"))
    entry, buffer = schema.MetadataT(), schema.BufferT()
    entry.name, entry.buffer = "signature_defs_metadata", len(model.buffers or [])
    buffer.data = list(builder.Finish())
    model.metadata = [*(model.metadata or []), entry]
    model.buffers = [*(model.buffers or []), buffer]
    packer = flatbuffers.Builder(1024)
    packer.Finish(model.Pack(packer), b"TFL3")
    return bytes(packer.Output())


def add_warmup(version: Path, requests: Sequence[predict_pb2.PredictRequest]) -> Path:
    """Record requests for the server to replay at load."""
    file = version / "assets.extra" / "tf_serving_warmup_requests"
    file.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(file)) as writer:
        for request in requests:
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())
    return file


def predict_request(
    model: str, signature: str = "", version: int | None = None, **inputs: Any
) -> predict_pb2.PredictRequest:
    """A PredictRequest of plain Python values; float32 where they are floats."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    if version is not None:
        request.model_spec.version.value = version
    for name, value in inputs.items():
        array = np.asarray(value)
        dtype = np.float32 if array.dtype == np.float64 and not isinstance(value, np.ndarray) else None
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value, dtype=dtype))
    return request
