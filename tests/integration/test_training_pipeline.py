"""The batches that a model is fitted to: each epoch's depend on the seed and its number alone; augmentation is seen."""

from itertools import islice
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.training_data import config, houses
from training.augment import augment, erased, flipped, shifted
from training.fit import fit, make_reproducible
from training.models import build_model
from training.pipeline import Share, steps_per_epoch, training_batches

ROWS = 50
ALONE = Share()


def batches(count: int, first_epoch: int = 0, seed: int = 1, share: Share = ALONE, **changes: object) -> list[Any]:
    """The rows' numbers in each of the first batches."""
    rows = np.arange(ROWS)
    pipeline = training_batches(
        rows, {"twice": 2 * rows}, config(**changes), seed=seed, first_epoch=first_epoch, share=share
    )
    found = list(islice(pipeline.as_numpy_iterator(), count))
    for instances, targets in found:
        np.testing.assert_array_equal(targets["twice"], 2 * instances)
    return [instances.tolist() for instances, _ in found]


def flat(lists: list[Any]) -> list[Any]:
    return [row for rows in lists for row in rows]


def test_an_epoch_has_every_row_once_in_an_order_of_its_own() -> None:
    found = batches(8)  # 16, 16, 16, 2: twice
    assert [len(rows) for rows in found] == [16, 16, 16, 2] * 2
    first, second = flat(found[:4]), flat(found[4:])
    assert sorted(first) == sorted(second) == list(range(ROWS))
    assert first != second != list(range(ROWS))


def test_a_later_epoch_is_the_same_whether_or_not_those_before_it_were_run() -> None:
    assert batches(12)[8:] == batches(4, first_epoch=2)


def test_another_seed_gives_another_order() -> None:
    assert batches(4, seed=1) == batches(4, seed=1) != batches(4, seed=2)


def test_the_workers_shares_make_up_the_whole_batch() -> None:
    whole = batches(3)
    shares = [batches(3, share=Share(worker, 2)) for worker in range(2)]
    for step, rows in enumerate(whole):
        assert sorted(shares[0][step] + shares[1][step]) == sorted(rows)
        assert len(shares[0][step]) == len(shares[1][step]) == 8
    assert steps_per_epoch(ROWS, config(), Share(0, 2)) == 3  # without the last 2 rows
    assert steps_per_epoch(ROWS, config(), Share()) == 4


# --- images ------------------------------------------------------------------------------------------

SEED = (1, 2)
IMAGES = np.arange(1, 1 + 40 * 4 * 3, dtype=np.float32).reshape(40, 4, 3)


def test_about_half_of_the_images_are_mirrored_and_the_others_left_alone() -> None:
    found = np.array(flipped(IMAGES, SEED))
    is_mirrored = (found == IMAGES[:, :, ::-1]).all(axis=(1, 2))
    assert 10 < is_mirrored.sum() < 30
    assert ((found == IMAGES).all(axis=(1, 2)) | is_mirrored).all()


def test_images_are_moved_by_whole_pixels_and_black_comes_in() -> None:
    dots = np.zeros((200, 5, 7), np.float32)
    dots[:, 2, 3] = 1
    found = np.array(shifted(dots, 2, SEED))
    _, rows, columns = np.nonzero(found)
    assert (set(rows), set(columns)) == ({0, 1, 2, 3, 4}, {1, 2, 3, 4, 5})
    assert found.sum() == 200


def test_a_square_is_made_black_in_about_half_of_the_images() -> None:
    found = np.array(erased(np.ones((400, 28, 28), np.float32), 8, SEED))
    missing = (found == 0).sum(axis=(1, 2))
    assert 150 < (missing > 0).sum() < 250
    assert missing.max() == 64
    whole = found[missing == 64][0] == 0
    assert whole.any(axis=1).sum() == whole.any(axis=0).sum() == 8


@pytest.mark.parametrize("changes", [{"flip": True}, {"shift": 1}, {"erase": 2}])
def test_every_option_takes_effect_and_its_seed_decides_how(changes: dict[str, object]) -> None:
    settings = config(**changes)
    one, again, other = (np.array(augment(IMAGES, settings, seed)) for seed in (SEED, SEED, (1, 3)))
    assert (one != IMAGES).any()
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_without_options_images_stay_as_they_are() -> None:
    assert augment(IMAGES, config(), SEED) is IMAGES


def test_batches_of_images_are_augmented_anew_each_epoch() -> None:
    same = np.tile(IMAGES[:1], (16, 1, 1))
    pipeline = training_batches(
        same, np.arange(16), config(shift=1), seed=1, first_epoch=0, share=Share(), are_images=True
    ).as_numpy_iterator()
    (first, _), (second, _) = next(pipeline), next(pipeline)
    assert first.shape == second.shape == (16, 4, 3)
    assert (first != second).any()
    assert tf.as_dtype(first.dtype) == tf.float32


@pytest.mark.parametrize("option", [{"flip": True}, {"shift": 1}, {"erase": 2}], ids=lambda option: next(iter(option)))
def test_what_is_no_image_is_fitted_as_if_images_were_left_alone(option: dict[str, Any]) -> None:
    fitted = []
    for changes in ({}, option):
        settings = config(**changes)
        make_reproducible(1)
        model = build_model(settings, houses())
        fit(model, houses(), settings, seed=1)
        fitted.append([weight.numpy() for weight in model.weights])
    for found, wanted in zip(*fitted, strict=True):
        np.testing.assert_array_equal(found, wanted)
