"""Parts of the test rows that deserve a look of their own. What they are follows from the data set alone."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from serving.contract import ClassOutput, FeatureInput, ImageInput
from training.datasets import Dataset
from training.regions import ELSEWHERE, region_of
from training.row_figures import Figures

Mask = npt.NDArray[np.bool_]  # (n,)


def slices(dataset: Dataset, figures: Figures) -> Mapping[str, Mapping[str, Mask]]:
    """By what -> slice -> which test rows; slices of one kind are apart and together all rows. None is empty."""
    found: dict[str, dict[str, Mask]] = {}
    if isinstance(dataset.output, ClassOutput):
        labels = dataset.test.targets
        found["class"] = {name: labels == i for i, name in enumerate(dataset.output.class_names)}
    if isinstance(dataset.input, ImageInput):
        found["brightness"] = _by_brightness(dataset.test.instances)
    if dataset.regions:
        found["region"] = _by_region(dataset)
    if "capped" in figures:
        capped = figures["capped"] == 1
        found["target"] = {"below the cap": ~capped, "capped": capped}
    if "out_of_domain" in figures:
        outside = figures["out_of_domain"] == 1
        found["domain"] = {"in domain": ~outside, "out of domain": outside}
    return {kind: {name: mask for name, mask in of.items() if mask.any()} for kind, of in found.items()}


def place_of(dataset: Dataset, instances: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The features that say where each row is: (n, features) -> (n, 2)."""
    assert isinstance(dataset.input, FeatureInput)  # noqa: S101 (only these have a place)
    names = [feature.name for feature in dataset.input.features]
    return instances[:, [names.index(name) for name in dataset.place]]


def _by_brightness(images: npt.NDArray[np.uint8]) -> dict[str, Mask]:
    """Thirds of the images, by their mean pixel."""
    mean = images.reshape(len(images), -1).mean(axis=1)
    low, high = np.quantile(mean, [1 / 3, 2 / 3])
    return {
        f"dark: mean pixel below {low:.0f}": mean < low,
        f"medium: {low:.0f} to {high:.0f}": (low <= mean) & (mean < high),
        f"bright: {high:.0f} and up": high <= mean,
    }


def _by_region(dataset: Dataset) -> dict[str, Mask]:
    region = region_of(place_of(dataset, dataset.test.instances), dataset.regions)
    named = {f"{r.name}: {r.description}": region == r.name for r in dataset.regions}
    return {**named, ELSEWHERE: region == ELSEWHERE}
