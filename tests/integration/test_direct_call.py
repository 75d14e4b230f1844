"""Calls that nobody waits for, of a real gRPC server. No TensorFlow."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import grpc
import pytest

from serving.direct_call import DirectCalls, Ended
from serving.direct_method import Call, DirectMethod
from tests.ports import free_port

WAIT_S = 30.0
PATH = "/test.Service/Answer"
MOST_CALLS = 64

Answer = Callable[[bytes, grpc.ServicerContext], bytes]


class Running:
    """A server of one method, and calls of it."""

    def __init__(self, answer: Answer) -> None:
        self.server = grpc.server(ThreadPoolExecutor(MOST_CALLS))
        handlers = {"Answer": grpc.unary_unary_rpc_method_handler(answer)}
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", handlers),))
        port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        before = set(threading.enumerate())
        self.calls = DirectCalls(self.channel, PATH)
        [self.thread] = set(threading.enumerate()) - before
        self.ends: SimpleQueue[Ended] = SimpleQueue()

    def start(self, request: bytes, timeout_s: float = WAIT_S) -> None:
        self.calls.start(request, timeout_s, self.ends.put)

    def end(self) -> Ended:
        return self.ends.get(timeout=WAIT_S)

    def end_of(self, request: bytes, timeout_s: float = WAIT_S) -> Ended:
        self.start(request, timeout_s)
        return self.end()

    def hears_no_more(self) -> bool:
        self.thread.join(WAIT_S)
        return not self.thread.is_alive()


Start = Callable[[Answer], Running]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[Running] = []

    def run(answer: Answer) -> Running:
        running.append(Running(answer))
        return running[-1]

    yield run
    for one in running:
        one.calls.close()
        one.server.stop(None).wait()
        assert one.hears_no_more()
        one.channel.close()


def echo(request: bytes, _context: Any) -> bytes:
    return b"echo " + request


def test_tells_the_reply(start: Start) -> None:
    assert start(echo).end_of(b"x") == Ended(grpc.StatusCode.OK, "", b"echo x")


def test_an_empty_reply_is_a_reply(start: Start) -> None:
    assert start(lambda _request, _context: b"").end_of(b"").reply == b""


def test_tells_the_code_and_the_text_of_a_failure(start: Start) -> None:
    def refuse(_request: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(grpc.StatusCode.NOT_FOUND, "no such é")

    assert start(refuse).end_of(b"") == Ended(grpc.StatusCode.NOT_FOUND, "no such é", None)


def test_what_is_no_code_of_grpcs_is_unknown(start: Start) -> None:
    class Status:
        code, details, trailing_metadata = 77, "odd", ()

    ended = start(lambda _request, context: context.abort_with_status(Status)).end_of(b"")

    assert ended.code is grpc.StatusCode.UNKNOWN
    assert ended.reply is None


def test_ok_without_a_message_is_no_reply() -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    method = DirectMethod(server, PATH, lambda call: call.fail(grpc.StatusCode.OK.value[0], "well"), 1)
    server.start()
    method.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        ended = first_end(channel)
    server.stop(None).wait()

    assert (ended.code, ended.reply) == (grpc.StatusCode.UNIMPLEMENTED, None)


def first_end(channel: grpc.Channel, timeout_s: float = WAIT_S) -> Ended:
    calls, ends = DirectCalls(channel, PATH), SimpleQueue[Ended]()
    calls.start(b"", timeout_s, ends.put)
    calls.close()
    return ends.get(timeout=WAIT_S)


def test_a_call_ends_when_its_time_is_up(start: Start) -> None:
    may_answer = threading.Event()

    def late(request: bytes, _context: Any) -> bytes:
        may_answer.wait(WAIT_S)
        return request

    began = time.monotonic()
    ended = start(late).end_of(b"", timeout_s=0.2)
    may_answer.set()

    assert ended.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert 0.2 <= time.monotonic() - began < WAIT_S / 2


def test_time_that_is_up_already_ends_a_call_too(start: Start) -> None:
    assert start(echo).end_of(b"", timeout_s=-1.0).code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_server_that_is_away_is_told() -> None:
    with grpc.insecure_channel(f"127.0.0.1:{free_port()}") as channel:
        assert first_end(channel).code is grpc.StatusCode.UNAVAILABLE


def with_a_call_under_way(start: Start) -> tuple[Any, threading.Event]:
    """The call has come to its server, which answers once the event is set."""
    came, may_answer = threading.Event(), threading.Event()

    def hold(request: bytes, _context: Any) -> bytes:
        came.set()
        may_answer.wait(WAIT_S)
        return request

    running = start(hold)
    running.start(b"")
    assert came.wait(WAIT_S)
    return running, may_answer


def test_a_server_that_goes_away_is_told_to_the_calls_under_way(start: Start) -> None:
    running, may_answer = with_a_call_under_way(start)
    running.server.stop(0)

    assert running.end().code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    may_answer.set()


class Together:
    """An answer that waits until so many calls are under way."""

    def __init__(self, calls: int) -> None:
        self.barrier = threading.Barrier(calls)

    def __call__(self, request: bytes, context: Any) -> bytes:
        self.barrier.wait(WAIT_S)
        return echo(request, context)


def test_many_calls_are_under_way_at_once_and_each_is_told_its_own_end(start: Start) -> None:
    running = start(Together(MOST_CALLS))
    told: SimpleQueue[tuple[bytes, bytes | None]] = SimpleQueue()

    for number in range(MOST_CALLS):
        request = b"%d" % number
        running.calls.start(request, WAIT_S, lambda ended, request=request: told.put((request, ended.reply)))

    ends = [told.get(timeout=WAIT_S) for _ in range(MOST_CALLS)]
    assert {request for request, _ in ends} == {b"%d" % number for number in range(MOST_CALLS)}
    assert all(reply == b"echo " + request for request, reply in ends)


def test_many_threads_may_start_calls(start: Start) -> None:
    running = start(echo)
    count = 200

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(running.start, [b"%d" % number for number in range(count)]))

    assert {running.end().reply for _ in range(count)} == {b"echo %d" % number for number in range(count)}


def test_a_bug_of_who_is_told_keeps_nobody_else_from_hearing(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    running = start(echo)

    running.calls.start(b"", WAIT_S, lambda _ended: 1 / 0)

    assert running.end_of(b"x").reply == b"echo x"
    running.calls.close()
    assert running.hears_no_more()
    assert "the end of a call could not be told" in caplog.text


def test_who_is_told_may_start_the_next(start: Start) -> None:
    running = start(echo)

    running.calls.start(b"first", WAIT_S, lambda ended: running.start(ended.reply or b""))

    assert running.end().reply == b"echo echo first"


def test_all_that_are_under_way_at_the_close_are_told_and_then_the_thread_ends(start: Start) -> None:
    running, calls = start(Together(5)), 4
    for _ in range(calls):
        running.start(b"x")
    running.calls.close()
    assert running.thread.is_alive()
    running.channel.unary_unary(PATH)(b"the fifth", timeout=WAIT_S)

    assert [running.end().reply for _ in range(calls)] == [b"echo x"] * calls
    assert running.hears_no_more()


def test_a_close_without_a_call_ends_the_thread(start: Start) -> None:
    running = start(echo)
    running.calls.close()
    assert running.hears_no_more()


def test_no_call_starts_after_the_close(start: Start) -> None:
    running = start(echo)
    running.calls.close()
    with pytest.raises(ValueError, match="no call may be started any more"):
        running.start(b"")
    assert running.hears_no_more()


def test_a_channel_that_is_closed_ends_its_calls_and_takes_no_more(start: Start) -> None:
    running, may_answer = with_a_call_under_way(start)
    running.channel.close()
    may_answer.set()

    assert running.end().code is grpc.StatusCode.CANCELLED
    with pytest.raises(ValueError, match="closed"):
        running.start(b"")
    assert running.thread.is_alive()  # it waits for a close


# With fork support gRPC's queue wakes who waits in it each second, for nothing.
WITH_FORK_SUPPORT = """
import sys, threading
import grpc
from serving.direct_call import DirectCalls

ended = threading.Event()
with grpc.insecure_channel(sys.argv[1]) as channel:
    calls = DirectCalls(channel, "/test.Service/Answer")
    calls.start(b"x", 30, lambda end: (print(end.code.name, end.reply), ended.set()))
    assert ended.wait(30)
    calls.close()
"""


def test_a_long_call_is_told_where_grpc_minds_forks() -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")

    def answer(call: Call) -> None:
        time.sleep(1.5)
        call.reply(call.request)

    method = DirectMethod(server, PATH, answer, 1)
    server.start()
    method.start()
    done = subprocess.run(
        [sys.executable, "-c", WITH_FORK_SUPPORT, f"127.0.0.1:{port}"],
        env=os.environ | {"GRPC_ENABLE_FORK_SUPPORT": "1"},
        capture_output=True,
        text=True,
        timeout=2 * WAIT_S,
        check=False,
    )
    server.stop(None).wait()

    assert done.stdout == "OK b'x'\n", done.stderr
