"""Images as they might also have looked: mirrored, moved, partly covered. Knows no data set, and no epochs."""

from typing import Any

import tensorflow as tf

from training.config import TrainingConfig


def augment(images: Any, config: TrainingConfig, seed: Any) -> Any:
    """As the configuration asks, each image (batch, height, width) otherwise; the seed, int32 (2,), decides how."""
    for_flip, for_shift, for_erase = tf.unstack(tf.random.split(seed, 3))
    if config.flip:
        images = flipped(images, for_flip)
    if config.shift:
        images = shifted(images, config.shift, for_shift)
    if config.erase:
        images = erased(images, config.erase, for_erase)
    return images


def flipped(images: Any, seed: Any) -> Any:
    """Every other image mirrored, left to right."""
    return tf.where(_coin(images, seed), images[:, :, ::-1], images)


def shifted(images: Any, most: int, seed: Any) -> Any:
    """Each image moved by up to so many pixels, up or down and to a side; what comes in is black."""
    height, width = images.shape[1:]
    offset = tf.random.stateless_uniform((tf.shape(images)[0], 2), seed, 0, 2 * most + 1, tf.int32)
    padded = tf.pad(images, ((0, 0), (most, most), (most, most)))
    rows = tf.gather(padded, offset[:, :1] + tf.range(height), axis=1, batch_dims=1)
    columns = tf.gather(tf.transpose(rows, (0, 2, 1)), offset[:, 1:] + tf.range(width), axis=1, batch_dims=1)
    return tf.transpose(columns, (0, 2, 1))


def erased(images: Any, side: int, seed: Any) -> Any:
    """A square somewhere in every other image made black (DeVries & Taylor 2017, arXiv 1708.04552)."""
    for_place, for_coin = tf.unstack(tf.random.split(seed, 2))
    place = tf.random.stateless_uniform((tf.shape(images)[0], 2), for_place)
    inside = [
        tf.abs(tf.range(size, dtype=tf.float32) + 0.5 - place[:, i, None] * size) <= side / 2
        for i, size in enumerate(images.shape[1:])
    ]
    covered = inside[0][:, :, None] & inside[1][:, None, :] & _coin(images, for_coin)
    return tf.where(covered, 0.0, images)


def _coin(images: Any, seed: Any) -> Any:
    """Heads for half of the images: (batch, 1, 1)."""
    return tf.random.stateless_uniform((tf.shape(images)[0], 1, 1), seed) < 0.5
