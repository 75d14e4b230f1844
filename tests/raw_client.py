"""A client that sends what bytes it likes, when it likes: for the tests of what no library would send."""

import json
import socket
from types import TracebackType
from typing import Any

from tests.gateway_process import DEADLINE_S


class RawClient:
    """One connection. Use as a context manager, or close it."""

    def __init__(self, port: int, *, takes_little: bool = False) -> None:
        """One that takes little leaves an answer of 100 kB to the server: neither kernel will hold it."""
        self.socket = socket.socket()
        self.socket.settimeout(DEADLINE_S)
        if takes_little:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            # What Linux buffers for sending it reckons in segments, and those of the loopback are of 64 kB.
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self._read = bytearray()

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def response(self) -> tuple[int, dict[str, str], bytes]:
        """The next response: status, headers by lower-case name, body."""
        head = self._until(b"\r\n\r\n").decode("latin-1")
        status_line, *lines = head.rstrip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", "0"))
        while len(self._read) < size:
            self._receive()
        body = bytes(self._read[:size])
        del self._read[:size]
        return int(status_line.split()[1]), headers, body

    def all_that_comes(self) -> bytes:
        """Every byte until the server closes."""
        while data := self.socket.recv(65536):
            self._read += data
        return bytes(self._read)

    def wait_for_answer(self) -> None:
        """Until the first of it is here."""
        if not self._read:
            self._receive()

    def is_open(self) -> bool:
        """The server has neither answered nor closed."""
        self.socket.setblocking(False)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            self.socket.settimeout(DEADLINE_S)
        return False

    def is_closed_by_the_server(self) -> bool:
        """Wait until nothing more comes."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def _until(self, end: bytes) -> bytes:
        while (found := self._read.find(end)) < 0:
            self._receive()
        piece = bytes(self._read[: found + len(end)])
        del self._read[: len(piece)]
        return piece

    def _receive(self) -> None:
        data = self.socket.recv(65536)
        assert data, f"the server closed after {bytes(self._read)!r}"
        self._read += data


def post(path: str, document: Any, *extra_headers: str) -> bytes:
    """A whole request."""
    body = json.dumps(document).encode()
    return head(path, f"Content-Length: {len(body)}", *extra_headers) + body


def head(path: str, *extra_headers: str, method: str = "POST", version: str = "1.1") -> bytes:
    """The head of a request."""
    headers = ("Host: x", "Content-Type: application/json", *extra_headers)
    return "\r\n".join((f"{method} {path} HTTP/{version}", *headers, "", "")).encode()
