"""The batches a model is fitted to: shuffled anew each epoch, images augmented, as a tf.data pipeline.

An epoch's batches depend on the seed and the epoch's number alone, not on what ran before: a run that goes on after
its third epoch sees the fourth as one that never stopped.
"""

import math
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from training.augment import augment
from training.config import TrainingConfig

# Two batches ahead: enough to keep the network busy while the next is made, on two cores as on many.
_PREFETCHED = 2


@dataclass(frozen=True)
class Share:
    """Which rows of each batch a worker takes: its own, of so many workers."""

    worker: int = 0
    workers: int = 1


def steps_per_epoch(rows: int, config: TrainingConfig, share: Share) -> int:
    """How many batches an epoch has. Workers leave out a last one that could not be shared evenly."""
    return math.ceil(rows / config.batch_size) if share.workers == 1 else max(1, rows // config.batch_size)


def training_batches(
    instances: Any,
    targets: Any,
    config: TrainingConfig,
    *,
    seed: int,
    first_epoch: int,
    share: Share,
    are_images: bool = False,
) -> Any:
    """Batches without end, from the given epoch on: a tf.data.Dataset of (instances, targets).

    Args:
        instances, targets: an array, or arrays by name, each (rows, ...); float32 images are (rows, height, width).
        are_images: whether the configuration's augmentation has a meaning.
    """
    data = keras.tree.map_structure(tf.convert_to_tensor, (instances, targets))
    rows = len(keras.tree.flatten(targets)[0])
    steps, size = steps_per_epoch(rows, config, share), config.batch_size

    def epoch(number: Any) -> Any:
        of_epoch = tf.random.fold_in((seed, 0), tf.cast(number, tf.int32))
        order = tf.random.experimental.stateless_shuffle(tf.range(rows), of_epoch)
        return tf.data.Dataset.range(steps).map(lambda step: batch(order, of_epoch, tf.cast(step, tf.int32)))

    def batch(order: Any, of_epoch: Any, step: Any) -> Any:
        mine = order[step * size : (step + 1) * size][share.worker :: share.workers]
        x, y = keras.tree.map_structure(lambda values: tf.gather(values, mine), data)
        if are_images and (config.flip or config.shift or config.erase):
            x = augment(x, config, tf.random.fold_in(of_epoch, step * share.workers + share.worker))
        return x, y

    return tf.data.Dataset.counter(first_epoch).flat_map(epoch).prefetch(_PREFETCHED)
