import dataclasses
from typing import Any

import numpy as np
import pytest

from serving.contract import FeatureInput, FeatureTensor
from tests.training_data import houses, pictures
from training.datasets import Dataset, Rows
from training.errors import LeakingSplit
from training.leakage import check_apart


def joined(*parts: Rows) -> Rows:
    return Rows(np.concatenate([p.instances for p in parts]), np.concatenate([p.targets for p in parts]))


def with_part(dataset: Dataset, part: str, rows: Rows) -> Dataset:
    changes: dict[str, Any] = {part: joined(getattr(dataset, part), rows)}
    return dataclasses.replace(dataset, **changes)


@pytest.mark.parametrize("dataset", [pictures(), houses()], ids=lambda dataset: dataset.name)
def test_a_split_without_common_rows_passes(dataset: Dataset) -> None:
    check_apart(dataset)


@pytest.mark.parametrize("dataset", [pictures(), houses()], ids=lambda dataset: dataset.name)
@pytest.mark.parametrize("part", ["train", "validation", "calibration"])
def test_a_test_row_among_any_other_rows_is_a_leak(dataset: Dataset, part: str) -> None:
    leaking = with_part(dataset, part, dataset.test.take(np.array([3, 5])))
    with pytest.raises(LeakingSplit, match=rf"of 20 test rows 2 are known already \(2 {part} rows\)"):
        check_apart(leaking)


def test_rows_that_stop_training_or_give_thresholds_must_not_be_fitted_to_either() -> None:
    dataset = houses()
    with pytest.raises(LeakingSplit, match=r"of 21 validation rows 1 are known already \(1 train rows\)"):
        check_apart(with_part(dataset, "validation", dataset.train.take(np.array([0]))))
    leaking = with_part(dataset, "calibration", joined(dataset.train.take(np.array([0])), dataset.validation))
    with pytest.raises(
        LeakingSplit, match=r"of 21 calibration rows 21 are known already \(1 train, 20 validation rows\)"
    ):
        check_apart(leaking)


def test_another_target_makes_no_other_row() -> None:
    dataset = houses()
    relabelled = Rows(dataset.test.instances[:1], dataset.test.targets[:1] + 1)
    with pytest.raises(LeakingSplit):
        check_apart(with_part(dataset, "train", relabelled))


def test_rows_count_as_the_model_sees_them() -> None:
    """Two houses that differ only in what the model is not given are one house to it."""
    dataset = houses()
    assert isinstance(dataset.input, FeatureInput)
    blind = dataclasses.replace(dataset.input, tensors=(FeatureTensor("features", ("rooms",)),))
    twin = Rows(dataset.test.instances[:1] + np.array([0, 7], np.float32), dataset.test.targets[:1])
    leaking = with_part(dataset, "train", twin)
    check_apart(leaking)
    with pytest.raises(LeakingSplit):
        check_apart(dataclasses.replace(leaking, input=blind))
