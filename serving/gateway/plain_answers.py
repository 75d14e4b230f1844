"""A prediction's answer as bytes, the same as gunicorn and Flask make of it. Knows no socket and no model server."""

from gunicorn import SERVER

from serving.gateway.compression import MIN_BYTES, deflated
from serving.gateway.dates import http_date
from serving.gateway.security_headers import security_headers

_SECURITY = {
    tls: "".join(f"{name}: {value}\r\n" for name, value in security_headers(tls=tls).items()) for tls in (False, True)
}


def plain_answer(body: bytes, request_id: str, *, takes_gzip: bool, is_last: bool, tls: bool) -> tuple[bytes, int]:
    """A whole HTTP/1.1 response with a JSON body; and how long the body is as it is sent."""
    coding = ""
    if takes_gzip and len(body) >= MIN_BYTES:
        body, coding = deflated(body), "Content-Encoding: gzip\r\n"
    head = (
        f"HTTP/1.1 200 OK\r\nServer: {SERVER}\r\nDate: {http_date()}\r\n"
        f"Connection: {'close' if is_last else 'keep-alive'}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nX-Request-Id: {request_id}\r\n{_SECURITY[tls]}"
        f"Vary: Accept-Encoding\r\n{coding}\r\n"
    )
    return head.encode() + body, len(body)
