"""Who waits for what, and how long: the connections of a worker by phase, longest waiting first. Knows no socket."""

import time
from collections.abc import Callable, Iterator, Mapping

from serving.gateway.connection import Connection, Phase

# Who can go when there is no room. Nobody whose request is in a thread.
CAN_GO = (Phase.HANDSHAKE, Phase.HEAD, Phase.BODY, Phase.SENDING, Phase.IDLE)


class Waiting:
    """Each phase has one time limit, so that within a phase the order of arrival is the order of the deadlines."""

    def __init__(self, timeouts_s: Mapping[Phase, float], clock: Callable[[], float] = time.monotonic) -> None:
        """A phase without a timeout may last."""
        self._timeouts_s = dict(timeouts_s)
        self._clock = clock
        self._by_phase: dict[Phase, dict[Connection, None]] = {phase: {} for phase in Phase}

    def __contains__(self, connection: Connection) -> bool:
        return connection in self._by_phase[connection.phase]

    def __iter__(self) -> Iterator[Connection]:
        return (connection for connections in self._by_phase.values() for connection in list(connections))

    def __len__(self) -> int:
        return sum(map(len, self._by_phase.values()))

    def count(self, phase: Phase) -> int:
        """How many are in that phase."""
        return len(self._by_phase[phase])

    def put(self, connection: Connection, phase: Phase) -> None:
        """Into a phase, as its newest."""
        self.remove(connection)
        self._by_phase[phase][connection] = None
        connection.phase, connection.since = phase, self._clock()
        connection.deadline = connection.since + self._timeouts_s.get(phase, float("inf"))

    def remove(self, connection: Connection) -> None:
        """Forget it, if it is here."""
        self._by_phase[connection.phase].pop(connection, None)

    def overdue(self) -> Iterator[Connection]:
        """Those whose time is up; each may be moved or removed on the way."""
        now = self._clock()
        for connections in self._by_phase.values():
            for connection in list(connections):
                if connection.deadline > now:
                    break
                yield connection

    def first_to_go(self, *phases: Phase) -> Connection | None:
        """Who makes room, of those in these phases, or of all who can go.

        Who was answered and told to close; else who has waited longest, whatever for: a good client's request is whole
        within milliseconds, and anybody who went by phase could be kept out by a crowd in another phase.
        """
        for connection in () if phases else self._by_phase[Phase.LINGERING]:
            return connection
        longest = [next(iter(self._by_phase[phase])) for phase in phases or CAN_GO if self._by_phase[phase]]
        return min(longest, key=lambda connection: connection.since, default=None)

    def hurry(self, phase: Phase, timeout_s: float) -> None:
        """From now on the phase lasts so long at most, for those who are in it too."""
        self._timeouts_s[phase] = min(timeout_s, self._timeouts_s.get(phase, timeout_s))
        latest = self._clock() + timeout_s
        for connection in self._by_phase[phase]:
            connection.deadline = min(connection.deadline, latest)
