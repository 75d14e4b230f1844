"""Our log lines: one an event on stderr, with the process it comes from. Knows no transport."""

import logging
import sys

from serving.gateway.settings import Settings


class OneLine(logging.Formatter):
    """Keeps a message to one line, whatever a client or a model server put into it. A traceback keeps its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """The line before a traceback."""
        return super().formatMessage(record).replace("\n", "\\n").replace("\r", "\\r")


def configure_logging(settings: Settings) -> None:
    """One line an event on stderr, with the process it comes from."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        OneLine("%(asctime)s %(levelname)s [%(process)d] %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S%z")
    )
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    logging.getLogger("serving.gateway.access").disabled = not settings.access_log
