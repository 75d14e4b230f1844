"""Runs a TFLite model. An interpreter serves one run at a time, so there is a pool of them; knows no signatures.

After tensorflow_serving/servables/tensorflow/tflite_session.cc and tflite_interpreter_pool.cc.
"""

import queue
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tensorflow import dtypes

from serving.model_server.status import Code, StatusError, invalid_argument
from serving.model_server.tensors import Array, dtype_name


class TfLiteRunner:
    """A pool of interpreters of one model."""

    def __init__(self, model: bytes, size: int) -> None:
        """Make `size` interpreters; raises StatusError if the model cannot be interpreted."""
        self._model = model
        self._idle: queue.LifoQueue[_Interpreter] = queue.LifoQueue()  # the last one used is warm in the caches
        for _ in range(size):
            self._idle.put(_Interpreter(model))

    def run(
        self,
        feeds: Mapping[str, Array],
        fetches: Sequence[str],
        timeout_s: float | None,  # noqa: ARG002 (a run cannot be cut off, as in the original)
    ) -> list[Array]:
        """Feed arrays by tensor name, fetch tensors by name. See `servable.Runner`."""
        interpreter = self._idle.get()
        try:
            return interpreter.run(feeds, fetches)
        except _InterpreterFailed as error:
            # Its tensors are in no known state, and it keeps the text of every error: a fresh one takes its place.
            interpreter = _Interpreter(self._model)
            raise StatusError(Code.INTERNAL, str(error)) from error
        finally:
            self._idle.put(interpreter)

    def close(self) -> None:
        """Free the interpreters. Nobody runs any more, so all of them are idle."""
        while not self._idle.empty():
            self._idle.get_nowait()


class _InterpreterFailed(RuntimeError):
    """An interpreter refused a shape or failed to run."""


class _Interpreter:
    """One interpreter, and the shapes that its inputs have now."""

    def __init__(self, model: bytes) -> None:
        self._interpreter = make_interpreter(model)
        self._inputs = {tensor["name"]: tensor for tensor in self._interpreter.get_input_details()}
        self._outputs = {tensor["name"]: tensor["index"] for tensor in self._interpreter.get_output_details()}
        self._shapes = {name: tuple(tensor["shape"]) for name, tensor in self._inputs.items()}
        try:
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:  # an op that TensorFlow's interpreter does not have
            raise StatusError(Code.INTERNAL, f"Failed to allocate tensors: {error}") from error

    def run(self, feeds: Mapping[str, Array], fetches: Sequence[str]) -> list[Array]:
        self._check_dtypes(feeds)
        self._resize({name: array.shape for name, array in feeds.items()})
        for name, array in feeds.items():
            self._interpreter.set_tensor(self._inputs[name]["index"], np.asarray(array, order="C"))
        try:
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise _InterpreterFailed("Failed to invoke TfLite interpreter") from error
        results = [self._interpreter.get_tensor(self._outputs[name]) for name in fetches]
        return [np.array(result, object) if isinstance(result, bytes) else np.asarray(result) for result in results]

    def _check_dtypes(self, feeds: Mapping[str, Array]) -> None:
        """As a session would say it; the original copies the bytes, whatever they mean."""
        for index, (name, array) in enumerate(sorted(feeds.items())):
            expected = _array_dtype(self._inputs[name]["dtype"])
            if array.dtype != expected:
                raise invalid_argument(
                    f"Expects arg[{index}] to be {_name(expected)} but {_name(array.dtype)} is provided"
                )

    def _resize(self, shapes: dict[str, tuple[int, ...]]) -> None:
        if shapes == self._shapes:
            return
        try:
            for name, shape in shapes.items():
                self._interpreter.resize_tensor_input(self._inputs[name]["index"], shape)
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError, OverflowError) as error:  # the last: a dim beyond int32
            raise _InterpreterFailed("Failed to allocate tensors") from error
        self._shapes = shapes


def make_interpreter(model: bytes) -> Any:
    """An interpreter whose tensors are not allocated yet; raises StatusError for what is no TFLite model."""
    from tensorflow.lite.python.interpreter import Interpreter  # only who serves a TFLite model waits for this import

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that it will move to another package
            return Interpreter(model_content=model, num_threads=1)  # one thread a run, as tflite_interpreter_pool.cc
    except (ValueError, RuntimeError) as error:
        raise invalid_argument(f"Cannot build FlatBufferModel from buffer: {error}") from error


def _array_dtype(dtype: Any) -> np.dtype[Any]:
    """What the arrays of a tensor have for a dtype: strings are objects."""
    return np.dtype(object) if np.dtype(dtype).kind == "S" else np.dtype(dtype)


def _name(dtype: np.dtype[Any]) -> str:
    return dtype_name(dtypes.as_dtype(dtype).as_datatype_enum)
