"""gunicorn's threaded worker, but threads see whole requests only: one loop receives from clients and sends to them.

A client that is slow, or never finishes, costs memory up to a limit, and no thread. Knows HTTP's framing, and nothing
of what is asked.

A connection's way from phase to phase is here; `handle_request`, which runs the application, is gunicorn's.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any

from serving.gateway import deadlines, turns
from serving.gateway.connection import READ, Connection, Phase
from serving.gateway.connection_loop import ConnectionLoop
from serving.gateway.incoming import Received, can_begin_request
from serving.gateway.problems import Problem
from serving.gateway.refusals import BROKEN, MALFORMED, NO_ROOM, TOO_SLOW, answer_bytes
from serving.gateway.request_ids import request_id

# One recv; a larger one gains nothing measurable, and each worker has one such buffer.
RECEIVE_BYTES = 256 * 1024
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# A client that still sends cannot hear an answer: closing on it resets the connection before it reads. So what it sends
# is dropped, for LINGER_S (connection limits) and up to this much; whoever sends more gets the reset.
MAX_DROPPED_BYTES = 64 * 1024 * 1024


class BufferedWorker(ConnectionLoop):
    """A subclass sets `limits` and `busy_threads`, and perhaps `tls`, before `run`."""

    busy_threads: int  # requests that threads work on at the same time, before some are turned away

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._scratch = memoryview(bytearray(RECEIVE_BYTES))

    def check_request(self, connection: Connection, request: Received) -> None:
        """Raise Refused for a request that no application should see."""

    def take(self, _connection: Connection) -> bool:
        """Answer its request without a thread, by calling `answer` later; or say no, now or by `hand_to_thread`."""
        return False

    def turn_away(self, _request: Received) -> bytes | None:
        """The answer to a request that no thread shall see, while there are as many as threads already."""
        return None

    def turn_away_bytes(self, _received: bytes) -> bytes | None:
        """The same, where it can be told from all that has come; such a connection goes on."""
        return None

    # A connection's way through its phases.

    def _begin(self, connection: Connection) -> None:
        """Look at once: the kernel has mostly waited for a client's first bytes."""
        self._receive(connection)
        if connection in self._waiting and not connection.events:
            self._watch(connection, READ)

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
        if received and self._is_nonsense(connection, received):
            self._dismiss(connection)
        elif received and (answer := self._turn_away_bytes(connection, received)):
            connection.keeps = True
            connection.sock.sendall(answer)
            self._send(connection)
        elif received:
            connection.incoming.receive(self._scratch[:received])
            self._go_on(connection)
        elif received == 0:
            self._drop(connection)

    def _is_nonsense(self, connection: Connection, received: int) -> bool:
        return not connection.incoming.has_begun and not can_begin_request(self._scratch[:received])

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
            identifier = request_id(connection.request.request_id)
            self.log.exception("request %s failed", identifier)
            connection.keeps = False
            connection.sock.clear()
            connection.sock.sendall(
                answer_bytes(BROKEN, identifier, tls=connection.is_tls, is_head=connection.incoming.is_head)
            )
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
            if connection.incoming.has_begun or connection.has_more():
                self._go_on(connection)
            else:  # as mostly: there is nothing to look at
                self._count_memory(connection)
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
        connection.sock.sendall(answer_bytes(problem, tls=connection.is_tls, is_head=connection.incoming.is_head))
        self._send(connection)

    def _dismiss(self, connection: Connection) -> None:
        """Refuse what can be no request, and do not wait for the client to read that: whatever follows is as bad."""
        self.count_refusal(MALFORMED.kind.slug)
        connection.sock.sendall(answer_bytes(MALFORMED, tls=connection.is_tls))
        connection.flush()
        connection.finish()
        self._drop(connection)

    def _time_is_up(self, connection: Connection) -> None:
        if connection.phase in (Phase.HEAD, Phase.BODY) and connection.incoming.has_begun:
            self._refuse(connection, TOO_SLOW)
        else:
            self._drop(connection)

    def _keep_within_memory(self) -> None:
        """Of the bodies still arriving the oldest goes first, then the answer that waited longest for its client."""
        while self._buffered_bytes > self.limits.max_buffered_bytes:
            if body := self._waiting.first_to_go(Phase.BODY):
                self._guard(partial(self._refuse, problem=NO_ROOM), body)
            elif answer := self._waiting.first_to_go(Phase.SENDING):
                self._drop(answer)
            else:  # all of it is being answered
                return
