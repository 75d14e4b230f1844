"""The headers that keep a browser from making more of an answer than it is (OWASP's REST security cheat sheet)."""

from collections.abc import Mapping

from flask import Response

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # An answer is about the client's own data; nobody between us may keep it.
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# In the clear it must not be sent (RFC 6797, 7.2). A year, and of this host alone: of others we know nothing.
HEADERS_OVER_TLS = {**HEADERS, "Strict-Transport-Security": f"max-age={365 * 24 * 3600}"}


def security_headers(*, tls: bool) -> Mapping[str, str]:
    """Those of an answer in the clear, or over TLS that the gateway itself speaks."""
    return HEADERS_OVER_TLS if tls else HEADERS


def add_security_headers(response: Response, *, tls: bool) -> None:
    """Add those that the view has not set itself."""
    present = {name for name, _ in response.headers}
    response.headers.extend([(name, value) for name, value in security_headers(tls=tls).items() if name not in present])
