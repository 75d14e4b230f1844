import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving.gateway import turns
from tests.gateway_process import wait_until


class Room:
    """Who computes, and what they wait for."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.waits = threading.Event()
        self._lock = threading.Lock()

    def count(self, change: int) -> None:
        with self._lock:
            self.inside += change
            self.most = max(self.most, self.inside)

    def compute(self) -> None:
        self.count(1)
        self.waits.wait(60)
        self.count(-1)


@pytest.fixture
def room():
    return Room()


def test_no_more_threads_compute_than_there_are_turns(room):
    def work() -> None:
        with turns.taken():
            room.compute()

    with ThreadPoolExecutor(8) as pool:
        working = [pool.submit(work) for _ in range(8)]
        wait_until(lambda: room.inside == turns.MOST)
        room.waits.set()
        for one in working:
            one.result()
    assert room.most == turns.MOST


def test_who_waits_for_others_lets_another_compute_and_goes_on_after(room):
    answered = threading.Event()
    waiting = []

    def ask() -> None:
        with turns.taken():
            with turns.given_up():
                waiting.append(1)
                answered.wait(60)
            room.compute()

    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask) for _ in range(8)]
        wait_until(lambda: len(waiting) == 8)  # all at once, though there are fewer turns
        room.waits.set()
        answered.set()
        for one in asking:
            one.result()
    assert room.most <= turns.MOST


def test_a_turn_comes_back_whatever_happens(room):
    for _ in range(2 * turns.MOST):
        with pytest.raises(ZeroDivisionError), turns.taken(), turns.given_up():
            raise ZeroDivisionError
    room.waits.set()
    with turns.taken():
        room.compute()


def test_a_thread_that_has_no_turn_gives_none_up(room):
    for _ in range(2 * turns.MOST):
        with turns.given_up():
            pass
    test_no_more_threads_compute_than_there_are_turns(room)
