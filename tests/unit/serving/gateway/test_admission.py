from contextlib import ExitStack

import pytest

from serving.errors import DeadlineExceeded, ModelServerUnreachable, Overloaded
from serving.gateway.admission import Admission
from tests.fakes import Clock

LONG_S = 1000.0


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def admission(clock):
    return Admission(4, clock)


def take(admission: Admission, clock: Clock, seconds: float, times: int = 1, model: str = "houses") -> None:
    """So many requests, one after the other, each of which takes so long."""
    for _ in range(times):
        with admission.admit(model, LONG_S):
            clock.now += seconds


def may_begin(admission: Admission, timeout_s: float, model: str = "houses") -> bool:
    try:
        with admission.admit(model, timeout_s):
            raise ModelServerUnreachable("what fails teaches nothing")
    except ModelServerUnreachable:
        return True
    except Overloaded:
        return False


def test_no_more_begin_than_the_limit_and_the_next_may_once_one_has_ended(admission):
    with ExitStack() as under_way:
        for _ in range(4):
            assert not admission.is_full
            under_way.enter_context(admission.admit("houses", LONG_S))
        assert admission.is_full
        with pytest.raises(Overloaded, match="as many requests under way as it takes"):
            under_way.enter_context(admission.admit("houses", LONG_S))
    assert may_begin(admission, LONG_S)


def test_what_fails_leaves_its_place_too(admission):
    for _ in range(10):
        with pytest.raises(ZeroDivisionError), admission.admit("houses", LONG_S):
            raise ZeroDivisionError
    assert not admission.is_full


def test_what_cannot_end_in_time_does_not_begin(admission, clock):
    take(admission, clock, seconds=1)
    with admission.admit("houses", LONG_S), admission.admit("houses", LONG_S):
        assert not may_begin(admission, timeout_s=2.9)  # three share what took one a second
        assert may_begin(admission, timeout_s=3)
        with pytest.raises(Overloaded, match="would come too late"), admission.admit("houses", 2.9):
            pass


def test_where_nothing_is_under_way_anything_may_be_tried(admission, clock):
    take(admission, clock, seconds=100)

    assert may_begin(admission, timeout_s=0.001)


def test_each_model_has_its_own_time(admission, clock):
    take(admission, clock, seconds=100, model="slow")
    with admission.admit("slow", LONG_S):
        assert may_begin(admission, timeout_s=1, model="quick")
        assert not may_begin(admission, timeout_s=1, model="slow")


def test_good_news_is_believed_sooner_than_bad(admission, clock):
    take(admission, clock, seconds=0.01)
    take(admission, clock, seconds=10)  # one odd request
    with admission.admit("houses", LONG_S):
        assert may_begin(admission, timeout_s=2)

    take(admission, clock, seconds=10, times=100)
    with admission.admit("houses", LONG_S):
        assert not may_begin(admission, timeout_s=2)

    take(admission, clock, seconds=0.01, times=10)
    with admission.admit("houses", LONG_S):
        assert may_begin(admission, timeout_s=2)


def test_who_shared_with_others_teaches_what_a_request_takes_alone(admission, clock):
    with ExitStack() as first:
        first.enter_context(admission.admit("houses", LONG_S))
        with admission.admit("houses", LONG_S):
            clock.now += 2  # each of two: a second alone
        assert may_begin(admission, timeout_s=2)
        assert not may_begin(admission, timeout_s=1.9)


def test_what_ran_out_of_time_teaches_that_it_takes_longer_never_that_it_is_quicker(admission, clock):
    def late(seconds: float, model: str) -> None:
        with admission.admit(model, LONG_S):
            clock.now += seconds
            raise DeadlineExceeded("late")

    def run_out(seconds: float, times: int, model: str = "houses") -> None:
        for _ in range(times):
            with pytest.raises(DeadlineExceeded):
                late(seconds, model)

    take(admission, clock, seconds=1)
    run_out(0.001, times=100)
    run_out(0.001, times=1, model="no such model")
    with admission.admit("houses", LONG_S):
        assert not may_begin(admission, timeout_s=1.9)
    run_out(10, times=100)
    with admission.admit("houses", LONG_S):
        assert not may_begin(admission, timeout_s=10)
