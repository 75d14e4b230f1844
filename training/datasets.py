"""A data set as training sees it: checked raw arrays, split to fit, to validate and to test, and what they mean.

Rows stay raw (pixels 0..255, features as measured): `encode` makes of them the tensors that a model computes with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from serving.contract import ClassOutput, Domain, Feature, FeatureInput, FeatureTensor, ImageInput, ValueOutput
from training import california_housing, fashion_mnist
from training.errors import ConfigError
from training.notes import NO_NOTES, Notes
from training.place import draw_place
from training.regions import Region
from training.sources import Report, first_right

# Fixed, whatever the run's seed: the test rows are the same for every model, so results can be compared and a
# model that starts from another one's weights cannot have seen them.
_TEST_SEED = 42
_TEST_SHARE = 0.2
# Quantiles of a feature in the contract: every 2 %.
_QUANTILES = np.linspace(0, 1, 51)


@dataclass(frozen=True)
class Rows:
    """Raw instances (n, ...) and their targets (n,)."""

    instances: npt.NDArray[Any]
    targets: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, index: npt.NDArray[np.intp]) -> "Rows":
        """The rows of these numbers, in this order."""
        return Rows(self.instances[index], self.targets[index])


@dataclass(frozen=True)
class Dataset:
    """One data set, split. The test rows are for evaluation and goldens alone, the calibration rows for thresholds."""

    name: str
    task: Literal["classification", "regression"]
    description: str  # of the model that is trained on it
    source: str  # where the arrays came from
    digest: str  # of the arrays, whatever the source
    train: Rows
    validation: Rows
    calibration: Rows  # may be empty
    test: Rows
    test_split: str  # which rows are test rows, in words
    input: ImageInput | FeatureInput
    output: ClassOutput | ValueOutput
    place: tuple[str, ...] = ()  # features that say where an instance is
    regions: tuple[Region, ...] = ()  # of the place, to look at apart
    cap: float | None = None  # the target of every row whose true one is above it
    domain: Domain | None = None
    notes: Notes = NO_NOTES  # for the model card


def load_dataset(
    name: str, data_dir: Path, validation_share: float, seed: int, report: Report, *, calibration_share: float = 0.0
) -> Dataset:
    """Get a data set from the first source that has it; the seed picks the validation and the calibration rows.

    Args:
        validation_share, calibration_share: of the rows that are not test rows.
    Raises:
        DatasetUnavailable: no source has it.
        ConfigError: a share, or what they leave to fit, comes to no row.
    """
    load = {"fashion": _load_fashion, "housing": _load_housing}[name]
    return load(data_dir, (validation_share, calibration_share), seed, report)


def encode(spec: ImageInput | FeatureInput, instances: npt.NDArray[Any]) -> dict[str, npt.NDArray[np.float32]]:
    """Raw instances as the model's float32 tensors, by name: what is served computes with the same, to the bit."""
    if isinstance(spec, ImageInput):
        return {spec.tensor: instances.astype(np.float32) * np.float32(spec.scale)}
    column = {feature.name: i for i, feature in enumerate(spec.features)}
    return {
        tensor.name: np.ascontiguousarray(instances[:, [column[name] for name in tensor.features]], np.float32)
        for tensor in spec.tensors
    }


def tensor_shapes(spec: ImageInput | FeatureInput) -> dict[str, tuple[int, ...]]:
    """The shape of one instance in each of the model's input tensors."""
    if isinstance(spec, ImageInput):
        return {spec.tensor: spec.shape}
    return {tensor.name: (len(tensor.features),) for tensor in spec.tensors}


def output_width(spec: ClassOutput | ValueOutput) -> int:
    """How many numbers the output tensor has for one instance."""
    return len(spec.class_names) if isinstance(spec, ClassOutput) else 1


def output_tensors(output: ClassOutput | ValueOutput, domain: Domain | None) -> tuple[str, ...]:
    """The names of all tensors that a contract promises of these outputs."""
    bounds = (output.interval.low, output.interval.high) if isinstance(output, ValueOutput) and output.interval else ()
    return (output.tensor, *bounds, *((domain.tensor,) if domain else ()))


def _load_fashion(data_dir: Path, shares: tuple[float, float], seed: int, report: Report) -> Dataset:
    sources = fashion_mnist.sources(data_dir, report)
    advice = fashion_mnist.advice(data_dir)
    source, arrays = first_right("fashion", sources, fashion_mnist.DIGEST, advice, report)
    rows = Rows(arrays["train_images"], arrays["train_labels"])
    train, validation, calibration = _split_to_train("fashion", rows, shares, seed)
    return Dataset(
        name="fashion",
        task="classification",
        description="Tells ten kinds of clothing apart in 28x28 grey images (Fashion-MNIST), light on black.",
        source=source,
        digest=fashion_mnist.DIGEST,
        train=train,
        validation=validation,
        calibration=calibration,
        test=Rows(arrays["test_images"], arrays["test_labels"]),
        test_split="Fashion-MNIST's official 10,000 test images",
        input=ImageInput(tensor="pixels", shape=(28, 28), minimum=0, maximum=255, scale=1 / 255),
        output=ClassOutput(tensor="probabilities", class_names=fashion_mnist.CLASS_NAMES),
        notes=fashion_mnist.NOTES,
    )


def _load_housing(data_dir: Path, shares: tuple[float, float], seed: int, report: Report) -> Dataset:
    del data_dir  # the table comes with the project
    advice = "The table belongs to the project: restore training/data/california_housing.csv.gz."
    source, arrays = first_right("housing", california_housing.sources(), california_housing.DIGEST, advice, report)
    rest, test = _split(Rows(arrays["features"], arrays["targets"]), (_TEST_SHARE,), _TEST_SEED)
    train, validation, calibration = _split_to_train("housing", rest, shares, seed)
    return Dataset(
        name="housing",
        task="regression",
        description="Estimates the median house value of a Californian block group from the census of 1990.",
        source=source,
        digest=california_housing.DIGEST,
        train=train,
        validation=validation,
        calibration=calibration,
        test=test,
        test_split=f"a fifth of the 20,640 block groups, drawn once for all with seed {_TEST_SEED}",
        input=_feature_input(california_housing.FEATURES, california_housing.PLACE, train),
        output=ValueOutput(tensor="value", unit=california_housing.TARGET_UNIT),
        notes=california_housing.NOTES,
        place=california_housing.PLACE,
        regions=california_housing.REGIONS,
        cap=california_housing.CAP,
    )


def _split_to_train(name: str, rows: Rows, shares: tuple[float, float], seed: int) -> tuple[Rows, ...]:
    """(train, validation, calibration): rows to fit, and to validate if a share of them is to."""
    train, validation, _ = parts = _split(rows, shares, seed)
    for purpose, part, is_wanted in (("fit", train, True), ("validate", validation, shares[0] > 0)):
        if is_wanted and not len(part):
            raise ConfigError(
                f"{name}: validation_share {shares[0]} and calibration_share {shares[1]} of {len(rows)} rows "
                f"leave none to {purpose}"
            )
    return parts


def _split(rows: Rows, shares: Sequence[float], seed: int) -> tuple[Rows, ...]:
    """Random shares of the rows, apart: (the rest, one for each share)."""
    order = np.random.default_rng(seed).permutation(len(rows))
    ends = np.cumsum([round(len(rows) * share) for share in shares])
    *parts, rest = np.split(order, ends)
    return rows.take(rest), *(rows.take(part) for part in parts)


def _feature_input(about: Mapping[str, tuple[str, str]], place: tuple[str, str], train: Rows) -> FeatureInput:
    features = tuple(
        _feature(name, unit, description, train.instances[:, i])
        for i, (name, (unit, description)) in enumerate(about.items())
    )
    columns = [list(about).index(name) for name in place]
    return FeatureInput(
        features,
        tensors=(FeatureTensor("features", tuple(about)),),
        place=draw_place(place, train.instances[:, columns], train.targets),
    )


def _feature(name: str, unit: str, description: str, values: npt.NDArray[np.float32]) -> Feature:
    quantiles = tuple(float(f"{value:.4g}") for value in np.quantile(values, _QUANTILES))
    return Feature(name, unit, description, plain(values.min()), plain(values.max()), quantiles)


def plain(value: np.generic) -> float:
    """The shortest decimal number that is this float32 again: 8.3252, not 8.325200080871582."""
    return float(str(value))
