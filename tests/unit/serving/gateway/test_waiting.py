from dataclasses import dataclass

from serving.gateway.connection import Phase
from serving.gateway.waiting import Waiting
from tests.fakes import Clock


@dataclass(eq=False)
class Someone:
    phase: Phase
    since: float = 0.0
    deadline: float = 0.0


def make(clock: Clock) -> Waiting:
    return Waiting({Phase.HEAD: 10, Phase.BODY: 60, Phase.IDLE: 75}, clock)


def new(waiting: Waiting, phase: Phase):
    connection = Someone(phase)
    waiting.put(connection, phase)
    return connection


def test_each_phase_has_its_time_however_often_it_is_looked_at():
    clock = Clock()
    waiting = make(clock)
    head, body, busy = (new(waiting, phase) for phase in (Phase.HEAD, Phase.BODY, Phase.BUSY))

    clock.now += 11
    assert list(waiting.overdue()) == [head]
    waiting.put(head, Phase.BODY)
    assert list(waiting.overdue()) == []
    clock.now += 50
    assert list(waiting.overdue()) == [body]
    clock.now += 1e6
    assert busy not in list(waiting.overdue())


def test_the_one_that_waited_longest_makes_room_whatever_it_waits_for_and_nobody_whose_request_is_answered():
    clock = Clock()
    waiting = make(clock)
    new(waiting, Phase.BUSY)
    assert waiting.first_to_go() is None

    leaving_in_order = []
    for phase in (Phase.BODY, Phase.HEAD, Phase.IDLE, Phase.HEAD, Phase.BODY):
        clock.now += 1
        leaving_in_order.append(new(waiting, phase))
    answered = new(waiting, Phase.LINGERING)

    assert waiting.first_to_go(Phase.HEAD) is leaving_in_order[1]
    for expected in (answered, *leaving_in_order):
        assert waiting.first_to_go() is expected
        waiting.remove(expected)
    assert waiting.first_to_go() is None
    assert len(waiting) == 1


def test_a_hurried_phase_ends_soon_for_old_and_new():
    clock = Clock()
    waiting = make(clock)
    old = new(waiting, Phase.IDLE)

    waiting.hurry(Phase.IDLE, 2)

    late = new(waiting, Phase.IDLE)
    clock.now += 2
    assert list(waiting.overdue()) == [old, late]
