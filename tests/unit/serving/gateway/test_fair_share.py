"""What workers see of one another's connections."""

import os

import pytest

from serving.gateway.fair_share import NOTABLY_MORE, Shares


@pytest.fixture
def shares():
    return Shares(3)


def test_a_worker_with_notably_more_than_another_has_its_share(shares):
    here, there = shares.join(), shares.join()
    there.tell(5)

    here.tell(5 + NOTABLY_MORE)
    assert here.has_its_share
    assert not there.has_its_share

    here.tell(5 + NOTABLY_MORE - 1)
    assert not here.has_its_share


def test_the_one_with_fewest_counts(shares):
    here, busy, idle = shares.join(), shares.join(), shares.join()
    here.tell(10)
    busy.tell(10)
    idle.tell(0)

    assert here.has_its_share


def test_a_worker_alone_never_has_its_share(shares):
    here = shares.join()
    here.tell(1000)

    assert not here.has_its_share


def test_a_worker_that_takes_none_yet_or_any_more_does_not_count(shares):
    here, other = shares.join(), shares.join()
    here.tell(10)
    assert not here.has_its_share

    other.tell(0)
    other.close()
    assert not here.has_its_share


def test_the_place_of_one_that_ended_is_given_to_the_next(shares):
    here = shares.join()
    here.tell(10)
    for _ in range(10):
        other = shares.join()
        other.tell(0)
        assert here.has_its_share
        shares.leave(other)
        assert not here.has_its_share


def test_one_for_whom_there_is_no_place_is_alone_and_takes_nobodys(shares):
    placed = [shares.join() for _ in range(3)]
    late = shares.join()
    for place in placed:
        place.tell(0)
    late.tell(10)

    assert not late.has_its_share
    shares.leave(late)
    assert not placed[0].has_its_share
    placed[0].tell(NOTABLY_MORE)
    assert placed[0].has_its_share


def test_forked_processes_see_one_another(shares):
    here, other = shares.join(), shares.join()
    here.tell(10)
    child = os.fork()
    if child == 0:
        other.tell(0)
        os._exit(0)
    os.waitpid(child, 0)

    assert here.has_its_share
