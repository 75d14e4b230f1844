"""A gateway whose workers fail before any application sees a request. Run as a module."""

import sys
from typing import Any

from serving.gateway import workers
from serving.gateway.__main__ import main


def fail(_worker: Any, _request: Any, _connection: Any) -> None:
    """Stands in the place of `Worker.handle_request`."""
    raise ZeroDivisionError


if __name__ == "__main__":
    workers.Worker.handle_request = fail  # type: ignore[method-assign]
    sys.exit(main())
