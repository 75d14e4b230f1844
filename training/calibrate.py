"""Makes a fitted model say how sure it is: calibrated probabilities, intervals, and what it was not made for.

The result is one network with all outputs that the contract promises. The validation rows give the temperature, the
network of expected errors and the domain score its scale; the calibration rows, used for nothing else, give every
threshold that the contract states.
"""

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from serving.contract import ClassOutput, Domain, FeatureInput, ImageInput, Interval, ValueOutput
from training.conformal import fit_prediction_set, quantile, rank_of
from training.datasets import Dataset, Rows, encode
from training.domain import SHARE_OUTSIDE, feature_score, image_score
from training.errors import ConfigError
from training.models import Model, by_name, predict, symbolic_inputs
from training.progress import ProgressBar
from training.spread import IntervalAround, fit_spread, floor_of
from training.tabular import Columns
from training.temperature import Temperature, fit_temperature

_TITLE = "calibrating"  # of progress bars
_LOW, _HIGH, _DOMAIN = "low", "high", "domain_score"  # tensors


def check_enough_rows(dataset: Dataset, level: float, confidence: float = 0.0) -> None:
    """Pass quietly if the calibration rows are enough for all that is promised of them; it takes no model to tell.

    Raises:
        ConfigError: names the model, and what would need more rows.
    """
    sets = "prediction sets" if isinstance(dataset.output, ClassOutput) else "intervals"
    for promise, (its_level, its_confidence) in {
        sets: (level, confidence),
        "domain score": (1 - SHARE_OUTSIDE, 0.0),
    }.items():
        try:
            rank_of(len(dataset.calibration), its_level, its_confidence)
        except ConfigError as error:
            raise ConfigError(f"{dataset.name}: calibration_share is too small for the {promise}: {error}") from error


def calibrate(model: Model, dataset: Dataset, level: float, confidence: float = 0.0) -> tuple[Model, Dataset]:
    """The model with the outputs of calibration, and the data set with what they mean.

    Args:
        level: which share of true answers the prediction sets or intervals are to hold.
        confidence: in which share of calibrations they are to hold as much; 0: on average over them.
    Raises:
        ConfigError: too few calibration rows for the level.
    """
    is_sure_by = _certain if dataset.task == "classification" else partial(_bounded, level=level, confidence=confidence)
    outputs = is_sure_by(model, dataset)
    outputs[_DOMAIN] = _domain_score(model, dataset)
    servable = keras.Model(symbolic_inputs(model), outputs, name=f"calibrated_{model.name}")
    return servable, _with_promises(servable, dataset, level, confidence)


def _certain(model: Model, dataset: Dataset) -> dict[str, Any]:
    """A classifier's probabilities at the temperature that suits the validation rows."""
    tensor = dataset.output.tensor
    temperature = fit_temperature(
        predict(model, dataset, dataset.validation, _TITLE)[tensor], dataset.validation.targets
    )
    return {tensor: Temperature(temperature, name="temperature")(_main_output(model, tensor))}


def _bounded(model: Model, dataset: Dataset, level: float, confidence: float) -> dict[str, Any]:
    """A regressor's value and its interval: the expected error of a row, corrected on the calibration rows."""
    tensor = dataset.output.tensor
    rows, errors = _rows_and_errors(model, dataset, dataset.validation)
    progress = ProgressBar(f"{dataset.name}  {_TITLE}", leaves_lines=False)
    network, floor = fit_spread(rows, errors, level, [progress]), floor_of(errors)
    rows, errors = _rows_and_errors(model, dataset, dataset.calibration)
    factor = quantile(errors / (network.predict(rows, verbose=0)[:, 0] + floor), level, confidence)
    value = _main_output(model, tensor)
    expected = network(keras.layers.Concatenate(name="spread_row")([_instance(model, dataset), value]))
    low, high = IntervalAround(factor, floor, name="interval")([value, expected])
    return {tensor: value, _LOW: low, _HIGH: high}


def _rows_and_errors(
    model: Model, dataset: Dataset, rows: Rows
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """(features and the model's answer, how far off it is)."""
    value = predict(model, dataset, rows, _TITLE)[dataset.output.tensor]
    return np.concatenate([rows.instances, value], axis=1), np.abs(value[:, 0] - rows.targets)


def _domain_score(model: Model, dataset: Dataset) -> Any:
    spec = dataset.input
    if isinstance(spec, ImageInput):
        train, validation = (encode(spec, rows.instances)[spec.tensor] for rows in (dataset.train, dataset.validation))
        network = image_score(train, validation)
    else:
        network = feature_score(dataset.train.instances, dataset.validation.instances, _groups(spec, dataset.place))
    return network(_instance(model, dataset))


def _groups(spec: FeatureInput, place: tuple[str, ...]) -> list[list[int]]:
    """The columns that say where a row is, and the others, as views of their own: a place is strange by itself."""
    names = [feature.name for feature in spec.features]
    there = [names.index(name) for name in place]
    return [group for group in (there, [i for i in range(len(names)) if i not in there]) if group]


def _main_output(model: Model, tensor: str) -> Any:
    """The output of that name, symbolic."""
    return by_name(model(symbolic_inputs(model)), tensor)[tensor]


def _instance(model: Model, dataset: Dataset) -> Any:
    """The image, or all features in the contract's order, from whatever tensors the model takes: a symbolic tensor."""
    if isinstance(dataset.input, ImageInput):
        return model.inputs[0]
    by_name = {tensor.name: tensor for tensor in model.inputs}
    filled = [name for tensor in dataset.input.tensors for name in tensor.features]
    columns = [filled.index(feature.name) for feature in dataset.input.features]
    tensors = [by_name[tensor.name] for tensor in dataset.input.tensors]
    joined = keras.layers.Concatenate()(tensors) if len(tensors) > 1 else tensors[0]
    return Columns(columns)(joined)


def _with_promises(servable: Model, dataset: Dataset, level: float, confidence: float) -> Dataset:
    """The data set whose output and domain say what the servable model's calibration rows show."""
    answers = predict(servable, dataset, dataset.calibration, _TITLE)
    output = _output(dataset, answers, level, confidence)
    threshold = quantile(answers[_DOMAIN][:, 0], 1 - SHARE_OUTSIDE)
    return dataclasses.replace(dataset, output=output, domain=Domain(_DOMAIN, threshold, _domain_words(dataset)))


def _output(
    dataset: Dataset, answers: Mapping[str, npt.NDArray[np.float32]], level: float, confidence: float
) -> ClassOutput | ValueOutput:
    output = dataset.output
    if isinstance(output, ValueOutput):
        return dataclasses.replace(output, interval=Interval(level, _LOW, _HIGH))
    probabilities = answers[output.tensor]
    fitted = fit_prediction_set(probabilities, dataset.calibration.targets, level, confidence)
    return dataclasses.replace(output, prediction_set=fitted)


def _domain_words(dataset: Dataset) -> str:
    if isinstance(dataset.input, ImageInput):
        measure = (
            "distance from the training images in their principal components, what these leave out, and brightness"
        )
    else:
        place = f" by {' and '.join(dataset.place)}, and" if dataset.place else ""
        measure = f"distance to the nearest training row{place} by its other features"
    return (
        f"The largest of several: {measure}. {SHARE_OUTSIDE:.0%} of rows like those of training exceed the threshold."
    )
