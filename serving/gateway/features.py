"""Feature instances, objects by name or lists in the contract's order, become the float32 tensors a model takes.

Two paths that must agree (a property test says so): `accept_features` is fast and says no, `_explain` is slow and
says why.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.contract import FeatureInput
from serving.errors import Violation
from serving.gateway.json_numbers import as_float64
from serving.gateway.violations import Path, kind_of, refuse, violation


def read_features(spec: FeatureInput, instances: list[Any]) -> dict[str, NDArray[np.float32]]:
    """Check feature rows: tensor name -> float32 of shape (batch, features of that tensor).

    Raises:
        InvalidInput: with a pointer to each missing, unknown or wrong feature.
    """
    accepted = accept_features(spec, instances)
    if accepted is None:
        raise refuse(_explain([feature.name for feature in spec.features], instances))
    return accepted


def accept_features(spec: FeatureInput, instances: list[Any]) -> dict[str, NDArray[np.float32]] | None:
    """The same; None where a row breaks the contract."""
    names = [feature.name for feature in spec.features]
    table = _accept(names, instances)
    if table is None:
        return None
    return {tensor.name: table[:, [names.index(name) for name in tensor.features]] for tensor in spec.tensors}


def _accept(names: list[str], instances: list[Any]) -> NDArray[np.float32] | None:
    values: list[Any] = []
    for instance in instances:
        if type(instance) not in (dict, list) or len(instance) != len(names):
            return None
        try:
            values += [instance[name] for name in names] if type(instance) is dict else instance
        except KeyError:
            return None
    numbers = as_float64(values)
    return None if numbers is None else to_float32(numbers.reshape(len(instances), len(names)))


def to_float32(numbers: NDArray[np.floating[Any]]) -> NDArray[np.float32] | None:
    """Numbers as a model takes them, in the shape they have; None where one is not finite then."""
    with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which is then refused
        table = numbers.astype(np.float32)
    return table if np.isfinite(table).all() else None


def explain_number(value: Any, path: Path) -> Iterator[Violation]:
    """What is wrong with one number, if anything is."""
    if type(value) not in (int, float):
        yield violation(path, f"expected a number, got {kind_of(value)}")
    elif not _is_finite_float32(value):
        yield violation(path, "expected a finite 32-bit number, got one that is not")


def _is_finite_float32(value: float) -> bool:
    numbers = as_float64([value])
    return numbers is not None and to_float32(numbers) is not None


def _explain(names: list[str], instances: list[Any]) -> Iterator[Violation]:
    for index, instance in enumerate(instances):
        path: Path = ("instances", index)
        if type(instance) is dict:
            yield from _explain_object(names, instance, path)
        elif type(instance) is not list:
            expected = f"an object by feature name or an array of {len(names)} numbers"
            yield violation(path, f"expected {expected}, got {kind_of(instance)}")
        elif len(instance) != len(names):
            expected = f"{len(names)} numbers ({', '.join(names)})"
            yield violation(path, f"expected {expected}, got an array of {len(instance)}")
        else:
            for position, value in enumerate(instance):
                yield from explain_number(value, (*path, position))


def _explain_object(names: list[str], instance: dict[str, Any], path: Path) -> Iterator[Violation]:
    for name in names:
        if name not in instance:
            yield violation((*path, name), "expected a number, but the feature is missing")
        else:
            yield from explain_number(instance[name], (*path, name))
    for key in instance:
        if key not in names:
            yield violation((*path, key), f"unknown feature; expected only {', '.join(names)}")
