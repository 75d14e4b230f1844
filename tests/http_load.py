"""Load from processes of its own: one prepared request over many kept-open connections. HTTP/1.1; grpc_load has gRPC.

Closed loop: each connection sends again once it is answered. Open loop: requests come when they are due, whether or not
the ones before are answered, as the world's do; a latency counts from when its request was due. Small on purpose: what
it takes of the processors is missing to what it measures. Standard library only.
"""

import multiprocessing
import re
import selectors
import socket
import time
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

TELLING = re.compile(rb"\r\n(content-length|retry-after|connection): *(\w+)", re.IGNORECASE)
GAVE_UP = 0  # the status of a request that got no answer: in time, or before the connection was closed
NEVER_SENT = -1  # … of one that was due when there was no connection for it, until the end


class Answer(NamedTuple):
    """What came back."""

    status: int  # in HTTP's words
    retry_after_s: int = 0
    is_last: bool = False  # the connection is of no more use


@dataclass(frozen=True)
class Load:
    """What one process sends."""

    port: int
    request: bytes
    seconds: float
    connections: int  # open loop: at most
    rate: float | None = None  # requests a second; None: closed loop
    timeout_s: float = 30.0
    protocol: "type[Connection] | None" = None  # none: HTTP/1.1
    drains: bool = False  # open loop: what was due and waits for a connection at the end is still sent, else given up


class Exchange(NamedTuple):
    """One request and what became of it."""

    due_s: float  # after the start
    latency_s: float  # since it was due
    status: int
    retry_after_s: int = 0
    late_s: float = 0.0  # sent after it was due: no connection was free, or this process was not running


def send(load: Load, processes: int = 1) -> list[Exchange]:
    """The load, as often as there are processes, at the same time."""
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        return [exchange for sent in pool.map(run, [load] * processes) for exchange in sent]


def prepare(path: str, body: bytes, *headers: str, content_type: str = "application/json") -> bytes:
    """A POST."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: gateway",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def run(load: Load) -> list[Exchange]:
    """Send it from this process."""
    return Sender(load).run()


NO_ANSWER = Answer(GAVE_UP, is_last=True)


class Connection:
    """One socket, and the request it waits to see answered: HTTP/1.1."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.socket = socket.create_connection(("127.0.0.1", load.port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = self.sent = 0.0
        self._received = b""

    def send(self) -> None:
        self._received = b""
        self.socket.sendall(self.load.request)

    def receive(self, received: bytes) -> Answer | None:
        """What came, and the answer once it is whole."""
        self._received += received
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return None
        fields = {name.lower(): value for name, value in TELLING.findall(head)}
        if len(body) < int(fields[b"content-length"]):
            return None
        is_last = fields.get(b"connection") == b"close"
        return Answer(int(head[9:12]), int(fields.get(b"retry-after", b"0")), is_last)


class Sender:
    """A loop over all connections."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._selector = selectors.DefaultSelector()
        self._idle: list[Connection] = []
        self._busy: dict[Connection, None] = {}  # in the order in which they were sent
        self._due: deque[float] = deque()  # open loop: due, but there was no connection for them
        self._exchanges: list[Exchange] = []
        self._began = 0.0

    def run(self) -> list[Exchange]:
        self._began = next_due = time.perf_counter()
        ends = self._began + self._load.seconds
        while (now := time.perf_counter()) < ends or self._busy or (self._load.drains and self._due):
            if now < ends:
                if self._load.rate is None:
                    self._due.extend([now] * (self._load.connections - len(self._busy)))
                else:
                    while next_due <= now:
                        self._due.append(next_due)
                        next_due += 1 / self._load.rate
                self._send_what_is_due()
            elif self._load.drains and now < ends + self._load.timeout_s:
                self._send_what_is_due()
            else:
                self._give_up_on(self._due)
            self._give_up_late(now)
            wait_s = max(0.0, min(0.05, next_due - now)) if self._load.rate and now < ends else 0.05
            for key, _ in self._selector.select(wait_s):
                self._receive(key.data)
        self._give_up_on(self._due)
        self._selector.close()
        for connection in self._idle:
            connection.socket.close()
        return self._exchanges

    def _send_what_is_due(self) -> None:
        while self._due and (connection := self._connection()):
            connection.due = self._due.popleft()
            connection.sent = time.perf_counter()
            self._busy[connection] = None
            try:
                connection.send()
            except OSError:
                self._finish(connection, NO_ANSWER)

    def _connection(self) -> Connection | None:
        if self._idle:
            return self._idle.pop()
        if len(self._busy) >= self._load.connections:
            return None
        try:
            connection = (self._load.protocol or Connection)(self._load)
        except OSError:
            return None
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        return connection

    def _receive(self, connection: Connection) -> None:
        try:
            received = connection.socket.recv(65536)
            answer = connection.receive(received) if received else NO_ANSWER
        except OSError:
            answer = NO_ANSWER
        if answer is not None and (connection in self._busy or answer.is_last):
            self._finish(connection, answer)

    def _give_up_late(self, now: float) -> None:
        """Of what was sent: a sender that is late itself must not close what it opens at once, again and again."""
        while self._busy and now - (oldest := next(iter(self._busy))).sent > self._load.timeout_s:
            self._finish(oldest, NO_ANSWER)

    def _give_up_on(self, due: deque[float]) -> None:
        while due and self._load.rate is not None:
            self._note(due.popleft(), Answer(NEVER_SENT))
        due.clear()

    def _finish(self, connection: Connection, answer: Answer) -> None:
        if connection in self._busy:
            del self._busy[connection]
            self._note(connection.due, answer, connection.sent - connection.due)
        elif connection in self._idle:
            self._idle.remove(connection)
        if answer.is_last:
            self._selector.unregister(connection.socket)
            connection.socket.close()
        else:
            self._idle.append(connection)

    def _note(self, due: float, answer: Answer, late_s: float = 0.0) -> None:
        latency_s = time.perf_counter() - due
        self._exchanges.append(Exchange(due - self._began, latency_s, answer.status, answer.retry_after_s, late_s))
