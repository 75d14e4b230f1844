"""The gRPC side of the load: HTTP/2 by hand, one call at a time over each connection. Standard library only.

A gRPC client would take more of the processors than the door it is to measure.
"""

import re
import struct

from tests.http_load import Answer, Connection, Load

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
LARGEST_WINDOW = 2**31 - 1
# No table of headers, so that names and numbers can be read as they are; windows that never fill; and gRPC's own
# setting that lets details come as bytes.
OUR_SETTINGS = struct.pack(">HIHIHI", 1, 0, 4, LARGEST_WINDOW, 0xFE03, 1)
STATUS = re.compile(rb"grpc-status.(\d+)", re.DOTALL)  # between them, how long it is
RETRY = b"google.rpc.RetryInfo"
# gRPC's codes as the HTTP door says them.
HTTP_STATUSES = {0: 200, 4: 504, 5: 404, 8: 429, 14: 503}


def prepare(method: str, message: bytes, timeout_s: float) -> bytes:
    """A call: how long its headers are, the headers, the message."""
    block = b"\x83\x86"  # POST, http
    block += b"\x04" + _text(method) + b"\x01" + _text("gateway")  # path, authority
    block += b"\x0f\x10" + _text("application/grpc")  # content type
    block += b"\x00" + _text("te") + _text("trailers")
    block += b"\x00" + _text("grpc-timeout") + _text(f"{int(timeout_s * 1000)}m")
    return struct.pack(">I", len(block)) + block + struct.pack(">xI", len(message)) + message


def _text(text: str) -> bytes:
    assert len(text) < 127
    return bytes([len(text)]) + text.encode()


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class GrpcConnection(Connection):
    """One connection, and the call it waits to see answered."""

    def __init__(self, load: Load) -> None:
        super().__init__(load)
        size = struct.unpack(">I", load.request[:4])[0] + 4
        self._block, self._message = load.request[4:size], load.request[size:]
        self._stream = -1
        self._has_reply = False
        settings = _frame(SETTINGS, 0, 0, OUR_SETTINGS)
        self.socket.sendall(PREFACE + settings + _frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", LARGEST_WINDOW - 65535)))

    def send(self) -> None:
        self._stream += 2
        self._has_reply = False
        headers = _frame(HEADERS, END_HEADERS, self._stream, self._block)
        self.socket.sendall(headers + _frame(DATA, END_STREAM, self._stream, self._message))

    def receive(self, received: bytes) -> Answer | None:
        """What came, and the answer once it is whole."""
        self._received += received
        answer = None
        while len(self._received) >= 9:
            size = int.from_bytes(self._received[:3])
            if len(self._received) < 9 + size:
                break
            kind, flags, stream = struct.unpack(">BBI", self._received[3:9])
            payload, self._received = self._received[9 : 9 + size], self._received[9 + size :]
            answer = self._take(kind, flags, stream, payload) or answer
        return answer

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> Answer | None:
        if kind == GOAWAY:
            return Answer(0, is_last=True)
        if kind in (SETTINGS, PING) and not flags & ACK:
            self.socket.sendall(_frame(kind, ACK, 0, payload if kind == PING else b""))
        if stream != self._stream:
            return None
        self._has_reply |= kind == DATA
        if kind == RST_STREAM:
            return Answer(0)
        return self._answer(payload) if kind == HEADERS and flags & END_STREAM else None

    def _answer(self, trailers: bytes) -> Answer:
        code = int(STATUS.findall(trailers)[0])
        assert self._has_reply == (code == 0)
        return Answer(HTTP_STATUSES.get(code, 500), int(RETRY in trailers))
