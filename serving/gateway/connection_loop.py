"""The loop of a worker: its turns, the connections that come, wait and go, and its end. Knows no request.

Made on gunicorn 27's ThreadWorker: its thread pool, and its queue back into the loop. A subclass says what becomes of a
connection when its socket is ready, its time is up, or it is refused.
"""

import errno
import selectors
import ssl
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from serving.gateway.connection import READ, Connection, Phase
from serving.gateway.incoming import Incoming
from serving.gateway.plain_requests import KnownHeads
from serving.gateway.problems import Problem
from serving.gateway.refusals import Refused
from serving.gateway.waiting import Waiting

# A stopping worker waits this long for a request on a connection that has none: gunicorn's own number.
STOP_LINGER_S = 2.0
# One at a time spreads connections over the workers; a worker that is full takes many: a good client may be the last.
ACCEPTS_IN_A_CROWD = 32
# Who is dismissed at once lets the next one in, so many times a turn: with 32, clients who are here already got fewer
# answers in a flood, with 4 about as many as with one (measured side by side).
ACCEPTS_A_TURN = 4
# A worker that has its share leaves a new connection to the others for so long, and takes it if none of them does.
YIELD_S = 0.001
# The reason that is counted for a connection closed for a newer one.
MADE_ROOM = "made-room"
# Deadlines are looked at this often, and gunicorn's main process is told that we live.
TICK_S = 1.0


@dataclass(frozen=True)
class ConnectionLimits:
    """What the clients of one worker may take. A phase's seconds are of the whole phase, however the bytes drip."""

    max_body_bytes: int
    max_buffered_bytes: int  # of all connections together
    max_connections: int
    timeouts_s: Mapping[Phase, float]


class ConnectionLoop(ThreadWorker):  # type: ignore[misc]
    """A subclass sets `limits`, and perhaps `tls`, before `run`."""

    limits: ConnectionLimits
    tls: ssl.SSLContext | None = None
    heads: KnownHeads
    alive: bool  # gunicorn's: false once the worker is to stop

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.max_keepalived = sys.maxsize  # gunicorn's own limit; ours is on all connections
        self._buffered_bytes = 0
        self._next_tick = 0.0
        self._yields_until = 0.0
        self._has_yielded = False
        self.heads = KnownHeads()

    def _begin(self, connection: Connection) -> None:
        raise NotImplementedError

    def _on_event(self, connection: Connection, _socket: object = None) -> None:
        raise NotImplementedError

    def _time_is_up(self, connection: Connection) -> None:
        raise NotImplementedError

    def _refuse(self, connection: Connection, problem: Problem) -> None:
        raise NotImplementedError

    def may_accept(self) -> bool:
        """Asked again and again until it says yes."""
        return True

    def has_its_share(self) -> bool:
        """A new connection should go to another worker."""
        return False

    def on_connections(self, count: int) -> None:
        """So many are here now."""

    def patience_s(self) -> float:
        """How long a turn may wait for something to happen."""
        return TICK_S

    def end_turn(self) -> None:
        """All that has come was looked at."""

    def is_leaving(self) -> bool:
        """Clients should go elsewhere with their next request."""
        return not self.alive

    def count_refusal(self, reason: str) -> None:
        """A client was refused or closed here, before any application."""

    def run(self) -> None:
        """Serve until told to stop, then finish what is in flight, within the grace period."""
        self._waiting = Waiting(self.limits.timeouts_s)
        self.poller.register(self.method_queue.fileno(), selectors.EVENT_READ, self.method_queue.run_callbacks)
        is_open = False
        while self.alive and self.is_parent_alive():
            is_open = is_open or self.may_accept()
            yields_s = max(0.0, self._yields_until - time.monotonic())
            self.set_accept_enabled(is_open and self._has_room() and not yields_s)
            self._turn(min(yields_s or TICK_S, TICK_S if is_open else TICK_S / 20))
        self.alive = False
        self.set_accept_enabled(False)
        self._finish()
        self._close()

    def _turn(self, timeout_s: float) -> None:
        self.wait_for_and_dispatch_events(min(timeout_s, self.patience_s()))
        self.end_turn()
        now = time.monotonic()
        if now >= self._next_tick:
            self._next_tick = now + TICK_S
            self.notify()
            for connection in self._waiting.overdue():
                self._guard(self._time_is_up, connection)

    def _finish(self) -> None:
        """Answer what is here, and what still comes on connections that are open."""
        until = time.monotonic() + self.cfg.graceful_timeout
        for phase in (Phase.HANDSHAKE, Phase.HEAD, Phase.IDLE, Phase.LINGERING):
            self._waiting.hurry(phase, STOP_LINGER_S)
        while len(self._waiting) and time.monotonic() < until:
            self._turn(TICK_S / 5)

    def _close(self) -> None:
        for connection in self._waiting:
            self._drop(connection)
        self.tpool.shutdown(wait=False, cancel_futures=True)
        self.poller.close()
        self.method_queue.close()
        for listener in self.sockets:
            listener.close()

    # Connections come and go.

    def accept(self, listener: Any) -> None:
        """A client is waiting, or another worker was quicker. A crowd is let through faster than it queues up again."""
        if self._yields():
            return
        for _ in range(ACCEPTS_IN_A_CROWD if self._is_crowded() else ACCEPTS_A_TURN):
            connection = self._accept_one(listener)
            if connection is None or (connection in self._waiting and not self._is_crowded()):
                return

    def _yields(self) -> bool:
        """Leave who waits to another worker, unless none has come for him just now."""
        has_yielded, self._has_yielded = self._has_yielded, False
        if has_yielded or not self.has_its_share():
            return False
        self._yields_until, self._has_yielded = time.monotonic() + YIELD_S, True
        return True

    def _is_crowded(self) -> bool:
        return len(self._waiting) >= self.limits.max_connections

    def _accept_one(self, listener: Any) -> Connection | None:
        try:
            client_socket, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._make_room()
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                raise
            return None
        if self._is_crowded():
            self._make_room()
        incoming = Incoming(self.cfg, client, self.limits.max_body_bytes, self.heads)
        connection = Connection(client_socket, client, listener.getsockname(), incoming)
        self._waiting.put(connection, Phase.HEAD)
        self.on_connections(len(self._waiting))
        self._guard(self._welcome, connection)
        return connection

    def _welcome(self, connection: Connection) -> None:
        if self.tls is not None:
            connection.wrap(self.tls)
            self._wait(connection, Phase.HANDSHAKE, READ)
        else:
            self._begin(connection)

    def _has_room(self) -> bool:
        """There is a place, or one can be made."""
        return self._waiting.count(Phase.BUSY) < self.limits.max_connections

    def _make_room(self) -> None:
        connection = self._waiting.first_to_go()
        if connection is not None:
            self.count_refusal(MADE_ROOM)
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        if connection in self._waiting:
            self._watch(connection, 0)
            self._waiting.remove(connection)
            self.on_connections(len(self._waiting))
            self._buffered_bytes -= connection.counted_bytes
            connection.counted_bytes = 0
            connection.close()

    def _wait(self, connection: Connection, phase: Phase, events: int) -> None:
        self._waiting.put(connection, phase)
        self._watch(connection, events)

    def _watch(self, connection: Connection, events: int) -> None:
        if events == connection.events:
            return
        if not events:
            self.poller.unregister(connection.socket)
        else:
            change = self.poller.modify if connection.events else self.poller.register
            change(connection.socket, events, partial(self._on_event, connection))
        connection.events = events

    def _guard(self, step: Callable[[Connection], None], connection: Connection) -> None:
        """One client's trouble is nobody else's."""
        try:
            step(connection)
        except Refused as refused:
            self._guard(partial(self._refuse, problem=refused.problem), connection)
        except OSError:  # the client is gone, or its TLS is no TLS
            self._drop(connection)
        except Exception:
            self.log.exception("a connection failed")
            self._drop(connection)

    def _count_memory(self, connection: Connection) -> None:
        held_bytes = connection.held_bytes if connection in self._waiting else 0
        self._buffered_bytes += held_bytes - connection.counted_bytes
        connection.counted_bytes = held_bytes
