import re
from pathlib import Path

import numpy as np
import pytest

from serving.contract import Feature, FeatureInput, FeatureTensor, ImageInput
from training.datasets import Dataset, Rows, encode, load_dataset, plain, tensor_shapes
from training.errors import ConfigError


def housing(seed: int, tmp_path: Path) -> Dataset:
    return load_dataset("housing", tmp_path, 0.08, seed, lambda _: None, calibration_share=0.12)


def parts_of(dataset: Dataset) -> tuple[Rows, ...]:
    return dataset.train, dataset.validation, dataset.calibration, dataset.test


def test_splits_housing_64_16_20_with_most_of_the_16_for_calibration(tmp_path: Path) -> None:
    dataset = housing(1, tmp_path)
    assert [len(rows) for rows in parts_of(dataset)] == [13_210, 1_321, 1_981, 4_128]


def test_no_row_is_in_two_parts_and_none_is_lost(tmp_path: Path) -> None:
    dataset = housing(1, tmp_path)
    parts = [rows.instances for rows in parts_of(dataset)]
    # No two block groups are alike in features, so rows can be told apart by them.
    assert len(np.unique(np.concatenate(parts), axis=0)) == 20_640


def test_the_seed_picks_the_validation_rows_and_never_the_test_rows(tmp_path: Path) -> None:
    one, same, other = housing(1, tmp_path), housing(1, tmp_path), housing(2, tmp_path)
    np.testing.assert_array_equal(one.validation.instances, same.validation.instances)
    assert not np.array_equal(one.validation.instances, other.validation.instances)
    np.testing.assert_array_equal(one.test.instances, other.test.instances)


def test_without_a_share_there_are_no_calibration_rows(tmp_path: Path) -> None:
    dataset = load_dataset("housing", tmp_path, 0.2, 1, lambda _: None)
    assert [len(rows) for rows in parts_of(dataset)] == [13_210, 3_302, 0, 4_128]


def test_who_trains_nothing_asks_for_no_validation_rows(tmp_path: Path) -> None:
    dataset = load_dataset("housing", tmp_path, 0.0, 1, lambda _: None)
    assert [len(rows) for rows in parts_of(dataset)] == [16_512, 0, 0, 4_128]


@pytest.mark.parametrize(("validation", "calibration", "purpose"), [(1e-5, 0.1, "validate"), (0.5, 0.49999, "fit")])
def test_shares_that_leave_no_rows_are_refused(
    tmp_path: Path, validation: float, calibration: float, purpose: str
) -> None:
    words = f"housing: validation_share {validation} and calibration_share {calibration} of 16512 rows leave none to "
    with pytest.raises(ConfigError, match=re.escape(words + purpose)):
        load_dataset("housing", tmp_path, validation, 1, lambda _: None, calibration_share=calibration)


def test_a_feature_s_range_is_that_of_the_training_rows(tmp_path: Path) -> None:
    dataset = housing(1, tmp_path)
    assert isinstance(dataset.input, FeatureInput)
    for i, feature in enumerate(dataset.input.features):
        column = dataset.train.instances[:, i]
        assert (np.float32(feature.minimum), np.float32(feature.maximum)) == (column.min(), column.max())


def test_pixels_are_scaled_as_the_gateway_scales_them() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    tensors = encode(ImageInput("pixels", (16, 16), 0, 255, 1 / 255), pixels)
    assert tensors["pixels"].dtype == np.float32
    np.testing.assert_array_equal(tensors["pixels"], pixels.astype(np.float32) * np.float32(1 / 255))


def test_features_fill_every_tensor_that_names_them_in_its_order() -> None:
    features = tuple(Feature(name, "", "", 0, 1) for name in "abc")
    spec = FeatureInput(features, (FeatureTensor("wide", ("c", "a")), FeatureTensor("deep", ("b", "a", "c"))))
    tensors = encode(spec, np.array([[1, 2, 3]]))
    assert {name: tensor.tolist() for name, tensor in tensors.items()} == {"wide": [[3, 1]], "deep": [[2, 1, 3]]}
    assert tensor_shapes(spec) == {"wide": (2,), "deep": (3,)}


@pytest.mark.parametrize("value", [8.3252, 1 / 3, -122.23, 1e-12])
def test_a_plain_number_is_the_same_float32_again(value: float) -> None:
    assert np.float32(plain(np.float32(value))) == np.float32(value)
    assert len(str(plain(np.float32(value)))) <= 13
