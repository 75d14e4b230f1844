"""Our log lines: one an event on stderr, as text or as JSON, with the process it comes from. Knows no transport."""

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import orjson

from serving.gateway.access_log import log as access_log
from serving.gateway.settings import Settings

# The control characters of ASCII and Latin-1: line ends, and what starts a terminal's escape sequences.
CONTROLS = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160))}
# Those that JSON leaves as they are.
JSON_CONTROLS = {code: f"\\u{code:04x}" for code in range(127, 160)}
TEXT = "%(asctime)s %(levelname)s [%(process)d] %(name)s: %(message)s"


class OneLine(logging.Formatter):
    """Keeps a message to one line, and from a terminal's ear, whatever a client or a model server put into it.

    A traceback keeps its lines.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """The line before a traceback."""
        return super().formatMessage(record).translate(CONTROLS)


class JsonLine(logging.Formatter):
    """One JSON object a line, a traceback in it; `fields` of a record are its members."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        members: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            members["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(members, default=str).decode().translate(JSON_CONTROLS)


FORMATTERS: dict[str, logging.Formatter] = {"text": OneLine(TEXT, "%Y-%m-%dT%H:%M:%S%z"), "json": JsonLine()}


def configure_logging(settings: Settings) -> None:
    """One line an event on stderr, with the process it comes from."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FORMATTERS[settings.log_format])
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    access_log.disabled = not settings.access_log
