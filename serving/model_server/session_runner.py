"""Runs a loaded graph through a TF1 session, as TensorFlow Serving's C++ `Session::Run` does.

Public `Session.run` checks shapes against the placeholders and so refuses what TensorFlow Serving accepts. Two private
doors do not: a callable (`_make_callable_from_options`) and `_call_tf_sessionrun`. tests/integration pins both.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tensorflow import errors
from tensorflow.compat import v1
from tensorflow.core.protobuf import config_pb2
from tensorflow.python.client import pywrap_tf_session

from serving.model_server.status import Code, StatusError, invalid_argument
from serving.model_server.tensors import Array, dtype_name

# Run the graph in the calling thread (config.proto, RunOptions.inter_op_thread_pool): 7 µs for a small graph where a
# hand-over to the pool makes it 40.
_CALLER_THREAD = -1

# A run in the calling thread cannot be cut off. A time limit so many times longer than runs usually take will not be
# needed, so the quick way is taken all the same; should the run be slow for once, the next one is cut off again.
_AMPLE = 20

_Key = tuple[tuple[str, ...], tuple[str, ...]]  # names of feeds, names of fetches


class SessionRunner:
    """A session with one loaded graph in it."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._graph = session.graph
        self._callables: dict[_Key, Any] = {}
        self._usual_s: dict[_Key, float] = {}  # how long a run takes
        self._lock = threading.Lock()

    def run(self, feeds: Mapping[str, Array], fetches: Sequence[str], timeout_s: float | None) -> list[Array]:
        """Feed arrays by tensor name, fetch tensors by name. See `servable.Runner`."""
        names = tuple(sorted(feeds))  # as DirectSession orders them, so that `arg[0]` names the same input
        self._check_dtypes(names, feeds)
        try:
            start_s = time.perf_counter()
            if timeout_s is None or timeout_s > _AMPLE * self._usual_s.get((names, tuple(fetches)), float("inf")):
                results = self._callable(names, tuple(fetches))(*(feeds[name] for name in names))
            else:
                results = self._run_within(timeout_s, {name: feeds[name] for name in names}, fetches)
            self._note_duration((names, tuple(fetches)), time.perf_counter() - start_s)
        except errors.OpError as error:
            raise StatusError(Code(error.error_code), error.message) from error
        return [_as_array(result) for result in results]

    def close(self) -> None:
        """Free the variables now, and let go of the graph."""
        self._callables.clear()
        self._session.close()
        del self._session, self._graph

    def _note_duration(self, key: _Key, seconds: float) -> None:
        """Remember the slowest runs, and forget them slowly: the first run of a graph is its slowest by far."""
        self._usual_s[key] = max(seconds, 0.9 * self._usual_s.get(key, 0.0))

    def _check_dtypes(self, names: Sequence[str], feeds: Mapping[str, Array]) -> None:
        for index, name in enumerate(names):
            expected = self._tensor(name).dtype.base_dtype
            got = feeds[name].dtype
            if got != expected.as_numpy_dtype:
                came = dtype_name(v1.as_dtype(got).as_datatype_enum)
                raise invalid_argument(
                    f"Expects arg[{index}] to be {dtype_name(expected.as_datatype_enum)} but {came} is provided"
                )

    def _callable(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> Any:
        """The graph pruned to these feeds and fetches; made once, then cheap to call."""
        key = (feeds, fetches)
        if key not in self._callables:
            with self._lock:
                if key not in self._callables:
                    options = config_pb2.CallableOptions(feed=feeds, fetch=fetches)
                    options.run_options.inter_op_thread_pool = _CALLER_THREAD
                    self._callables[key] = self._session._make_callable_from_options(options)
        return self._callables[key]

    def _run_within(self, timeout_s: float, feeds: Mapping[str, Array], fetches: Sequence[str]) -> list[Any]:
        """Run with a time limit, which a callable can have only one of."""
        milliseconds = int(timeout_s * 1000)
        if milliseconds <= 0:
            raise StatusError(Code.DEADLINE_EXCEEDED, "Timed out waiting for notification")
        options = pywrap_tf_session.TF_NewBufferFromString(
            config_pb2.RunOptions(timeout_in_ms=milliseconds).SerializeToString()
        )
        try:
            return list(
                self._session._call_tf_sessionrun(
                    options,
                    {self._tensor(name)._as_tf_output(): array for name, array in feeds.items()},
                    [self._tensor(name)._as_tf_output() for name in fetches],
                    [],
                    None,
                )
            )
        finally:
            pywrap_tf_session.TF_DeleteBuffer(options)

    def _tensor(self, name: str) -> Any:
        try:
            return self._graph.get_tensor_by_name(name if ":" in name else f"{name}:0")
        except (KeyError, ValueError) as error:
            raise invalid_argument(
                f"Tensor {name}, specified in either feed_devices or fetch_devices was not found in the Graph"
            ) from error


def _as_array(result: Any) -> Array:
    """What a session returns is an array, but for a scalar, which it unpacks; a string then is bytes."""
    return np.array(result, object) if isinstance(result, bytes) else np.asarray(result)
