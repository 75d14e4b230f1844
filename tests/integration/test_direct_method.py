"""A method of a real gRPC server that answers from the threads of its own completion queue. No TensorFlow."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from serving.direct_method import Call, DirectMethod

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
