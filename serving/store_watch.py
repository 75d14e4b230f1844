"""Notices models that are published for the first time while the stack runs.

New versions of a model are the model server's own business: it watches the folders that its configuration names.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from serving import stack

LOOK_INTERVAL_S = 1.0  # as often as the model server looks for versions


class StoreWatch:
    """Looks at the store once a second, however often it is asked to."""

    def __init__(
        self,
        store: Path,
        models: tuple[str, ...],
        serve: Callable[[tuple[str, ...]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`models` are served already; `serve` is given all that are to be, when there are more."""
        self._store, self._models = store, models
        self._serve, self._clock = serve, clock
        self._look_at = clock()

    def look(self) -> None:
        """Take in what is new, if it is time to look; where the file system refuses now, the next look tries again."""
        if self._clock() < self._look_at:
            return
        self._look_at = self._clock() + LOOK_INTERVAL_S
        with contextlib.suppress(OSError):
            self._take_in_what_is_new()

    def _take_in_what_is_new(self) -> None:
        if new := tuple(name for name in stack.models_in(self._store) if name not in self._models):
            self._serve(self._models + new)
            self._models += new
