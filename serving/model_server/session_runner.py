"""Runs a loaded graph through a TF1 session, as TensorFlow Serving's C++ `Session::Run` does.

Public `Session.run` checks shapes against the placeholders and so refuses what TensorFlow Serving accepts. Two private
doors do not: a callable (`_make_callable_from_options`) and `_call_tf_sessionrun`. tests/integration pins both.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tensorflow import dtypes, errors
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


@dataclass
class _Subgraph:
    """What lies between some feeds and some fetches. Looked up once; a run then asks the graph nothing."""

    feeds: tuple[str, ...]  # as DirectSession orders them, so that `arg[0]` names the same input
    fetches: tuple[str, ...]
    dtypes: tuple[np.dtype[Any], ...]  # of the feeds
    usual_s: float = float("inf")  # how long a run takes
    call: Any = None  # the session's callable, made by the first run that needs it

    def note_duration(self, seconds: float) -> None:
        """Remember the slowest runs, and forget them slowly: the first run of a graph is its slowest by far."""
        self.usual_s = seconds if self.usual_s == float("inf") else max(seconds, 0.9 * self.usual_s)


class SessionRunner:
    """A session with one loaded graph in it."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._graph = session.graph
        self._subgraphs: dict[tuple[tuple[str, ...], tuple[str, ...]], _Subgraph] = {}
        self._lock = threading.Lock()

    def run(self, feeds: Mapping[str, Array], fetches: Sequence[str], timeout_s: float | None) -> list[Array]:
        """Feed arrays by tensor name, fetch tensors by name. See `servable.Runner`."""
        subgraph = self._subgraph(tuple(feeds), tuple(fetches))
        arrays = [feeds[name] for name in subgraph.feeds]
        _check_dtypes(arrays, subgraph.dtypes)
        try:
            start_s = time.perf_counter()
            if timeout_s is None or timeout_s > _AMPLE * subgraph.usual_s:
                results = self._callable(subgraph)(*arrays)
            else:
                results = self._run_within(timeout_s, subgraph, arrays)
            subgraph.note_duration(time.perf_counter() - start_s)
        except errors.OpError as error:
            raise StatusError(Code(error.error_code), error.message) from error
        except UnicodeDecodeError as error:
            raise _refusal_in_bytes(error) from error
        return [_as_array(result) for result in results]

    def close(self) -> None:
        """Free the variables now, and let go of the graph."""
        self._subgraphs.clear()
        self._session.close()
        del self._session, self._graph

    def _subgraph(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> _Subgraph:
        found = self._subgraphs.get((feeds, fetches))
        if found is None:
            names = tuple(sorted(feeds))
            found = _Subgraph(
                names, fetches, tuple(np.dtype(self._tensor(name).dtype.base_dtype.as_numpy_dtype) for name in names)
            )
            found = self._subgraphs.setdefault((feeds, fetches), found)
        return found

    def _callable(self, subgraph: _Subgraph) -> Any:
        """The graph pruned to these feeds and fetches; made once, then cheap to call."""
        if subgraph.call is None:
            with self._lock:
                if subgraph.call is None:
                    options = config_pb2.CallableOptions(feed=subgraph.feeds, fetch=subgraph.fetches)
                    options.run_options.inter_op_thread_pool = _CALLER_THREAD
                    subgraph.call = self._session._make_callable_from_options(options)
        return subgraph.call

    def _run_within(self, timeout_s: float, subgraph: _Subgraph, arrays: Sequence[Array]) -> list[Any]:
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
                    {
                        self._tensor(name)._as_tf_output(): array
                        for name, array in zip(subgraph.feeds, arrays, strict=True)
                    },
                    [self._tensor(name)._as_tf_output() for name in subgraph.fetches],
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


def _refusal_in_bytes(error: UnicodeDecodeError) -> StatusError:
    """What an operation says in words that are no UTF-8, which TensorFlow's binding cannot make an OpError of.

    The code is lost. The words quote what was fed, so it was most likely that an argument is invalid.
    """
    return invalid_argument(error.object.decode("utf-8", "backslashreplace"))


def _check_dtypes(arrays: Sequence[Array], expected: Sequence[np.dtype[Any]]) -> None:
    for index, (array, dtype) in enumerate(zip(arrays, expected, strict=True)):
        if array.dtype != dtype:
            wanted, came = (dtype_name(dtypes.as_dtype(kind).as_datatype_enum) for kind in (dtype, array.dtype))
            raise invalid_argument(f"Expects arg[{index}] to be {wanted} but {came} is provided")


def _as_array(result: Any) -> Array:
    """What a session returns is an array, but for a scalar, which it unpacks; a string then is bytes."""
    return np.array(result, object) if isinstance(result, bytes) else np.asarray(result)
