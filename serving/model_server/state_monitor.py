"""What became of every version: what GetModelStatus reports, and what start-up and reload wait for.

Versions that ended stay listed, as in TensorFlow Serving.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum

from serving.model_server.servable import ServableId
from serving.model_server.status import StatusError


class ManagerState(IntEnum):
    """The states a client sees (get_model_status.proto)."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


_SETTLED = (ManagerState.AVAILABLE, ManagerState.END)
_STOP_CHECK_S = 0.1  # how soon a wait notices that the server is told to stop


@dataclass(frozen=True)
class ServableState:
    """The last thing heard of a version."""

    state: ManagerState
    error: StatusError | None  # why it ended, where it ended badly
    event: int  # counts all events of the monitor; later events have higher numbers


class WaitCancelled(Exception):
    """The server was told to stop while it waited for models."""


class ServableStateMonitor:
    """Remembers the state of each version; thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._states: dict[str, dict[int, ServableState]] = {}
        self._events = 0

    def publish(self, servable: ServableId, state: ManagerState, error: StatusError | None = None) -> None:
        """Note that a version changed state."""
        with self._changed:
            self._events += 1
            self._states.setdefault(servable.name, {})[servable.version] = ServableState(state, error, self._events)
            self._changed.notify_all()

    @property
    def events(self) -> int:
        """How many changes there were; a mark for `wait_until_settled`."""
        with self._changed:
            return self._events

    def versions(self, name: str) -> Mapping[int, ServableState]:
        """The versions of a model, newest first; empty for a model never heard of."""
        with self._changed:
            return dict(sorted(self._states.get(name, {}).items(), reverse=True))

    def names(self) -> Collection[str]:
        """All models ever heard of."""
        with self._changed:
            return list(self._states)

    def wait_until_settled(
        self, names: Collection[str], *, since: int, cancelled: Callable[[], bool], timeout_s: float | None = None
    ) -> Mapping[ServableId, ServableState]:
        """Wait until each model has a version that became AVAILABLE or ended after the mark; return those versions.

        Raises:
            WaitCancelled: `cancelled` said so.
            TimeoutError: not all of them within the time; names those that are missing.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while True:
                settled = {name: self._settled(name, since) for name in names}
                if all(settled.values()):
                    return {id_: state for found in settled.values() if found for id_, state in [found]}
                if cancelled():
                    raise WaitCancelled
                if deadline is not None and time.monotonic() >= deadline:
                    raise TimeoutError(", ".join(name for name, found in settled.items() if not found))
                self._changed.wait(_STOP_CHECK_S)

    def _settled(self, name: str, since: int) -> tuple[ServableId, ServableState] | None:
        for version, state in sorted(self._states.get(name, {}).items(), reverse=True):
            if state.event > since and state.state in _SETTLED:
                return ServableId(name, version), state
        return None
