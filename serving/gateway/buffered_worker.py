"""gunicorn's threaded worker, but threads see whole requests only: one loop receives from clients and sends to them.

A client that is slow, or never finishes, costs memory up to a limit, and no thread. Knows HTTP's framing, and nothing
of what is asked.

Made on gunicorn 27's ThreadWorker: its thread pool, its queue back into the loop, and `handle_request`, which runs the
application. Receiving, sending, keeping alive and stopping are here.
"""

import errno
import selectors
import ssl
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from serving.gateway import deadlines, turns
from serving.gateway.connection import READ, Connection, Phase
from serving.gateway.incoming import Incoming, Received
from serving.gateway.plain_requests import KnownHeads
from serving.gateway.problems import Problem
from serving.gateway.refusals import BROKEN, NO_ROOM, TOO_SLOW, Refused, answer_bytes
from serving.gateway.waiting import Waiting

# One recv; a larger one gains nothing measurable, and each worker has one such buffer.
RECEIVE_BYTES = 256 * 1024
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# A client that still sends cannot hear an answer: closing on it resets the connection before it reads. So what it sends
# is dropped, for LINGER_S (connection limits) and up to this much; whoever sends more gets the reset.
MAX_DROPPED_BYTES = 64 * 1024 * 1024
# A stopping worker waits this long for a request on a connection that has none: gunicorn's own number.
STOP_LINGER_S = 2.0
# One at a time spreads connections over the workers; a worker that is full takes many: a good client may be the last.
ACCEPTS_IN_A_CROWD = 32
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


class BufferedWorker(ThreadWorker):  # type: ignore[misc]
    """A subclass sets `limits` and `busy_threads`, and perhaps `tls`, before `run`."""

    limits: ConnectionLimits
    busy_threads: int  # requests that threads work on at the same time, before some are turned away
    tls: ssl.SSLContext | None = None
    heads: KnownHeads
    alive: bool  # gunicorn's: false once the worker is to stop

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.max_keepalived = sys.maxsize  # gunicorn's own limit; ours is on all connections
        self._buffered_bytes = 0
        self._scratch = memoryview(bytearray(RECEIVE_BYTES))
        self._next_tick = 0.0
        self.heads = KnownHeads()

    def may_accept(self) -> bool:
        """Asked again and again until it says yes."""
        return True

    def check_request(self, connection: Connection, request: Received) -> None:
        """Raise Refused for a request that no application should see."""

    def take(self, _connection: Connection) -> bool:
        """Answer its request without a thread, by calling `answer` later; or say no, now or by `hand_to_thread`."""
        return False

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

    def turn_away(self, _request: Received) -> bytes | None:
        """The answer to a request that no thread shall see, while there are as many as threads already."""
        return None

    def turn_away_bytes(self, _received: bytes) -> bytes | None:
        """The same, where it can be told from all that has come; such a connection goes on."""
        return None

    def run(self) -> None:
        """Serve until told to stop, then finish what is in flight, within the grace period."""
        self._waiting = Waiting(self.limits.timeouts_s)
        self.poller.register(self.method_queue.fileno(), selectors.EVENT_READ, self.method_queue.run_callbacks)
        is_open = False
        while self.alive and self.is_parent_alive():
            is_open = is_open or self.may_accept()
            self.set_accept_enabled(is_open and self._has_room())
            self._turn(TICK_S if is_open else TICK_S / 20)
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
        for _ in range(ACCEPTS_IN_A_CROWD):
            if not self._accept_one(listener) or len(self._waiting) < self.limits.max_connections:
                return

    def _accept_one(self, listener: Any) -> bool:
        try:
            client_socket, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._make_room()
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                raise
            return False
        if len(self._waiting) >= self.limits.max_connections:
            self._make_room()
        incoming = Incoming(self.cfg, client, self.limits.max_body_bytes, self.heads)
        connection = Connection(client_socket, client, listener.getsockname(), incoming)
        self._waiting.put(connection, Phase.HEAD)
        self._guard(self._welcome, connection)
        return True

    def _welcome(self, connection: Connection) -> None:
        if self.tls is not None:
            connection.wrap(self.tls)
            self._waiting.put(connection, Phase.HANDSHAKE)
        self._watch(connection, READ)

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

    # A connection's way through its phases.

    def _on_event(self, connection: Connection, _socket: object = None) -> None:
        if connection.events:  # else it was dropped in this very turn
            self._guard(partial(self._STEPS[connection.phase], self), connection)

    def _shake_hands(self, connection: Connection) -> None:
        events = connection.shake_hands()
        if events:
            self._watch(connection, events)
        else:
            self._wait(connection, Phase.HEAD, READ)
            self._receive(connection)

    def _receive(self, connection: Connection) -> None:
        received = connection.receive_into(self._scratch)
        if received and (answer := self._turn_away_bytes(connection, received)):
            connection.keeps = True
            connection.sock.sendall(answer)
            self._send(connection)
        elif received:
            connection.incoming.receive(self._scratch[:received])
            self._go_on(connection)
        elif received == 0:
            self._drop(connection)

    def _turn_away_bytes(self, connection: Connection, received: int) -> bytes | None:
        if connection.incoming.has_begun or not self._is_full() or self.is_leaving():
            return None
        return self.turn_away_bytes(bytes(self._scratch[:received]))

    def _is_full(self) -> bool:
        return self._waiting.count(Phase.BUSY) >= self.busy_threads

    def _go_on(self, connection: Connection) -> None:
        """Have the next request answered, or wait for the rest of it."""
        incoming = connection.incoming
        request = incoming.next_request()
        if request is not None:
            self._hand_over(connection, request)
        else:
            phase = Phase.BODY if incoming.is_in_body else Phase.HEAD if incoming.has_begun else Phase.IDLE
            if phase is not connection.phase:
                self._wait(connection, phase, READ)
            if incoming.wants_continue:
                incoming.wants_continue = False
                connection.sock.sendall(CONTINUE)
                connection.flush()
            if connection.has_more():
                self.method_queue.defer(self._on_event, connection)
        self._count_memory(connection)
        self._keep_within_memory()

    def _hand_over(self, connection: Connection, request: Received) -> None:
        """Have a whole request answered. The socket stays watched: most clients send nothing before their answer."""
        self.check_request(connection, request)
        if self.is_leaving():
            request.force_close()
        is_alone = not connection.incoming.is_cut and not connection.incoming.has_begun  # nothing comes after it
        if is_alone and self._is_full() and (answer := self.turn_away(request)):
            connection.keeps = not request.is_last
            connection.sock.sendall(answer)
            self._send(connection)
            return
        connection.request, connection.is_answered = request, False
        connection.handed_over_at = time.perf_counter()
        self._wait(connection, Phase.BUSY, READ)
        if not self.take(connection):
            self.hand_to_thread(connection)

    def hand_to_thread(self, connection: Connection) -> None:
        """Have the application answer."""
        self.enqueue_req(connection)

    def answer(self, connection: Connection, answer: bytes, *, is_last: bool) -> None:
        """Send a whole answer to a request that was taken."""
        connection.request, connection.is_answered, connection.keeps = None, True, not is_last
        connection.sock.sendall(answer)
        self._guard(self._send, connection)

    def handle(self, connection: Connection) -> int:
        """In a thread: answer, and send what can be sent at once; the event the rest waits for."""
        assert connection.request is not None  # noqa: S101 (tells mypy what being in a thread means)
        try:
            with turns.taken():
                deadlines.waited_s.set(time.perf_counter() - connection.handed_over_at)
                connection.keeps = self.handle_request(connection.request.message, connection)
        except Exception:
            self.log.exception("an answer failed")
            connection.keeps = False
            connection.sock.clear()
            connection.sock.sendall(answer_bytes(BROKEN))
        connection.is_answered = True
        return connection.flush()

    def finish_request(self, connection: Connection, answering: Future[int]) -> None:
        """Back in the loop."""
        connection.request = None
        self._guard(partial(self._after_handle, events=answering.result), connection)

    def _after_handle(self, connection: Connection, events: Callable[[], int]) -> None:
        self._send_on(connection, events())

    def _send(self, connection: Connection) -> None:
        self._send_on(connection, connection.flush())

    def _send_on(self, connection: Connection, events: int) -> None:
        """Send the rest as the client takes it; then a next request, or the end."""
        if events:
            if connection.phase is not Phase.SENDING:
                self._waiting.put(connection, Phase.SENDING)
            self._watch(connection, events)
            self._count_memory(connection)
        elif connection.keeps:
            self._wait(connection, Phase.IDLE, READ)
            self._go_on(connection)
        else:
            self._linger(connection)

    def _linger(self, connection: Connection) -> None:
        connection.incoming.discard()
        connection.finish()
        self._wait(connection, Phase.LINGERING, READ)
        self._count_memory(connection)

    def _drop_received(self, connection: Connection) -> None:
        received = connection.drop_into(self._scratch)
        connection.dropped_bytes += received or 0
        if received == 0 or connection.dropped_bytes > MAX_DROPPED_BYTES:
            self._drop(connection)

    def _ignore(self, connection: Connection) -> None:
        """Something came before the answer went out: look again after that, unless it is about to."""
        if not connection.is_answered:
            self._watch(connection, 0)

    _STEPS: Mapping[Phase, Callable[["BufferedWorker", Connection], None]] = {
        Phase.HANDSHAKE: _shake_hands,
        Phase.HEAD: _receive,
        Phase.BODY: _receive,
        Phase.IDLE: _receive,
        Phase.BUSY: _ignore,
        Phase.SENDING: _send,
        Phase.LINGERING: _drop_received,
    }

    # Refusals.

    def _refuse(self, connection: Connection, problem: Problem) -> None:
        self.count_refusal(problem.kind.slug)
        connection.keeps = False
        connection.incoming.discard()
        connection.sock.sendall(answer_bytes(problem))
        self._send(connection)

    def _time_is_up(self, connection: Connection) -> None:
        if connection.phase in (Phase.HEAD, Phase.BODY) and connection.incoming.has_begun:
            self._refuse(connection, TOO_SLOW)
        else:
            self._drop(connection)

    def _count_memory(self, connection: Connection) -> None:
        held_bytes = connection.held_bytes if connection in self._waiting else 0
        self._buffered_bytes += held_bytes - connection.counted_bytes
        connection.counted_bytes = held_bytes

    def _keep_within_memory(self) -> None:
        """Of the bodies still arriving the oldest goes first, then the answer that waited longest for its client."""
        while self._buffered_bytes > self.limits.max_buffered_bytes:
            if body := self._waiting.first_to_go(Phase.BODY):
                self._guard(partial(self._refuse, problem=NO_ROOM), body)
            elif answer := self._waiting.first_to_go(Phase.SENDING):
                self._drop(answer)
            else:  # all of it is being answered
                return
