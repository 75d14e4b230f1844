"""One client's connection: a socket that never blocks, in the clear or with TLS, and what is still to be sent on it.

A connection belongs to the worker's loop, or, while it is BUSY, to the one thread that answers its request.
"""

import enum
import selectors
import socket
import ssl
from contextlib import suppress
from typing import Any, cast

from serving.gateway.incoming import Incoming, Received

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

# A TLS write that must be tried again has to be tried with the same bytes, so it goes out in pieces. Four records.
TLS_PIECE_BYTES = 64 * 1024


class Phase(enum.Enum):
    """What a connection is waiting for."""

    HANDSHAKE = "the client's part of the TLS handshake"
    HEAD = "request line and headers"
    BODY = "the body"
    BUSY = "the application"
    SENDING = "the client to take the answer"
    IDLE = "a next request"
    LINGERING = "the client to close"

    __hash__ = object.__hash__  # Enum's own is written in Python, and this is looked up ten times a request


class Outbox:
    """Stands where gunicorn has the socket: keeps what the application writes, so that no thread waits for a client."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._sent = 0

    def __len__(self) -> int:
        return len(self._waiting) - self._sent

    def sendall(self, data: bytes) -> None:
        """Keep it."""
        self._waiting += data

    def peek(self, size: int) -> memoryview:
        """The next bytes to send."""
        return memoryview(self._waiting)[self._sent : self._sent + size]

    def drop(self, size: int) -> None:
        """Forget what was sent."""
        self._sent += size
        if self._sent == len(self._waiting):
            self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._waiting, self._sent = bytearray(), 0

    def shutdown(self, _how: int) -> None:
        """gunicorn does so when the application fails in the middle of an answer: none of it is out yet."""
        self.clear()

    def settimeout(self, _timeout_s: float) -> None:
        """Nothing here waits."""

    def recv(self, _size: int) -> bytes:
        """There is nothing to read."""
        return b""

    def close(self) -> None:
        """Nothing here is open."""


class Connection:
    """What a worker knows of one client."""

    def __init__(self, client_socket: socket.socket, client: Any, server: Any, incoming: Incoming) -> None:
        client_socket.settimeout(0)
        self.socket = client_socket
        self.client, self.server = client, server  # addresses; gunicorn's names
        self.incoming = incoming
        self.sock = Outbox()  # gunicorn writes answers to what has this name
        self.request: Received | None = None  # the one being answered
        self.phase = Phase.HEAD  # changed by Waiting alone
        self.since = 0.0  # monotonic seconds: when the phase began
        self.deadline = 0.0  # … and when it is to end
        self.events = 0  # what the loop's selector watches it for
        self.handed_over_at = 0.0  # performance counter's seconds: when a thread was asked to answer
        self.is_answered = False  # the thread is done, or about to be
        self.keeps = False  # another request may follow the answer
        self.counted_bytes = 0  # by its worker
        self.dropped_bytes = 0  # while lingering

    @property
    def held_bytes(self) -> int:
        """Memory that this client takes."""
        body = self.request.body.getbuffer().nbytes if self.request is not None else 0
        return self.incoming.held_bytes + len(self.sock) + body

    @property
    def is_tls(self) -> bool:
        """TLS is spoken on it."""
        return isinstance(self.socket, ssl.SSLSocket)

    def wrap(self, context: ssl.SSLContext) -> None:
        """Speak TLS from here on; the handshake is still to come."""
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def has_certificate(self) -> bool:
        """The client has shown one, and it is good."""
        return isinstance(self.socket, ssl.SSLSocket) and bool(self.socket.getpeercert())

    def shake_hands(self) -> int:
        """Go on with the TLS handshake; the event it waits for, 0 when it is done."""
        try:
            cast(ssl.SSLSocket, self.socket).do_handshake()
        except ssl.SSLWantReadError:
            return READ
        except ssl.SSLWantWriteError:
            return WRITE
        return 0

    def receive_into(self, scratch: memoryview) -> int | None:
        """Bytes received, 0 at the client's end, None if there is nothing now."""
        received = 0
        try:
            while received < len(scratch) and (count := self.socket.recv_into(scratch[received:])):
                received += count
                if not self.is_tls:
                    break
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return received or None
        return received

    def has_more(self) -> bool:
        """TLS holds bytes that the socket no longer shows."""
        return isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0

    def flush(self) -> int:
        """Send what can be sent now; the event the rest waits for, 0 when all is out."""
        while waiting := len(self.sock):
            with self.sock.peek(min(waiting, TLS_PIECE_BYTES) if self.is_tls else waiting) as piece:
                try:
                    sent = self.socket.send(piece)
                except (BlockingIOError, ssl.SSLWantWriteError):
                    return WRITE
                except ssl.SSLWantReadError:
                    return READ
            self.sock.drop(sent)
        return 0

    def finish(self) -> None:
        """Say that nothing more will come from here. The client may still be sending, and must not be reset for it."""
        with suppress(OSError, ValueError):
            if isinstance(self.socket, ssl.SSLSocket):
                self.socket.unwrap()  # our goodbye goes out; theirs is not waited for
        with suppress(OSError):
            socket.socket.shutdown(self.socket, socket.SHUT_WR)

    def drop_into(self, scratch: memoryview) -> int | None:
        """As receive_into, but of bytes that nobody will read, so TLS need not take them apart."""
        try:
            return socket.socket.recv_into(self.socket, scratch)
        except BlockingIOError:
            return None

    def close(self) -> None:
        """Let go of the socket."""
        self.socket.close()
