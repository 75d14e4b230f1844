"""A Runner that gathers the runs of many requests into few. One queue for each set of inputs and outputs.

After tensorflow_serving/batching/batching_session.cc.
"""

import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from serving.model_server import metrics
from serving.model_server.batch_scheduler import BatchQueue, QueueOptions, SharedBatchScheduler
from serving.model_server.batch_tensors import Feeds, batch_size, merge, split
from serving.model_server.servable import Runner
from serving.model_server.status import Code, StatusError, invalid_argument
from serving.model_server.tensors import Array


@dataclass(frozen=True)
class BatchingOptions:
    """How one model batches. After BatchingParameters; defaults are those of the scheduler."""

    queue: QueueOptions = field(default_factory=QueueOptions)
    max_request_size: int = 1000  # rows; more than a batch where large requests are split
    allowed_batch_sizes: tuple[int, ...] = ()  # a batch is padded to the next of these
    pad_variable_length_inputs: bool = False
    is_splitting: bool = False
    thread_pool_name: str = "batch_threads"


@dataclass
class _Task:
    feeds: Feeds
    size: int
    deadline_s: float | None  # monotonic
    enqueued_s: float = field(default_factory=time.perf_counter)
    outputs: "Future[list[Array]]" = field(default_factory=Future)


@dataclass(frozen=True)
class PendingRun:
    """A run that takes part in a batch, or in several if it was cut."""

    parts: Sequence["Future[list[Array]]"]
    names: Sequence[str]  # of the outputs of every part
    fetches: Sequence[str]

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """Call back when there is a result: at once, or from the thread of the last batch."""
        ended = itertools.count(1)
        for part in self.parts:
            part.add_done_callback(lambda _: callback() if next(ended) == len(self.parts) else None)

    def result(self) -> list[Array]:
        """Wait for it. Raises the error of the first part that has one."""
        parts = [part.result() for part in self.parts]
        whole = parts[0] if len(parts) == 1 else [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
        by_name = dict(zip(self.names, whole, strict=True))
        return [by_name[name] for name in self.fetches]


# What the runs of one batch share: input names with their dtypes (so that a wrong dtype fails alone), output names.
_Key = tuple[tuple[tuple[str, str], ...], tuple[str, ...]]


class BatchingRunner:
    """Batches the runs of another runner."""

    def __init__(self, runner: Runner, scheduler: SharedBatchScheduler, options: BatchingOptions) -> None:
        self._runner = runner
        self._scheduler = scheduler
        self._options = options
        self._queues: dict[_Key, BatchQueue[_Task]] = {}
        self._lock = threading.Lock()

    def run(self, feeds: Mapping[str, Array], fetches: Sequence[str], timeout_s: float | None) -> list[Array]:
        """Take part in a batch, and wait for it. See `servable.Runner`."""
        return self.submit(feeds, fetches, timeout_s).result()

    def submit(self, feeds: Mapping[str, Array], fetches: Sequence[str], timeout_s: float | None) -> PendingRun:
        """Take part in a batch, and do not wait for it."""
        size = batch_size(feeds)
        metrics.input_batch_size.add(size)
        if size > self._options.max_request_size:
            raise invalid_argument(
                f"Task size {size} is larger than maximum input batch size {self._options.max_request_size}"
            )
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        kinds = tuple(sorted((name, array.dtype.str) for name, array in feeds.items()))
        names = tuple(sorted(set(fetches)))
        queue = self._queue(kinds, names)
        tasks = [_Task(part, batch_size(part), deadline_s) for part in self._parts(feeds, size, queue.room())]
        queue.schedule(tasks)
        return PendingRun([task.outputs for task in tasks], names, fetches)

    def close(self) -> None:
        """Give up the queues, and what lies behind."""
        for queue in self._queues.values():
            queue.close()
        self._runner.close()

    def _queue(self, kinds: tuple[tuple[str, str], ...], fetches: tuple[str, ...]) -> BatchQueue[_Task]:
        with self._lock:
            if (kinds, fetches) not in self._queues:
                self._queues[kinds, fetches] = BatchQueue(
                    self._scheduler, self._options.queue, lambda tasks: self._process(tasks, fetches)
                )
            return self._queues[kinds, fetches]

    def _parts(self, feeds: Feeds, size: int, room: int) -> list[Feeds]:
        """The request whole, or cut so that it fills the open batch and then further ones."""
        limit = self._options.queue.max_batch_size
        if not self._options.is_splitting or size <= (room or limit):
            return [feeds]
        cuts = [*range(room, size, limit)] if room else [*range(limit, size, limit)]
        edges = [0, *cuts, size]
        return [{name: array[start:end] for name, array in feeds.items()} for start, end in itertools.pairwise(edges)]

    def _process(self, tasks: Sequence[_Task], fetches: Sequence[str]) -> None:
        """Run a batch; its error is the error of every task in it."""
        try:
            for task, outputs in zip(tasks, self._run_batch(tasks, fetches), strict=True):
                task.outputs.set_result(outputs)
        except Exception as error:  # noqa: BLE001 (the waiting threads raise it)
            for task in tasks:
                task.outputs.set_exception(error)

    def _run_batch(self, tasks: Sequence[_Task], fetches: Sequence[str]) -> list[list[Array]]:
        for task in tasks:
            latency = metrics.microseconds_since(task.enqueued_s)
            metrics.queuing_latency.add(latency, self._options.thread_pool_name)
        timeout_s = _remaining_s(tasks)
        sizes = [task.size for task in tasks]
        padding = self._padding(sum(sizes))
        metrics.processed_batch_size.add(sum(sizes) + padding)
        metrics.padding_size.add(padding, str(sum(sizes) + padding))
        feeds = merge([task.feeds for task in tasks], padding, pad_shapes=self._options.pad_variable_length_inputs)
        metrics.wrapped_run_count.increment()
        return split(self._runner.run(feeds, fetches, timeout_s), sizes, padding)

    def _padding(self, size: int) -> int:
        """How many rows are missing to the next allowed batch size."""
        if size == 0:
            return 0
        return min((allowed for allowed in self._options.allowed_batch_sizes if allowed >= size), default=size) - size


def _remaining_s(tasks: Sequence[_Task]) -> float | None:
    """The time until the latest deadline of the tasks; None if one of them has none."""
    deadlines = [task.deadline_s for task in tasks]
    latest_s = 0.0
    for deadline_s in deadlines:
        if deadline_s is None:
            return None
        latest_s = max(latest_s, deadline_s)
    remaining_s = latest_s - time.monotonic()
    if remaining_s <= 0:
        raise StatusError(Code.RESOURCE_EXHAUSTED, "Run() timeout exceeded while waiting in batching queue")
    return remaining_s
