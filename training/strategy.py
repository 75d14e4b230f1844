"""Where a model is trained: on one device, on all devices of this machine, or by several processes together.

Several workers each hold the whole model and take their share of every batch; the mean of their gradients moves all of
them alike. Keras's own fit() cannot do that with MultiWorkerMirroredStrategy (it reduces scalars along an axis they do
not have: keras/src/backend/tensorflow/trainer.py, reduce_per_replica), so here each worker runs a plain fit() and the
strategy gives what is needed of it: who takes part, and the mean over them.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, final

import keras
import tensorflow as tf

from training.errors import ConfigError
from training.pipeline import Share


class Strategy(Protocol):
    """What fitting needs to know of where it happens."""

    share: Share

    def scope(self) -> AbstractContextManager[Any]:
        """Models are built and compiled in here."""

    def join(self, model: Any) -> Sequence[Any]:
        """Make a compiled model learn with the others; return the callbacks that this takes."""

    def check_alike(self, what: str, number: int) -> None:
        """Raise ConfigError unless all workers have the same number."""


@final
class OneDevice:
    """What TensorFlow takes by itself: the first GPU, else the CPU."""

    share = Share()

    def scope(self) -> AbstractContextManager[Any]:
        """Nothing special."""
        return nullcontext()

    def join(self, model: Any) -> Sequence[Any]:
        """There are no others."""
        del model
        return ()

    def check_alike(self, what: str, number: int) -> None:
        """There are no others."""


@final
class Mirrored:
    """All GPUs of this machine, each with a copy of the model; Keras does the rest."""

    share = Share()

    def __init__(self) -> None:
        self._strategy = tf.distribute.MirroredStrategy()

    def scope(self) -> AbstractContextManager[Any]:
        """Variables made in here have a copy on each device."""
        scope: AbstractContextManager[Any] = self._strategy.scope()
        return scope

    def join(self, model: Any) -> Sequence[Any]:
        """Keras keeps the copies alike."""
        del model
        return ()

    def check_alike(self, what: str, number: int) -> None:
        """One process: nobody to differ from."""


@final
class MultiWorker:
    """One process a worker, anywhere; TF_CONFIG says who they are. The first is the chief: it alone publishes."""

    def __init__(self) -> None:
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy()
        resolver = self._strategy.cluster_resolver
        cluster = resolver.cluster_spec().as_dict()
        first = ["chief"] * len(cluster.get("chief", ()))
        everyone = [*first, *["worker"] * len(cluster.get("worker", ()))]
        number = resolver.task_id + (len(first) if resolver.task_type == "worker" else 0)
        self.share = Share(number, len(everyone))
        if self._strategy.num_replicas_in_sync != len(everyone):
            raise ConfigError("--strategy multi-worker wants one GPU a worker: set CUDA_VISIBLE_DEVICES for each")
        self._mean = tf.function(self._mean_over_workers)

    def scope(self) -> AbstractContextManager[Any]:
        """Each worker has a plain model of its own."""
        return nullcontext()

    def join(self, model: Any) -> Sequence[Any]:
        """The optimiser is given the workers' mean gradients; validation sees their mean statistics."""
        apply = model.optimizer.apply
        # Before the optimiser clips: what is clipped is the gradient of the whole batch.
        model.optimizer.apply = lambda gradients, variables=None: apply(self._mean(list(gradients)), variables)
        return (_MeanStatistics(self._mean),)

    def check_alike(self, what: str, number: int) -> None:
        """Raise ConfigError unless all workers have the same number."""
        (mean,) = self._mean([tf.constant(float(number))])
        if float(mean) != number:
            raise ConfigError(
                f"the workers differ in their {what}: this one has {number}, their mean is {float(mean):g}"
            )

    def _mean_over_workers(self, tensors: list[Any]) -> Any:
        def mean(values: list[Any]) -> Any:
            here = [tf.identity(value) for value in values]  # arguments have no device, which an all-reduce must know
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, here)

        return self._strategy.run(mean, args=(tensors,))


class _MeanStatistics(keras.callbacks.Callback):  # type: ignore[misc] # Keras ships no types
    """Before each validation: what batch normalisation saw, over all workers. All then judge the same model."""

    def __init__(self, mean: Any) -> None:
        super().__init__()
        self._mean = mean

    def on_test_begin(self, _logs: Any = None) -> None:
        """Average."""
        statistics = [weight for weight in self.model.non_trainable_weights if "float" in weight.dtype]
        if statistics:
            for weight, mean in zip(statistics, self._mean([weight.value for weight in statistics]), strict=True):
                weight.assign(mean)


STRATEGIES: Mapping[str, Callable[[], Strategy]] = {"one": OneDevice, "mirrored": Mirrored, "multi-worker": MultiWorker}


def strategy_named(name: str) -> Strategy:
    """The strategy of that name; multi-worker must come before any other use of TensorFlow.

    Raises:
        ConfigError: the environment does not say what it needs.
    """
    return STRATEGIES[name]()
