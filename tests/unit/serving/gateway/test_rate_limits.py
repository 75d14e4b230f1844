import os

import pytest

from serving.gateway.rate_limits import RateLimits
from tests.fakes import Clock


@pytest.fixture
def clock():
    return Clock()


def taken(limits: RateLimits, times: int = 1000, index: int = 0) -> int:
    """How many of so many requests are let through."""
    return sum(limits.take(index) == 0 for _ in range(times))


@pytest.mark.parametrize(("rate", "burst"), [(100.0, 100), (3.0, 3), (1.0, 1), (0.1, 1)])
def test_a_second_worth_of_requests_may_come_at_once_and_one_always_may(clock, rate, burst):
    assert taken(RateLimits([rate], clock)) == burst


def test_over_time_the_rate_is_kept(clock):
    limits = RateLimits([10.0], clock)
    taken(limits)

    through = 0
    for _ in range(200):  # 10 s
        clock.now += 0.05
        through += taken(limits, times=3)
    assert through == 100


def test_the_wait_it_tells_is_enough(clock):
    limits = RateLimits([0.25], clock)
    limits.take(0)
    clock.now += limits.take(0)

    assert limits.take(0) == 0


def test_waiting_long_saves_no_more_than_a_seconds_worth(clock):
    limits = RateLimits([5.0], clock)
    taken(limits)
    clock.now += 3600

    assert taken(limits) == 5


def test_no_rate_is_no_limit(clock):
    assert taken(RateLimits([None], clock)) == 1000


def test_a_forked_process_takes_from_the_same_bucket(clock):
    limits = RateLimits([5.0, 5.0], clock)
    taken(limits, times=3, index=1)

    child = os.fork()
    if child == 0:
        os._exit(taken(limits, index=1))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    assert (taken(limits, index=1), taken(limits, index=0)) == (0, 5)
