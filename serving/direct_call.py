"""Unary gRPC calls that whoever starts one need not wait for: one thread hears how each of them ends.

gRPC's own futures do the same with a lock, a condition and a thread's start a call, which is most of what they cost.
This stands on the private API that they are written on, `cygrpc`. It knows bytes and no message.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import grpc
from grpc._cython import cygrpc

_logger = logging.getLogger(__name__)

_NO_FLAGS = 0
_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended."""

    code: grpc.StatusCode
    details: str
    reply: bytes | None  # a serialised message, where the code is OK


# Hears how a call ended.
Then = Callable[[Ended], None]


class DirectCalls:
    """Makes calls of one method over a channel. No future may be made over the same channel."""

    def __init__(self, channel: grpc.Channel, path: str) -> None:
        """The name of the method is /package.Service/Method."""
        self._channel: cygrpc.Channel = channel._channel
        self._path = path.encode()
        self._lock = threading.Lock()
        self._is_closed = False
        self._under_way: SimpleQueue[Then | None] = SimpleQueue()  # who is to be told; None comes after the last
        threading.Thread(target=self._hear, name=f"grpc calls of {path}", daemon=True).start()

    def start(self, request: bytes, timeout_s: float, then: Then) -> None:
        """Make a call; `then` is told its end by the thread that hears, so it must be quick.

        Raises:
            ValueError: this, or the channel, is closed.
        """
        with self._lock:
            if self._is_closed:
                raise ValueError("no call may be started any more")
            self._channel.integrated_call(
                cygrpc.PropagationConstants.GRPC_PROPAGATE_DEFAULTS,
                self._path,
                None,
                time.time() + timeout_s,
                None,
                None,
                ((_operations(request), then),),
            )
            self._under_way.put(then)

    def close(self) -> None:
        """Start no more; the thread ends with the last call."""
        with self._lock:
            self._is_closed = True
            self._under_way.put(None)

    def _hear(self) -> None:
        """Wait in the channel only while a call is under way: it must not be closed under who waits in it."""
        while self._under_way.get() is not None:
            event = self._next_event()
            try:
                event.tag(_ended(event))
            except Exception:
                _logger.exception("the end of a call could not be told")
            del event

    def _next_event(self) -> Any:
        while True:
            event = self._channel.next_call_event()
            if event.completion_type != cygrpc.CompletionType.queue_timeout:  # which GRPC_ENABLE_FORK_SUPPORT brings
                return event


def _operations(request: bytes) -> tuple[Any, ...]:
    return (
        cygrpc.SendInitialMetadataOperation(None, _NO_FLAGS),
        cygrpc.SendMessageOperation(request, _NO_FLAGS),
        cygrpc.SendCloseFromClientOperation(_NO_FLAGS),
        cygrpc.ReceiveInitialMetadataOperation(_NO_FLAGS),
        cygrpc.ReceiveMessageOperation(_NO_FLAGS),
        cygrpc.ReceiveStatusOnClientOperation(_NO_FLAGS),
    )


def _ended(event: Any) -> Ended:
    *_, message, status = event.batch_operations
    code = _STATUS_CODES.get(status.code(), grpc.StatusCode.UNKNOWN)
    if code is not grpc.StatusCode.OK:
        return Ended(code, status.details(), None)
    reply: bytes | None = message.message()
    if reply is None:  # gRPC's own code for it, see its statuscodes.md
        return Ended(grpc.StatusCode.UNIMPLEMENTED, "the server sent no message", None)
    return Ended(code, status.details(), reply)
