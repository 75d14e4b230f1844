"""Queues of tasks that become batches, and threads that process them for all queues in turn. Knows no tensors.

After tensorflow/core/kernels/batching_util/shared_batch_scheduler.h.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from serving.model_server.status import Code, StatusError, invalid_argument


class Task(Protocol):
    """Something with a size that can be part of a batch."""

    @property
    def size(self) -> int:
        """How many rows."""
        ...


TaskT = TypeVar("TaskT", bound=Task)


@dataclass(frozen=True)
class QueueOptions:
    """When a queue makes a batch; defaults of SharedBatchScheduler::QueueOptions."""

    max_batch_size: int = 1000  # rows
    batch_timeout_s: float = 0.0
    max_enqueued_batches: int = 10


@dataclass
class _Batch(Generic[TaskT]):
    opened_s: float
    tasks: list[TaskT] = field(default_factory=list)
    size: int = 0


class BatchQueue(Generic[TaskT]):
    """The tasks of one kind, oldest batch first; only the last batch is open."""

    def __init__(
        self, scheduler: "SharedBatchScheduler", options: QueueOptions, process: Callable[[Sequence[TaskT]], None]
    ) -> None:
        """`process` is given whole batches, on a thread of the scheduler, and must not raise."""
        self.process = process
        self._scheduler = scheduler
        self._options = options
        self._batches: deque[_Batch[TaskT]] = deque()
        scheduler.add(self)

    def schedule(self, tasks: Sequence[TaskT]) -> None:
        """Queue tasks: all of them or none.

        Raises:
            StatusError: UNAVAILABLE, the queue is full; INVALID_ARGUMENT, a task is larger than a batch.
        """
        with self._scheduler.changed:
            for task in tasks:
                if task.size > self._options.max_batch_size:
                    raise invalid_argument(
                        f"Task size {task.size} is larger than maximum input batch size {self._options.max_batch_size}"
                    )
            if self._batches_needed(tasks) > self._options.max_enqueued_batches:
                raise StatusError(
                    Code.UNAVAILABLE, "The batch scheduling queue to which this task was submitted is full"
                )
            news = sum(self._add(task) for task in tasks)
            if news:
                self._scheduler.changed.notify(news)

    def room(self) -> int:
        """How many rows the open batch can still take."""
        with self._scheduler.changed:
            return self._options.max_batch_size - (self._batches[-1].size if self._batches else 0)

    def take(self, now_s: float) -> Sequence[TaskT] | None:
        """The oldest batch if it is due: full, closed, or old enough. The scheduler's lock is held."""
        if not self._batches:
            return None
        oldest = self._batches[0]
        is_closed = len(self._batches) > 1 or oldest.size >= self._options.max_batch_size
        if not is_closed and now_s < oldest.opened_s + self._options.batch_timeout_s:
            return None
        return self._batches.popleft().tasks

    def due_s(self) -> float | None:
        """When the oldest batch is due at the latest. The scheduler's lock is held."""
        return self._batches[0].opened_s + self._options.batch_timeout_s if self._batches else None

    def close(self) -> None:
        """Take the queue, empty by now, from the scheduler."""
        self._scheduler.remove(self)

    def _batches_needed(self, tasks: Sequence[TaskT]) -> int:
        count, size = len(self._batches), self._batches[-1].size if self._batches else self._options.max_batch_size
        for task in tasks:
            if size + task.size > self._options.max_batch_size:
                count, size = count + 1, 0
            size += task.size
        return count

    def _add(self, task: TaskT) -> int:
        """Add to the last batch; how many threads should look: one more for a batch that opens, closes or is full."""
        news = 0
        if not self._batches or self._batches[-1].size + task.size > self._options.max_batch_size:
            self._batches.append(_Batch(time.monotonic()))
            news = min(2, len(self._batches))  # the one before it is closed
        self._batches[-1].tasks.append(task)
        self._batches[-1].size += task.size
        return news + (self._batches[-1].size >= self._options.max_batch_size)


class SharedBatchScheduler:
    """The threads. Each takes a batch from the next queue that has one due, so no queue starves another."""

    def __init__(self, num_threads: int) -> None:
        self.changed = threading.Condition()
        self._queues: deque[BatchQueue[Any]] = deque()
        self._is_stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"batch-{index}", daemon=True) for index in range(num_threads)
        ]
        for thread in self._threads:
            thread.start()

    def add(self, queue: "BatchQueue[Any]") -> None:
        """Serve a queue too."""
        with self.changed:
            self._queues.append(queue)

    def remove(self, queue: "BatchQueue[Any]") -> None:
        """Serve it no more."""
        with self.changed:
            self._queues.remove(queue)

    def stop(self) -> None:
        """End the threads; what is still queued is not processed."""
        with self.changed:
            self._is_stopping = True
            self.changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while True:
            with self.changed:
                while (due := self._next()) is None:
                    if self._is_stopping:
                        return
                    self.changed.wait(self._wait_s())
                if self._wait_s() is not None:  # this thread may have been the one that waited for what is left
                    self.changed.notify()
            queue, tasks = due
            queue.process(tasks)

    def _next(self) -> "tuple[BatchQueue[Any], Sequence[Any]] | None":
        now_s = time.monotonic()
        for _ in range(len(self._queues)):
            queue = self._queues[0]
            self._queues.rotate(-1)
            if tasks := queue.take(now_s):
                return queue, tasks
        return None

    def _wait_s(self) -> float | None:
        """How long until some batch is old enough."""
        due = [due_s for queue in self._queues if (due_s := queue.due_s()) is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None
