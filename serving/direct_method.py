"""A unary gRPC method whose threads wait on a completion queue of their own, as those of gRPC's C++ server do.

In `grpc.server` a call passes through three threads, and waking them is most of what it costs: figures are in
model_server/README.md. This stands on the private API that `grpc.server` is written on, `cygrpc`. It knows bytes and no
message.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
from grpc._cython import cygrpc

_logger = logging.getLogger(__name__)

_NO_FLAGS = 0
_STATUS_CODES = {int(code): code for code in cygrpc.StatusCode}

# Names and values; the value of a name in -bin is bytes.
Metadata = tuple[tuple[str, str | bytes], ...]


class Call:
    """One call. It is answered once, from any thread."""

    def __init__(self, event: Any, request: bytes, on_end: Callable[[Any], None]) -> None:
        self.request = request
        self._event = event
        self._on_end = on_end
        self._initial_metadata: Metadata | None = None

    def metadata(self, name: str) -> str | None:
        """What the client sent under this name, first if several; in lower case, not in -bin."""
        return next((value for key, value in self._event.invocation_metadata if key == name), None)

    def send_first(self, metadata: Metadata) -> None:
        """Metadata that the client gets before the answer; it leaves with it."""
        self._initial_metadata = metadata

    def time_remaining_s(self) -> float:
        """How long the client still waits; centuries if for ever."""
        deadline: float = self._event.call_details.deadline
        return max(0.0, deadline - time.time())

    def reply(self, response: bytes) -> None:
        """Answer with a serialised message."""
        self._end(cygrpc.StatusCode.ok, "", None, cygrpc.SendMessageOperation(response, _NO_FLAGS))

    def fail(self, code: int, details: str, metadata: Metadata | None = None) -> None:
        """Answer with a status, by its number, and metadata that follows it."""
        self._end(_STATUS_CODES[code], details, metadata)

    def fail_unforeseen(self, error: Exception) -> None:
        """Answer for a bug, in the words of `grpc.server`, and log it."""
        _logger.error("Exception calling application", exc_info=error)
        self.fail(cygrpc.StatusCode.unknown, f"Exception calling application: {error}")

    def _end(self, code: Any, details: str, metadata: Metadata | None, *message: Any) -> None:
        self._event.call.start_server_batch(
            (
                cygrpc.SendInitialMetadataOperation(self._initial_metadata, _NO_FLAGS),
                *message,
                cygrpc.SendStatusFromServerOperation(metadata, code, details.encode(), _NO_FLAGS),
                cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS),
            ),
            self._on_end,
        )


class DirectMethod:
    """Serves one method of a `grpc.Server`, which serves the others."""

    def __init__(self, server: grpc.Server, path: str, handle: Callable[[Call], None], max_threads: int) -> None:
        """To be made before the server starts.

        Args:
            path: /package.Service/Method.
            handle: answers the call, at once or later from another thread.
            max_threads: so many calls are handled at a time.
        """
        self._path = path
        self._handle = handle
        self._max_threads = max_threads
        self._core: cygrpc.Server = server._state.server
        self._queue = cygrpc.CompletionQueue()
        self._core.register_completion_queue(self._queue)
        if path in server._state.registered_method_handlers:
            del server._state.registered_method_handlers[path]
        else:
            self._core.register_method(path)
        self._lock = threading.Lock()
        self._threads = 0
        self._busy = 0
        self._due = 0  # events that are still to come

    def start(self) -> None:
        """Take calls, from the server's start to its end."""
        self._request_call()
        self._start_thread()

    def _start_thread(self) -> None:
        self._threads += 1
        threading.Thread(target=self._work, name=f"grpc-direct-{self._threads}", daemon=True).start()

    def _work(self) -> None:
        while (event := self._queue.poll()).completion_type != cygrpc.CompletionType.queue_shutdown:
            event.tag(event)
            del event  # it holds the call

    def _request_call(self) -> None:
        with self._lock:
            self._due += 1
        try:
            self._core.request_registered_call(self._queue, self._queue, self._path, self._on_call)
        except ValueError:  # the server has begun to stop
            self._on_end(None)

    def _on_call(self, event: Any) -> None:
        """A call has come; or, without success, the server has stopped."""
        if event.success:
            self._request_call()
            event.call.start_server_batch(
                (cygrpc.ReceiveMessageOperation(_NO_FLAGS),), lambda received: self._on_request(event, received)
            )
        else:
            self._on_end(event)

    def _on_request(self, event: Any, received: Any) -> None:
        request = received.batch_operations[0].message()
        call = Call(event, request, self._on_end)
        if request is None:  # the client is gone, or has sent none
            call.fail(cygrpc.StatusCode.unimplemented, f'"{self._path}" requires exactly one request message.')
            return
        self._enter()
        try:
            self._handle(call)
        except Exception as error:  # noqa: BLE001 (a bug must end this call, not the thread)
            call.fail_unforeseen(error)
        finally:
            with self._lock:
                self._busy -= 1

    def _enter(self) -> None:
        """Leave at least one thread waiting for the next event."""
        with self._lock:
            self._busy += 1
            if self._busy == self._threads < self._max_threads:
                self._start_thread()

    def _on_end(self, _: Any) -> None:
        """The last event of a call. After the last of all there is nothing to wait for."""
        with self._lock:
            self._due -= 1
            is_over = self._due == 0
        if is_over:
            self._queue.shutdown()
