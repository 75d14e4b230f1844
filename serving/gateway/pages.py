"""The pages that the gateway serves to a browser: static files of its own, under a policy that lets in nothing else."""

from pathlib import Path

from flask import Response
from werkzeug.exceptions import NotFound

FOLDER = Path(__file__).parent / "pages"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
# Scripts, styles and calls from and to this gateway alone; nothing inline, no frames.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page(name: str) -> Response:
    """One file of the folder.

    Raises:
        NotFound: there is none of that name.
    """
    if name not in {file.name for file in FOLDER.iterdir()}:
        raise NotFound
    file = FOLDER / name
    response = Response(file.read_bytes(), mimetype=TYPES[file.suffix])
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "no-cache"  # a newer gateway's page is shown at once
    return response
