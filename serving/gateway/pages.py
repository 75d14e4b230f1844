"""The pages that the gateway serves to a browser: static files of its own, under a policy that lets in nothing else.

And documents that came with a model, under one that lets them do nothing.
"""

from pathlib import Path

from flask import Response
from werkzeug.exceptions import NotFound

FOLDER = Path(__file__).parent / "pages"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
# Scripts, styles and calls from and to this gateway alone; nothing inline, no frames.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A document brings its own style and pictures. It came with a model, so it is of no origin (sandbox): it runs nothing,
# asks nobody, and has nothing of the gateway's pages.
DOCUMENT_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page(folder: str, name: str) -> Response:
    """One file of one page.

    Raises:
        NotFound: there is none of that name.
    """
    if name not in {file.name for file in (FOLDER / folder).iterdir()}:
        raise NotFound
    file = FOLDER / folder / name
    response = Response(file.read_bytes(), mimetype=TYPES[file.suffix])
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "no-cache"  # a newer gateway's page is shown at once
    return response


def document_page(text: bytes, media_type: str) -> Response:
    """A document that came with a model."""
    response = Response(text, content_type=f"{media_type}; charset=utf-8")
    response.headers["Content-Security-Policy"] = DOCUMENT_POLICY
    return response
