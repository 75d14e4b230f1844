"""One line for each answer: who asked what of which model, how it went and how long it took. Never what was sent."""

import logging
from dataclasses import dataclass

from serving.gateway.spans import current

log = logging.getLogger("serving.gateway.access")


@dataclass(frozen=True)
class Answered:
    """An answer as the log has it. What is not known is empty or None."""

    request_id: str
    call: str  # what was asked, as its door says it: "POST /v1/models/m:classify", "grpc classify"
    verb: str
    code: str  # HTTP status or gRPC code
    milliseconds: float
    model: str = ""
    version: str = ""
    key: str = ""  # the API key's name
    request_bytes: int | None = None
    response_bytes: int | None = None


def log_answered(answered: Answered) -> None:
    """Write the line, where access lines are wanted; log handlers make of it what their format asks."""
    if log.disabled:
        return
    trace_id, milliseconds = current().trace_id, round(answered.milliseconds, 3)
    log.info(
        "%s %s %.1f ms %s",
        answered.call,
        answered.code,
        answered.milliseconds,
        answered.request_id,
        extra={"fields": {**vars(answered), "milliseconds": milliseconds, "trace_id": trace_id}},
    )
