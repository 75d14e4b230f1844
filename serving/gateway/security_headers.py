"""The headers that keep a browser from making more of an answer than it is (OWASP's REST security cheat sheet)."""

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


def add_security_headers(response: Response) -> None:
    """Add those that the view has not set itself."""
    present = {name for name, _ in response.headers}
    response.headers.extend([(name, value) for name, value in HEADERS.items() if name not in present])
