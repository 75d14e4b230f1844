"""Calls that go together without a thread each: who goes when, what they are told, and what a bug of one does."""

import math
import threading
from contextvars import ContextVar, copy_context

import numpy as np
import pytest

from serving.errors import DeadlineExceeded, ModelServerFault, ModelServerUnreachable
from serving.gateway.lanes import Lanes, Rider

KIND = ("m", 1)
WAIT_S = 10.0
whose = ContextVar("whose", default="")


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def rows(*values):
    return {"x": np.array(values, np.float32)[:, None]}


def double(inputs, _timeout_s):
    return {"y": inputs["x"] * 2}


def rider(values, told, expires=math.inf, context=None):
    return Rider(rows(*values), len(values), expires, context or copy_context(), told.append)


def values(outcome):
    return outcome["y"][:, 0].tolist()


def test_a_lone_call_goes_at_once_and_is_told_before_it_returns():
    told = []

    Lanes(8).join(KIND, rider([1, 2], told), double)

    assert [values(outcome) for outcome in told] == [[2, 4]]


class Held:
    """A send whose first call waits until it is let go; what came meanwhile waits in its lane."""

    def __init__(self):
        self.sent, self.under_way, self.go = [], threading.Event(), threading.Event()

    def __call__(self, inputs, timeout_s):
        self.sent.append((inputs["x"][:, 0].tolist(), timeout_s))
        if len(self.sent) == 1:
            self.under_way.set()
            assert self.go.wait(WAIT_S)
        return double(inputs, timeout_s)


def while_one_is_under_way(lanes, send, *riders, kind=KIND, meanwhile=lambda: None):
    """Riders who join while a first call is under way; none of them may have to wait for it in `join`."""
    first = []
    driver = threading.Thread(target=lanes.join, args=(KIND, rider([0], first), send))
    driver.start()
    assert send.under_way.wait(WAIT_S)
    for one in riders:
        lanes.join(kind, one, send)
    meanwhile()
    send.go.set()
    driver.join(WAIT_S)
    assert not driver.is_alive()
    return first


def test_who_comes_meanwhile_holds_no_thread_and_goes_together_with_the_next():
    lanes, send, told = Lanes(8), Held(), []

    first = while_one_is_under_way(lanes, send, rider([1], told), rider([2, 3], told))

    assert [batch for batch, _ in send.sent] == [[0], [1, 2, 3]]
    assert [values(outcome) for outcome in (*first, *told)] == [[0], [2], [4, 6]]


def test_no_batch_has_more_rows_than_it_may():
    lanes, send, told = Lanes(2), Held(), []

    while_one_is_under_way(lanes, send, *(rider([value], told) for value in (1, 2, 3)))

    assert [batch for batch, _ in send.sent] == [[0], [1, 2], [3]]


def test_calls_of_another_kind_wait_for_nobody():
    lanes, send, told = Lanes(8), Held(), []

    while_one_is_under_way(
        lanes, send, rider([5], told), kind=("m", 2), meanwhile=lambda: told.append([values(one) for one in told])
    )

    assert told[1] == [[10]]


def test_a_batch_has_the_time_of_who_has_most_and_who_has_none_left_is_told():
    clock, told, late = Clock(), [], []
    lanes, send = Lanes(8, clock), Held()

    def time_passes():
        clock.now = 4.0

    while_one_is_under_way(
        lanes, send, rider([1], told, 5.0), rider([2], late, 3.0), rider([3], told, 9.0), meanwhile=time_passes
    )

    assert send.sent[1] == ([1, 3], 5.0)
    assert [values(outcome) for outcome in told] == [[2], [6]]
    assert [type(outcome) for outcome in late] == [DeadlineExceeded]


def test_what_says_something_of_the_server_is_told_to_all():
    lanes, send, told = Lanes(8), Held(), []

    def away(inputs, timeout_s):
        if 0 not in inputs["x"]:
            raise ModelServerUnreachable("away")
        return send(inputs, timeout_s)

    away.under_way, away.go = send.under_way, send.go
    while_one_is_under_way(lanes, away, rider([1], told), rider([2], told))

    assert [type(outcome) for outcome in told] == [ModelServerUnreachable] * 2


def test_a_fault_that_may_be_about_somebodys_rows_is_told_to_nobody_who_has_not_asked_alone():
    lanes, send, told = Lanes(8), Held(), []

    def choosy(inputs, timeout_s):
        if 2 in inputs["x"]:
            raise ModelServerFault("not 2")
        return send(inputs, timeout_s)

    choosy.under_way, choosy.go = send.under_way, send.go
    while_one_is_under_way(lanes, choosy, rider([1], told), rider([2], told), rider([3], told))

    assert [values(one) if isinstance(one, dict) else str(one) for one in told] == [[2], "not 2", [6]]


def test_everybody_is_told_in_their_own_context_and_the_batch_sent_in_that_of_who_leads():
    lanes, held, told, sender = Lanes(8), Held(), [], []

    def send(inputs, timeout_s):
        sender.append(whose.get())
        return held(inputs, timeout_s)

    send.under_way, send.go = held.under_way, held.go
    riders = []
    for name, expires in (("ada", 5.0), ("bob", 7.0)):
        context = copy_context()
        context.run(whose.set, name)
        one = rider([1], [], expires, context)
        one.tell = lambda _outcome: told.append(whose.get())
        riders.append(one)

    lanes = Lanes(8, Clock())
    while_one_is_under_way(lanes, send, *riders)

    assert told == ["ada", "bob"]
    assert sender == ["", "bob"]


def test_who_cannot_hear_keeps_nobody_else_from_hearing(caplog: pytest.LogCaptureFixture):
    lanes, send, told = Lanes(8), Held(), []
    deaf = rider([1], [])
    deaf.tell = lambda _outcome: 1 / 0

    while_one_is_under_way(lanes, send, deaf, rider([2], told))
    lanes.join(KIND, rider([3], told), double)  # the lane is free again

    assert [values(outcome) for outcome in told] == [[4], [6]]
    assert "a caller could not be told" in caplog.text


def test_a_reply_of_another_size_is_a_fault_of_the_model_servers_so_each_asks_alone():
    lanes, held, told = Lanes(8), Held(), []

    def short(inputs, timeout_s):
        return {"y": held(inputs, timeout_s)["y"][:1]}

    short.under_way, short.go = held.under_way, held.go
    while_one_is_under_way(lanes, short, rider([1], told), rider([2], told))
    lanes.join(KIND, rider([3], told), double)

    assert [values(one) for one in told] == [[2], [4], [6]]  # asked again, each alone


def test_hears_how_many_went_together():
    heard = []
    lanes, send = Lanes(8, observe=lambda kind, calls: heard.append((kind, calls))), Held()

    while_one_is_under_way(lanes, send, rider([1], []), rider([2], []))

    assert heard == [(KIND, 1), (KIND, 2)]
