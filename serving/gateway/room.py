"""Memory for what clients' bytes become, shared by all requests of a process: who finds none left is to come again."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from serving.errors import Overloaded

NO_ROOM = "the gateway has no room for the inflated body now"


class Room:
    """So many bytes. Used by many threads."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._taken_bytes = 0
        self._lock = threading.Lock()

    @contextmanager
    def take(self, size_bytes: int) -> Iterator[None]:
        """For as long as the context lasts.

        Raises:
            Overloaded: others have taken what would be needed.
        """
        with self._lock:
            if self._taken_bytes + size_bytes > self._max_bytes:
                raise Overloaded(NO_ROOM)
            self._taken_bytes += size_bytes
        try:
            yield
        finally:
            with self._lock:
                self._taken_bytes -= size_bytes
