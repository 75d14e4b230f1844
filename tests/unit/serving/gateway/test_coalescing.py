"""Callers are threads, but what happens when is settled: a model server that answers only when told to."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from serving.errors import DeadlineExceeded, ModelServerFault, ModelServerUnreachable
from serving.gateway.coalescing import Coalescer
from serving.gateway.model_server import Tensor, Tensors
from tests.gateway_process import wait_until

LONG_S = 60.0


class Doubler:
    """Doubles x; holds every call until it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[float]] = []  # x of every call that came
        self.timeouts_s: list[float] = []
        self.fault_of: Callable[[list[float]], Exception | None] = lambda _: None
        self.open = threading.Semaphore(0)

    def send(self, inputs: Tensors, timeout_s: float) -> dict[str, Tensor]:
        batch = inputs["x"].tolist()
        self.timeouts_s.append(timeout_s)
        self.batches.append(batch)
        self.open.acquire()
        if fault := self.fault_of(batch):
            raise fault
        return {"y": inputs["x"] * 2}


class Callers:
    """Many callers of one coalescer."""

    def __init__(self, pool: ThreadPoolExecutor, max_rows: int) -> None:
        self.server = Doubler()
        self.coalescer = Coalescer(max_rows)
        self._pool = pool

    def call(self, *x: float, timeout_s: float = LONG_S, kind: str = "model") -> Future[list[float]]:
        def run() -> list[float]:
            inputs = {"x": np.array(x, np.float32)}
            return self.coalescer.run((kind,), inputs, len(x), timeout_s, self.server.send)["y"].tolist()

        return self._pool.submit(run)

    def call_and_line_up(self, *x: float, timeout_s: float = LONG_S) -> Future[list[float]]:
        """A call that must wait, once it does."""
        before = self._waiting()
        future = self.call(*x, timeout_s=timeout_s)
        wait_until(lambda: self._waiting() == before + 1)
        return future

    def let_go(self, calls: int) -> None:
        self.server.open.release(calls)

    def wait_for_batches(self, count: int) -> None:
        wait_until(lambda: len(self.server.batches) == count)

    def _waiting(self) -> int:
        return sum(len(lane.waiting) for lane in self.coalescer._lanes.values())


@contextmanager
def callers(max_rows: int = 100) -> Iterator[Callers]:
    with ThreadPoolExecutor(16) as pool:
        calling = Callers(pool, max_rows)
        try:
            yield calling
        finally:
            calling.let_go(100)


def test_a_call_with_nothing_under_way_goes_out_at_once_and_alone():
    with callers() as calling:
        calling.let_go(2)

        assert calling.call(1, 2).result() == [2, 4]
        assert calling.call(3).result() == [6]
    assert calling.server.batches == [[1, 2], [3]]


def test_who_comes_meanwhile_goes_out_together_and_gets_their_own_rows():
    with callers() as calling:
        first = calling.call(1)
        calling.wait_for_batches(1)
        others = [calling.call_and_line_up(*rows) for rows in ([2], [3, 4], [5])]
        calling.let_go(2)

        assert [one.result() for one in (first, *others)] == [[2], [4], [6, 8], [10]]
    assert calling.server.batches == [[1], [2, 3, 4, 5]]


def test_a_batch_has_no_more_rows_than_the_limit_and_keeps_the_order():
    with callers(max_rows=3) as calling:
        first = calling.call(1)
        calling.wait_for_batches(1)
        others = [calling.call_and_line_up(*rows) for rows in ([2, 2], [3, 3], [4], [5])]
        calling.let_go(4)

        assert [one.result() for one in (first, *others)] == [[2], [4, 4], [6, 6], [8], [10]]
    assert calling.server.batches == [[1], [2, 2], [3, 3, 4], [5]]


def test_calls_of_another_kind_neither_wait_nor_join():
    with callers() as calling:
        first = calling.call(1)
        calling.wait_for_batches(1)
        other = calling.call(2, kind="another version")
        calling.wait_for_batches(2)
        calling.let_go(2)

        assert (first.result(), other.result()) == ([2], [4])


def test_who_has_no_time_to_wait_hears_so_and_is_not_sent():
    with callers() as calling:
        first = calling.call(1)
        calling.wait_for_batches(1)
        hurried = calling.call(2, timeout_s=0.01)
        with pytest.raises(DeadlineExceeded):
            hurried.result()
        calling.let_go(1)

        assert first.result() == [2]
    assert calling.server.batches == [[1]]


def test_a_batch_has_the_time_of_whoever_has_most_and_holds_nobody_longer_than_theirs():
    with callers() as calling:
        first = calling.call(1)
        calling.wait_for_batches(1)
        hurried = calling.call_and_line_up(2, timeout_s=5)
        patient = calling.call_and_line_up(3, timeout_s=50)
        calling.let_go(1)
        calling.wait_for_batches(2)
        with pytest.raises(DeadlineExceeded):
            hurried.result()  # while the batch is still under way
        calling.let_go(1)

        assert (first.result(), patient.result()) == ([2], [6])
    assert 5 < calling.server.timeouts_s[1] <= 50


def test_what_stops_a_whole_batch_is_told_to_all_of_it():
    with callers() as calling:
        first = calling.call(1)
        calling.wait_for_batches(1)
        others = [calling.call_and_line_up(2), calling.call_and_line_up(3)]
        calling.server.fault_of = lambda batch: ModelServerUnreachable("away") if 2 in batch else None
        calling.let_go(2)

        assert first.result() == [2]
        for one in others:
            with pytest.raises(ModelServerUnreachable):
                one.result()
    assert calling.server.batches == [[1], [2, 3]]


def test_a_fault_of_the_batch_poisons_nobody_but_whose_it_is():
    with callers() as calling:
        first = calling.call(1)
        calling.wait_for_batches(1)
        good, bad = calling.call_and_line_up(2), calling.call_and_line_up(3)
        calling.server.fault_of = lambda batch: ModelServerFault("op 7") if 3 in batch else None
        calling.let_go(4)

        assert (first.result(), good.result()) == ([2], [4])
        with pytest.raises(ModelServerFault):
            bad.result()
    assert calling.server.batches[:2] == [[1], [2, 3]]
    assert sorted(calling.server.batches[2:]) == [[2], [3]]


def test_a_fault_of_a_call_that_went_alone_is_final():
    with callers() as calling:
        calling.server.fault_of = lambda _: ModelServerFault("op 7")
        calling.let_go(1)

        with pytest.raises(ModelServerFault):
            calling.call(1).result()
    assert calling.server.batches == [[1]]


def test_after_a_failure_the_next_call_goes_out_as_ever():
    with callers() as calling:
        calling.server.fault_of = lambda batch: ModelServerUnreachable("away") if 1 in batch else None
        calling.let_go(2)
        with pytest.raises(ModelServerUnreachable):
            calling.call(1).result()

        assert calling.call(2).result() == [4]
    assert calling.coalescer._lanes == {}


def test_many_callers_for_long_each_get_their_own_answers():
    with callers() as calling:
        calling.let_go(100_000)
        rng = np.random.default_rng(0)
        requests = [rng.random(rng.integers(1, 8)).astype(np.float32).tolist() for _ in range(2000)]

        futures = [calling.call(*request) for request in requests]

        for request, future in zip(requests, futures, strict=True):
            assert future.result() == (np.array(request, np.float32) * 2).tolist()
    assert calling.coalescer._lanes == {}
    assert len(calling.server.batches) <= len(requests)
