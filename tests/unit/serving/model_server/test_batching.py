"""Batching with a runner that doubles numbers and remembers what it was given."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format

from serving.generated.atelier.serverconfig.v1 import server_config_pb2
from serving.model_server.batch_scheduler import QueueOptions, SharedBatchScheduler
from serving.model_server.batching_config import batching_options
from serving.model_server.batching_runner import BatchingOptions, BatchingRunner
from serving.model_server.status import Code, StatusError
from tests.conformance.rows import row

WAIT_S = 30.0


class Doubler:
    """y = 2 x; `lost` drops a row, `scalar` all of them."""

    def __init__(self) -> None:
        self.may_run = threading.Event()
        self.may_run.set()
        self.batches: list[list[float]] = []
        self.is_running = threading.Event()

    def run(self, feeds: Mapping[str, Any], fetches: Sequence[str], timeout_s: float | None) -> list[Any]:
        self.is_running.set()
        assert self.may_run.wait(WAIT_S)
        self.batches.append(feeds["x"].tolist())
        outputs = {"y": feeds["x"] * 2, "z": -feeds["x"], "lost": feeds["x"][1:], "scalar": np.float32(1)}
        if "broken" in fetches:
            raise StatusError(Code.INTERNAL, "broken")
        return [np.asarray(outputs[name]) for name in fetches]

    def close(self) -> None:
        pass


@pytest.fixture
def scheduler() -> Iterator[SharedBatchScheduler]:
    made = SharedBatchScheduler(1)
    yield made
    made.stop()


@pytest.fixture
def doubler() -> Doubler:
    return Doubler()


def options(text: str = "") -> BatchingOptions:
    parameters = server_config_pb2.BatchingParameters()
    text_format.Parse(text, parameters)
    return batching_options(parameters, "pool")


def x(*values: float) -> dict[str, Any]:
    return {"x": np.array(values, np.float32)}


def run_held(runner: BatchingRunner, doubler: Doubler, feeds: Sequence[dict[str, Any]], fetch: str = "y") -> list[Any]:
    """Hold the only thread with a first batch, queue the feeds in order behind it, then let go: their outcomes."""
    doubler.may_run.clear()
    with ThreadPoolExecutor(len(feeds) + 1) as callers:
        first = callers.submit(runner.run, x(100.0), ["z"], None)
        assert doubler.is_running.wait(WAIT_S)
        outcomes = []
        for index, one in enumerate(feeds):
            outcomes.append(callers.submit(runner.run, one, [fetch], None))
            wait_for_queued(runner, index + 1, outcomes[-1])
        doubler.may_run.set()
        first.result(WAIT_S)
        return [outcome.exception(WAIT_S) or outcome.result()[0].tolist() for outcome in outcomes]


def wait_for_queued(runner: BatchingRunner, count: int, outcome: Any) -> None:
    """Until so many tasks are queued, or this one came back."""
    deadline = threading.Event()
    timer = threading.Timer(WAIT_S, deadline.set)
    timer.start()
    while queued(runner) < count and not outcome.done():
        assert not deadline.wait(0.005)
    timer.cancel()


def queued(runner: BatchingRunner) -> int:
    return sum(len(batch.tasks) for queue in runner._queues.values() for batch in queue._batches)


@row("3.7/1")
def test_waiting_requests_become_one_batch(scheduler: SharedBatchScheduler, doubler: Doubler) -> None:
    runner = BatchingRunner(doubler, scheduler, options())
    assert run_held(runner, doubler, [x(1), x(2, 3), x(4)]) == [[2], [4, 6], [8]]
    assert doubler.batches == [[100], [1, 2, 3, 4]]


def test_a_full_batch_is_followed_by_another(scheduler: SharedBatchScheduler, doubler: Doubler) -> None:
    runner = BatchingRunner(doubler, scheduler, options("max_batch_size { value: 3 }"))
    assert run_held(runner, doubler, [x(1, 2), x(3, 4), x(5)]) == [[2, 4], [6, 8], [10]]
    assert doubler.batches == [[100], [1, 2], [3, 4, 5]]


def test_a_lonely_request_leaves_when_its_time_is_up(scheduler: SharedBatchScheduler, doubler: Doubler) -> None:
    runner = BatchingRunner(doubler, scheduler, options("batch_timeout_micros { value: 1000 }"))
    assert runner.run(x(1), ["y"], None)[0].tolist() == [2]


def test_a_full_batch_does_not_wait(scheduler: SharedBatchScheduler, doubler: Doubler) -> None:
    text = "batch_timeout_micros { value: 3600000000 } max_batch_size { value: 2 }"
    runner = BatchingRunner(doubler, scheduler, options(text))
    with ThreadPoolExecutor(2) as callers:
        answers = list(callers.map(lambda value: runner.run(x(value), ["y"], None)[0].tolist(), [1.0, 2.0]))
    assert answers == [[2], [4]]


@row("3.7/6")
def test_a_request_larger_than_a_batch_is_refused(scheduler: SharedBatchScheduler, doubler: Doubler) -> None:
    runner = BatchingRunner(doubler, scheduler, options("max_batch_size { value: 2 }"))
    with pytest.raises(StatusError, match="Task size 3 is larger than maximum input batch size 2") as caught:
        runner.run(x(1, 2, 3), ["y"], None)
    assert caught.value.code is Code.INVALID_ARGUMENT


@row("2.5/23")
def test_a_full_queue_refuses(scheduler: SharedBatchScheduler, doubler: Doubler) -> None:
    text = "max_batch_size { value: 1 } max_enqueued_batches { value: 2 }"
    outcomes = run_held(BatchingRunner(doubler, scheduler, options(text)), doubler, [x(1), x(2), x(3)])
    assert outcomes[:2] == [[2], [4]]
    assert outcomes[2].code is Code.UNAVAILABLE
    assert outcomes[2].message.startswith("The batch scheduling queue")


@row("3.7/8")
def test_a_batch_is_padded_to_an_allowed_size(scheduler: SharedBatchScheduler, doubler: Doubler) -> None:
    text = "max_batch_size { value: 8 } allowed_batch_sizes: 4 allowed_batch_sizes: 8"
    runner = BatchingRunner(doubler, scheduler, options(text))
    assert runner.run(x(1, 2), ["y", "z"], None)[1].tolist() == [-1, -2]
    assert doubler.batches == [[1, 2, 1, 1]]


@row("3.7/7")
def test_a_large_request_is_split_and_joined_again(scheduler: SharedBatchScheduler, doubler: Doubler) -> None:
    text = (
        "max_batch_size { value: 10 } enable_large_batch_splitting { value: true } "
        "max_execution_batch_size { value: 3 }"
    )
    runner = BatchingRunner(doubler, scheduler, options(text))
    assert run_held(runner, doubler, [x(1), x(2, 3, 4, 5, 6, 7)]) == [[2], [4, 6, 8, 10, 12, 14]]
    assert doubler.batches == [[100], [1, 2, 3], [4, 5, 6], [7]]


@row("3.7/4")
def test_unequal_shapes_fail_the_batch_unless_padding_is_on(scheduler: SharedBatchScheduler, doubler: Doubler) -> None:
    feeds = [{"x": np.ones((1, 2), np.float32)}, {"x": np.ones((1, 3), np.float32)}]
    outcomes = run_held(BatchingRunner(doubler, scheduler, options()), doubler, feeds)
    assert {outcome.code for outcome in outcomes} == {Code.FAILED_PRECONDITION}
    assert outcomes[0].message.startswith("Tensors with name 'x' from different tasks have different shapes and padd")
    padding = BatchingRunner(doubler, scheduler, options("pad_variable_length_inputs: true"))
    assert run_held(padding, doubler, feeds) == [[[2, 2, 0]], [[2, 2, 2]]]


@row("3.7/9")
@pytest.mark.parametrize(
    ("fetch", "error"),
    [
        (
            "lost",
            "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input",
        ),
        ("scalar", "Batched output tensor has 0 dimensions"),
        ("broken", "broken"),
    ],
)
def test_the_error_of_a_batch_is_everybodys(
    scheduler: SharedBatchScheduler, doubler: Doubler, fetch: str, error: str
) -> None:
    outcomes = run_held(BatchingRunner(doubler, scheduler, options()), doubler, [x(1), x(2)], fetch)
    assert all(outcome.message.startswith(error) for outcome in outcomes)


@pytest.mark.parametrize(
    ("feeds", "error"),
    [
        ({}, "must have at least one input tensor"),
        ({"x": np.array(1.0)}, "input tensors must have at least one dimension"),
        ({"x": np.ones(1), "y": np.ones(2)}, "Batching Run() input tensors must have equal 0th-dimension size"),
    ],
)
def test_inputs_that_are_no_batch_are_refused(
    scheduler: SharedBatchScheduler, doubler: Doubler, feeds: dict[str, Any], error: str
) -> None:
    with pytest.raises(StatusError) as caught:
        BatchingRunner(doubler, scheduler, options()).run(feeds, ["y"], None)
    assert error in caught.value.message


def test_a_request_of_another_dtype_does_not_spoil_the_batch(scheduler: SharedBatchScheduler, doubler: Doubler) -> None:
    runner = BatchingRunner(doubler, scheduler, options())
    outcomes = run_held(runner, doubler, [x(1), {"x": np.array([2], np.int32)}, x(3)])
    assert outcomes == [[2], [4], [6]]
    assert sorted(doubler.batches) == [[1, 3], [2], [100]]


def test_an_empty_batch_runs(scheduler: SharedBatchScheduler, doubler: Doubler) -> None:
    text = "max_batch_size { value: 4 } allowed_batch_sizes: 4"
    assert BatchingRunner(doubler, scheduler, options(text)).run(x(), ["y"], None)[0].tolist() == []


def test_outputs_come_in_the_order_asked_for(scheduler: SharedBatchScheduler, doubler: Doubler) -> None:
    runner = BatchingRunner(doubler, scheduler, options())
    assert [array.tolist() for array in runner.run(x(1), ["z", "y"], None)] == [[-1], [2]]


def test_a_request_whose_time_is_up_in_the_queue_is_not_run(scheduler: SharedBatchScheduler, doubler: Doubler) -> None:
    runner = BatchingRunner(doubler, scheduler, options())
    with pytest.raises(StatusError, match="timeout exceeded while waiting in batching queue") as caught:
        runner.run(x(1), ["y"], -1.0)
    assert (caught.value.code, doubler.batches) == (Code.RESOURCE_EXHAUSTED, [])


@row("3.7/1")
def test_two_models_take_turns(scheduler: SharedBatchScheduler, doubler: Doubler) -> None:
    """One thread, a long queue before it: the other model's only batch is second, not last."""
    busy = BatchingRunner(doubler, scheduler, options("max_batch_size { value: 1 }"))
    other = BatchingRunner(doubler, scheduler, options())
    doubler.may_run.clear()
    with ThreadPoolExecutor(8) as callers:
        first = callers.submit(busy.run, x(0), ["y"], None)
        assert doubler.is_running.wait(WAIT_S)
        many = [callers.submit(busy.run, x(1), ["y"], None) for _ in range(4)]
        wait_for_queued(busy, 4, first)
        one = callers.submit(other.run, x(7), ["y"], None)
        wait_for_queued(other, 1, first)
        doubler.may_run.set()
        for future in [first, one, *many]:
            future.result(WAIT_S)
    assert doubler.batches.index([7]) <= 2


@row("3.7/2")
def test_parameters_left_out_are_the_schedulers_defaults() -> None:
    assert options().queue == QueueOptions(1000, 0.0, 10)
    assert options("max_batch_size { value: 32 }").queue.max_batch_size == 32


@row("3.2/5")
def test_the_last_allowed_size_must_be_the_largest_batch() -> None:
    with pytest.raises(StatusError, match="last entry was 4; expected 8"):
        options("max_batch_size { value: 8 } allowed_batch_sizes: 4")
