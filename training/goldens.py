"""Golden examples: raw test rows with the trained model's answers, for everybody downstream to check themselves by."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.contract import FeatureInput, Golden, ImageInput
from training.datasets import Dataset, Rows, output_tensors, plain

_COUNT = 8


def make_goldens(dataset: Dataset, rows: Rows, answers: Mapping[str, npt.NDArray[np.float32]]) -> tuple[Golden, ...]:
    """Rows as a client would send them, and the model's answers to them by output tensor: each (n, width)."""
    promised = output_tensors(dataset.output, dataset.domain)
    return tuple(
        Golden(
            to_json_instance(dataset.input, instance),
            {tensor: tuple(plain(value) for value in answers[tensor][i]) for tensor in promised},
            truth=plain(rows.targets[i]),
        )
        for i, instance in enumerate(rows.instances)
    )


def pick_rows(dataset: Dataset) -> Rows:
    """Eight test rows, spread over what the model can be asked.

    Classification: the first test rows of eight classes. Regression: rows from the lowest target to the highest.
    """
    targets = dataset.test.targets
    if dataset.task == "classification":
        firsts = np.unique(targets, return_index=True)[1]
        return dataset.test.take(np.sort(firsts)[:_COUNT])
    ranks = np.linspace(0, len(targets) - 1, _COUNT).astype(np.intp)
    return dataset.test.take(np.argsort(targets, kind="stable")[ranks])


def to_json_instance(spec: ImageInput | FeatureInput, instance: npt.NDArray[Any]) -> Any:
    """A raw row as a client would send it: nested lists of pixels, or an object by feature name."""
    if isinstance(spec, ImageInput):
        return instance.tolist()
    return {feature.name: plain(value) for feature, value in zip(spec.features, instance, strict=True)}


def from_json_instances(spec: ImageInput | FeatureInput, instances: list[Any]) -> npt.NDArray[Any]:
    """The other way: JSON instances as raw rows (n, ...)."""
    if isinstance(spec, ImageInput):
        return np.array(instances)
    return np.array([[instance[feature.name] for feature in spec.features] for instance in instances])
