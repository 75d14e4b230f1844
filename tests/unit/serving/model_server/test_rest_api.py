"""The REST door over a core that only fails: how a code becomes a status."""

import io
import json
from typing import Any

import pytest

from serving.model_server.rest_api import RestApi
from serving.model_server.status import Code, StatusError
from tests.conformance.rows import row

MESSAGE = "why " * 1000


class FailingCore:
    """A server core without models: every call fails with one code."""

    def __init__(self, code: Code) -> None:
        self._code = code

    def handle(self, model_spec: Any) -> Any:
        raise StatusError(self._code, MESSAGE)


def get(core: Any, target: str) -> tuple[str, bytes]:
    """The status line and the body."""
    lines: list[str] = []
    environ = {"REQUEST_METHOD": "GET", "REQUEST_URI": target, "PATH_INFO": target, "wsgi.input": io.BytesIO()}
    body = b"".join(
        RestApi(core, timeout_s=None, enable_cors=False, metrics_path=None)(
            environ, lambda status, headers: lines.append(status)
        )
    )
    return lines[0], body


@row("1.3/2", "1.3/3", "1.3/4", "1.3/5", "1.3/6", "1.3/7", "1.3/8", "1.3/9", "1.3/10", "1.3/11", "1.3/12", "1.3/13")
@pytest.mark.parametrize(
    ("code", "status"),
    [
        (Code.CANCELLED, "499 Client Closed Request"),
        (Code.UNKNOWN, "500 Internal Server Error"),
        (Code.INVALID_ARGUMENT, "400 Bad Request"),
        (Code.DEADLINE_EXCEEDED, "504 Gateway Timeout"),
        (Code.NOT_FOUND, "404 Not Found"),
        (Code.ALREADY_EXISTS, "409 Conflict"),
        (Code.PERMISSION_DENIED, "403 Forbidden"),
        (Code.RESOURCE_EXHAUSTED, "429 Too Many Requests"),
        (Code.FAILED_PRECONDITION, "400 Bad Request"),
        (Code.ABORTED, "409 Conflict"),
        (Code.OUT_OF_RANGE, "400 Bad Request"),
        (Code.UNIMPLEMENTED, "501 Not Implemented"),
        (Code.INTERNAL, "500 Internal Server Error"),
        (Code.UNAVAILABLE, "503 Service Unavailable"),
        (Code.DATA_LOSS, "500 Internal Server Error"),
        (Code.UNAUTHENTICATED, "401 Unauthorized"),
    ],
)
def test_every_code_has_its_status_and_the_text_is_whole(code: Code, status: str) -> None:
    line, body = get(FailingCore(code), "/v1/models/m/metadata")
    assert line == status
    assert json.loads(body) == {"error": MESSAGE}
