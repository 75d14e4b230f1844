"""Unary gRPC calls that whoever starts one need not wait for: one thread hears how each of them ends.

gRPC's own futures do the same with a lock, a condition and a thread's start a call, which is most of what they cost.
This stands on the private API that they are written on, `cygrpc`. It knows bytes and no message.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
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


class DirectCalls:
    """Makes calls of one method over a channel. No future may be made over the same channel."""

    def __init__(self, channel: grpc.Channel, path: str) -> None:
        """The name of the method is /package.Service/Method."""
        self._channel: cygrpc.Channel = channel._channel
        self._path = path.encode()
        self._under_way = threading.Semaphore(0)
        self._is_closed = False
        threading.Thread(target=self._hear, name=f"grpc calls of {path}", daemon=True).start()

    def start(self, request: bytes, timeout_s: float, then: Callable[[Ended], None]) -> None:
        """Make a call; `then` is told its end by the thread that hears, so it must be quick.

        Raises:
            ValueError: the channel is closed.
        """
        self._channel.integrated_call(
            cygrpc.PropagationConstants.GRPC_PROPAGATE_DEFAULTS,
            self._path,
            None,
            time.time() + timeout_s,
            None,
            None,
            ((_operations(request), then),),
        )
        self._under_way.release()

    def close(self) -> None:
        """Start no more; the thread ends with the last call."""
        self._is_closed = True
        self._under_way.release()

    def _hear(self) -> None:
        """Wait in the channel only while a call is under way: it must not be closed under who waits in it."""
        while self._under_way.acquire():
            if self._is_closed:
                return
            event = self._channel.next_call_event()
            try:
                event.tag(_ended(event))
            except Exception:
                _logger.exception("the end of a call could not be told")
            del event


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
    return Ended(code, status.details(), message.message() if code is grpc.StatusCode.OK else None)
