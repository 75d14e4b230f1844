"""Floor A: Flask that reads and parses the body and answers a constant. What any Flask service takes at least.

`gunicorn tests.bench.rivals.floor:app`; `POST /json/650` answers with 650 bytes.
"""

import functools

import orjson
from flask import Flask, Response, request

app = Flask(__name__)


@app.post("/<reading>/<int:size>")
def answer(reading: str, size: int) -> Response:
    """Read the body as Flask's documentation shows, with a quicker parser, or without one; answer so many bytes."""
    match reading:
        case "json":
            request.get_json()
        case "orjson":
            orjson.loads(request.get_data())
        case _:
            request.get_data()
    return Response(constant(size), mimetype="application/json")


@functools.cache
def constant(size: int) -> bytes:
    """JSON of so many bytes."""
    return b'"' + b"x" * (size - 2) + b'"'
