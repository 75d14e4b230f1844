"""Unary gRPC methods whose calls are taken from a completion queue of their own, as in gRPC's C++ server.

In `grpc.server` a call passes through three threads, and waking them is most of what it costs: figures are in
model_server/README.md. This stands on the private API that `grpc.server` is written on, `cygrpc`. It knows bytes and no
message.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
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

    def __init__(self, event: Any, request: bytes, queue: "DirectQueue") -> None:
        self.request = request
        self._event = event
        self._queue = queue
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

    def later(self, callback: Callable[[], None]) -> Callable[[], None]:
        """What, called once from any thread, has the callback called by a thread that takes from the queue.

        The queue does not end before. A bug in the callback is logged.

        Raises:
            ValueError: the queue has ended.
        """
        return self._queue.later(self._event.call, callback)

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
            self._queue.on_end,
        )


# Answers a call: at once, or later from any thread.
Handle = Callable[[Call], None]


class DirectQueue:
    """Serves some methods of a `grpc.Server`, which serves the others. Whoever takes from it handles the calls."""

    def __init__(self, server: grpc.Server, methods: Mapping[str, Handle]) -> None:
        """To be made before the server starts. The names of the methods are /package.Service/Method."""
        self._methods = methods
        self._core: cygrpc.Server = server._state.server
        self._queue = cygrpc.CompletionQueue()
        self._core.register_completion_queue(self._queue)
        for path in methods:
            if path in server._state.registered_method_handlers:
                del server._state.registered_method_handlers[path]
            else:
                self._core.register_method(path)
        self._lock = threading.Lock()
        self._due = 0  # events that are still to come
        self._is_over = False

    def open(self) -> None:
        """Calls may come, from the server's start to its end."""
        self._expect()  # a server that stops meanwhile must not end the queue under the next method
        for path in self._methods:
            self._request_call(path)
        self.on_end(None)

    def take(self, until: float | None = None) -> bool:
        """Wait for the next thing that happens, and see to it; False where nothing will any more.

        Args:
            until: seconds since the epoch, when to have waited long enough.
        """
        event = self._queue.poll(until)
        if event.completion_type == cygrpc.CompletionType.queue_shutdown:
            return False
        if event.completion_type != cygrpc.CompletionType.queue_timeout:
            event.tag(event)
        return True

    def later(self, call: Any, callback: Callable[[], None]) -> Callable[[], None]:
        """See `Call.later`: gRPC core ends a batch of no operations at once, and its event is ours."""
        self._expect()

        def call_back(_: Any) -> None:
            try:
                callback()
            except Exception:
                _logger.exception("what was to be done later failed")
            finally:
                self.on_end(None)

        return lambda: call.start_server_batch((), call_back)

    def on_end(self, _: Any) -> None:
        """One event less is due. After the last of all there is nothing to wait for."""
        with self._lock:
            self._due -= 1
            self._is_over = self._due == 0
        if self._is_over:
            self._queue.shutdown()

    def _expect(self) -> None:
        with self._lock:
            if self._is_over:  # gRPC core would end the process
                raise ValueError("the queue has ended")
            self._due += 1

    def _request_call(self, path: str) -> None:
        self._expect()
        try:
            self._core.request_registered_call(self._queue, self._queue, path, partial(self._on_call, path))
        except ValueError:  # the server has begun to stop
            self.on_end(None)

    def _on_call(self, path: str, event: Any) -> None:
        """A call has come; or, without success, the server has stopped."""
        if event.success:
            self._request_call(path)
            event.call.start_server_batch(
                (cygrpc.ReceiveMessageOperation(_NO_FLAGS),), partial(self._on_request, path, event)
            )
        else:
            self.on_end(event)

    def _on_request(self, path: str, event: Any, received: Any) -> None:
        request = received.batch_operations[0].message()
        call = Call(event, request, self)
        if request is None:  # the client is gone, or has sent none
            call.fail(cygrpc.StatusCode.unimplemented, f'"{path}" requires exactly one request message.')
            return
        try:
            self._methods[path](call)
        except Exception as error:  # noqa: BLE001 (a bug must end this call, not the thread)
            call.fail_unforeseen(error)


class DirectMethod:
    """A method whose calls are handled by as many threads as there are calls, up to a limit."""

    def __init__(self, server: grpc.Server, path: str, handle: Handle, max_threads: int) -> None:
        """To be made before the server starts. So many calls are handled at a time."""
        self._handle = handle
        self._max_threads = max_threads
        self._queue = DirectQueue(server, {path: self._handle_in_turn})
        self._lock = threading.Lock()
        self._threads = 0
        self._busy = 0

    def start(self) -> None:
        """Take calls, from the server's start to its end."""
        self._queue.open()
        self._start_thread()

    def _start_thread(self) -> None:
        self._threads += 1
        threading.Thread(target=self._work, name=f"grpc-direct-{self._threads}", daemon=True).start()

    def _work(self) -> None:
        while self._queue.take():
            pass

    def _handle_in_turn(self, call: Call) -> None:
        self._enter()
        try:
            self._handle(call)
        finally:
            with self._lock:
                self._busy -= 1

    def _enter(self) -> None:
        """Leave at least one thread waiting for the next event."""
        with self._lock:
            self._busy += 1
            if self._busy == self._threads < self._max_threads:
                self._start_thread()
