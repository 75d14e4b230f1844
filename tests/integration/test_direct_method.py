"""Methods of a real gRPC server whose calls come from a completion queue of their own. No TensorFlow."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import grpc
import pytest

from serving.direct_method import Call, DirectMethod, DirectQueue

WAIT_S = 30.0
PATH = "/test.Service/Direct"
OTHER = "/test.Service/Other"
MAX_THREADS = 4

Handle = Callable[[Call], None]


class Running:
    """A server with one direct method, one ordinary one, and a channel to it."""

    def __init__(self, handle: Handle) -> None:
        self.server = grpc.server(ThreadPoolExecutor(1))
        ordinary = grpc.unary_unary_rpc_method_handler(lambda request, _: b"other " + request)
        handlers = dict.fromkeys(("Direct", "Other"), ordinary)  # the direct one takes the place of its namesake
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", handlers),))
        self.server.add_registered_method_handlers("test.Service", handlers)
        port = self.server.add_insecure_port("127.0.0.1:0")
        self.method = DirectMethod(self.server, PATH, handle, MAX_THREADS)
        self.server.start()
        self.method.start()
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")

    def call(self, request: bytes, path: str = PATH, timeout_s: float | None = WAIT_S) -> bytes:
        reply: bytes = self.channel.unary_unary(path)(request, timeout=timeout_s, wait_for_ready=True)
        return reply


@pytest.fixture
def start() -> Iterator[Callable[[Handle], Running]]:
    running: list[Running] = []

    def run(handle: Handle) -> Running:
        running.append(Running(handle))
        return running[-1]

    yield run
    for one in running:
        one.channel.close()
        one.server.stop(None)


Start = Callable[[Handle], Running]


def direct_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("grpc-direct")}


def test_answers_while_the_server_answers_its_other_methods(start: Start) -> None:
    running = start(lambda call: call.reply(b"direct " + call.request))
    assert running.call(b"x") == b"direct x"
    assert running.call(b"x", OTHER) == b"other x"


def test_an_empty_request_is_a_request(start: Start) -> None:
    assert start(lambda call: call.reply(b"[" + call.request + b"]")).call(b"") == b"[]"


def test_fails_with_the_code_and_the_text_it_is_given(start: Start) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        start(lambda call: call.fail(grpc.StatusCode.NOT_FOUND.value[0], "no such é")).call(b"")
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.NOT_FOUND, "no such é")


def test_a_bug_ends_its_call_alone(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    def handle(call: Call) -> None:
        if call.request == b"bad":
            raise KeyError("surprise")
        call.reply(b"good")

    running = start(handle)
    with pytest.raises(grpc.RpcError) as caught:
        running.call(b"bad")
    assert (caught.value.code(), caught.value.details()) == (
        grpc.StatusCode.UNKNOWN,
        "Exception calling application: 'surprise'",
    )
    assert "Exception calling application" in caplog.text
    assert running.call(b"ok") == b"good"


def test_as_many_calls_as_threads_are_handled_at_a_time(start: Start) -> None:
    together = threading.Barrier(MAX_THREADS)

    def handle(call: Call) -> None:
        together.wait(WAIT_S)
        call.reply(call.request)

    running = start(handle)
    with ThreadPoolExecutor(MAX_THREADS) as callers:
        requests = [bytes([number]) for number in range(2 * MAX_THREADS)]
        assert list(callers.map(running.call, requests)) == requests


def test_a_call_may_be_answered_later_by_another_thread(start: Start) -> None:
    waiting: list[Call] = []
    came = threading.Semaphore(0)

    def handle(call: Call) -> None:
        waiting.append(call)
        came.release()

    running = start(handle)
    count = 4 * MAX_THREADS  # no thread is held meanwhile
    with ThreadPoolExecutor(count) as callers:
        replies = callers.map(running.call, [bytes([number]) for number in range(count)])
        for _ in range(count):
            assert came.acquire(timeout=WAIT_S)
        for call in waiting:
            call.reply(call.request)
        assert sorted(replies) == [bytes([number]) for number in range(count)]


def test_knows_how_long_the_client_waits(start: Start) -> None:
    left: list[float] = []

    def handle(call: Call) -> None:
        left.append(call.time_remaining_s())
        call.reply(b"")

    running = start(handle)
    running.call(b"", timeout_s=100.0)
    running.call(b"", timeout_s=None)
    assert 0 < left[0] <= 102  # gRPC rounds long times up, by about a hundredth
    assert left[1] > 365 * 24 * 3600


def test_a_client_that_goes_away_does_no_harm(start: Start) -> None:
    came, may_answer = threading.Event(), threading.Event()

    def handle(call: Call) -> None:
        came.set()
        assert may_answer.wait(WAIT_S)
        call.reply(b"there")

    running = start(handle)
    abandoned = running.channel.unary_unary(PATH).future(b"", timeout=WAIT_S)
    assert came.wait(WAIT_S)
    abandoned.cancel()
    may_answer.set()
    assert running.call(b"") == b"there"


def test_a_stop_waits_for_the_calls_in_flight_and_ends_the_threads(start: Start) -> None:
    before = direct_threads()
    came, may_answer = threading.Event(), threading.Event()

    def handle(call: Call) -> None:
        came.set()
        assert may_answer.wait(WAIT_S)
        call.reply(b"done")

    running = start(handle)
    started = direct_threads() - before
    reply = running.channel.unary_unary(PATH).future(b"", timeout=WAIT_S, wait_for_ready=True)
    assert came.wait(WAIT_S)
    stopped = running.server.stop(WAIT_S)
    assert not stopped.wait(0.05)
    may_answer.set()
    assert reply.result() == b"done"
    assert stopped.wait(WAIT_S)
    for thread in started:
        thread.join(WAIT_S)
        assert not thread.is_alive()


def test_a_stop_without_a_call_ends_the_threads_too(start: Start) -> None:
    before = direct_threads()
    running = start(lambda call: call.reply(b""))
    started = direct_threads() - before
    running.server.stop(None).wait(WAIT_S)
    for thread in started:
        thread.join(WAIT_S)
        assert not thread.is_alive()


class Queued:
    """A server with methods that one thread takes from one queue, and a channel to it."""

    def __init__(self, **handles: Handle) -> None:
        self.server = grpc.server(ThreadPoolExecutor(1))
        port = self.server.add_insecure_port("127.0.0.1:0")
        self.queue = DirectQueue(self.server, {f"/test.Service/{name}": handle for name, handle in handles.items()})
        self.server.start()
        self.queue.open()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")

    def _run(self) -> None:
        while self.queue.take():
            pass

    def start(self, name: str, request: bytes = b"") -> grpc.Future:
        return self.channel.unary_unary(f"/test.Service/{name}").future(request, timeout=WAIT_S, wait_for_ready=True)

    def call(self, name: str, request: bytes = b"") -> bytes:
        reply: bytes = self.start(name, request).result()
        return reply

    def stop(self) -> None:
        self.server.stop(None).wait(WAIT_S)

    def has_ended(self) -> bool:
        self.thread.join(WAIT_S)
        return not self.thread.is_alive()


@pytest.fixture
def queued() -> Iterator[Callable[..., Queued]]:
    running: list[Queued] = []

    def run(**handles: Handle) -> Queued:
        running.append(Queued(**handles))
        return running[-1]

    yield run
    for one in running:
        one.channel.close()
        one.stop()
        assert one.has_ended()


Queue = Callable[..., Queued]


def test_one_thread_answers_the_calls_of_several_methods(queued: Queue) -> None:
    running = queued(One=lambda call: call.reply(b"one " + call.request), Two=lambda call: call.reply(b"two"))

    assert [running.call("One", b"x"), running.call("Two"), running.call("One", b"y")] == [b"one x", b"two", b"one y"]


def test_a_queue_whose_server_stopped_before_it_was_opened_ends() -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_insecure_port("127.0.0.1:0")
    queue = DirectQueue(server, {f"/test.Service/{name}": lambda call: call.reply(b"") for name in ("One", "Two")})
    server.start()
    server.stop(None).wait(WAIT_S)

    queue.open()

    assert not queue.take()


def test_who_has_waited_long_enough_takes_nothing() -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_insecure_port("127.0.0.1:0")
    queue = DirectQueue(server, {PATH: lambda call: call.reply(b"")})
    server.start()
    queue.open()

    began = time.time()
    assert queue.take(until=began + 0.05)  # more may come

    assert 0.05 <= time.time() - began < WAIT_S / 2
    server.stop(None).wait(WAIT_S)
    while queue.take():
        pass


def test_what_is_to_be_done_later_is_done_by_the_queues_thread_whoever_says_so(queued: Queue) -> None:
    done: SimpleQueue[threading.Thread] = SimpleQueue()

    def handle(call: Call) -> None:
        def end() -> None:
            done.put(threading.current_thread())
            call.reply(b"later")

        now = call.later(end)
        if call.request == b"by another":
            threading.Thread(target=now).start()
        else:
            now()

    running = queued(One=handle)
    for request in (b"by another", b"by itself"):
        assert running.call("One", request) == b"later"
        assert done.get(timeout=WAIT_S) is running.thread


def test_what_is_to_be_done_later_comes_after_what_is_in_the_queue_already(queued: Queue) -> None:
    done: list[int] = []

    def handle(call: Call) -> None:
        for number in range(20):
            call.later(lambda number=number: done.append(number))()
        call.later(lambda: call.reply(b""))()
        assert not done

    queued(One=handle).call("One")

    assert done == list(range(20))


def test_something_may_be_done_after_the_call_was_answered(queued: Queue) -> None:
    done: SimpleQueue[bytes] = SimpleQueue()
    before: SimpleQueue[Callable[[], None]] = SimpleQueue()
    calls: SimpleQueue[Call] = SimpleQueue()

    def handle(call: Call) -> None:
        before.put(call.later(lambda: done.put(b"said before")))
        calls.put(call)
        call.reply(b"")

    running = queued(One=handle)
    running.call("One")
    running.call("One")  # by now the first has ended in every way
    before.get()()
    assert done.get(timeout=WAIT_S) == b"said before"

    calls.get().later(lambda: done.put(b"said after"))()
    assert done.get(timeout=WAIT_S) == b"said after"
    before.get()()


def test_a_bug_in_what_is_done_later_is_logged_and_the_thread_goes_on(
    queued: Queue, caplog: pytest.LogCaptureFixture
) -> None:
    def handle(call: Call) -> None:
        call.later(lambda: 1 / 0)()
        call.later(lambda: call.reply(b"still there"))()

    running = queued(One=handle)

    assert [running.call("One"), running.call("One")] == [b"still there"] * 2
    assert "what was to be done later failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_a_queue_does_not_end_before_what_is_to_be_done_later(queued: Queue) -> None:
    nows: SimpleQueue[Callable[[], None]] = SimpleQueue()
    done = threading.Event()

    def handle(call: Call) -> None:
        nows.put(call.later(done.set))
        call.reply(b"")

    running = queued(One=handle)
    running.call("One")
    running.stop()
    running.thread.join(0.1)
    assert running.thread.is_alive()

    nows.get()()

    assert done.wait(WAIT_S)
    assert running.has_ended()


def test_nothing_can_be_done_later_once_the_queue_has_ended(queued: Queue) -> None:
    calls: SimpleQueue[Call] = SimpleQueue()

    def handle(call: Call) -> None:
        calls.put(call)
        call.reply(b"")

    running = queued(One=handle)
    running.call("One")
    running.stop()
    assert running.has_ended()

    with pytest.raises(ValueError, match="the queue has ended"):
        calls.get().later(lambda: None)


def test_a_bug_at_the_end_of_one_call_does_not_hold_a_stop_up(queued: Queue) -> None:
    def handle(call: Call) -> None:
        call.reply(b"well")
        raise KeyError("afterwards")

    running = queued(One=handle)
    assert running.call("One") == b"well"
    running.stop()
    assert running.has_ended()
