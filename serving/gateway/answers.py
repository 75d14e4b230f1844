"""Output tensors become answers in the words of the domain. Knows no transport: a door only encodes them.

Numbers stay float32, as the model gave them, so that a door can print 0.973 and not 0.9729999899864197.
"""

from typing import Any, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from serving.contract import ClassOutput, Domain, ModelContract, PredictionSet, ValueOutput
from serving.gateway.outputs import Outputs
from serving.gateway.violations import invalid, kind_of


class ClassProbability(TypedDict):
    """One class and how probable it is."""

    class_name: str
    class_id: int
    probability: np.float32


class ClassSet(TypedDict):
    """Classes among which the true one is, with probability `level`; most probable first. None is an abstention."""

    level: float
    class_names: list[str]


class Range(TypedDict):
    """The true value lies from low to high with probability `level`; in the value's unit."""

    level: float
    low: np.float32
    high: np.float32


class InDomain(TypedDict):
    """Whether the instance resembles the training data; only where the contract can tell."""

    in_domain: NotRequired[bool]
    domain_score: NotRequired[np.float32]  # the smaller, the more alike; the contract has the threshold


class Classification(ClassProbability, InDomain):
    """The most probable class, and how probable every class is."""

    probabilities: dict[str, np.float32]
    top_k: NotRequired[list[ClassProbability]]  # when asked for, most probable first
    prediction_set: NotRequired[ClassSet]  # where the contract has one


class Regression(InDomain):
    """One value, in the unit of the contract."""

    value: np.float32
    unit: str
    interval: NotRequired[Range]  # where the contract has one


Answer = Classification | Regression


def check_top_k(contract: ModelContract, top_k: Any) -> int | None:
    """Refuse a top_k that the model cannot give."""
    if top_k is None:
        return None
    if not isinstance(contract.output, ClassOutput):
        raise invalid(("top_k",), f"only classification has a top_k; this model does {contract.task}")
    classes = len(contract.output.class_names)
    if type(top_k) is not int:
        raise invalid(("top_k",), f"expected an integer from 1 to {classes}, got {kind_of(top_k)}")
    if not 1 <= top_k <= classes:
        kind = "a larger number" if top_k > classes else "a smaller number"
        raise invalid(("top_k",), f"expected an integer from 1 to {classes}, got {kind}")
    return top_k


def to_answers(contract: ModelContract, outputs: Outputs, top_k: int | None) -> list[Answer]:
    """One answer an instance, from checked outputs."""
    answers: list[Answer]
    if isinstance(contract.output, ValueOutput):
        answers = list(_regressions(contract.output, outputs))
    else:
        probabilities = outputs[contract.output.tensor]  # (instances, classes)
        # Stable, so that of equal classes the first wins.
        orders = np.argsort(-probabilities, axis=1, kind="stable").tolist()
        answers = [
            _classification(contract.output, row, order, top_k)
            for row, order in zip(probabilities, orders, strict=True)
        ]
    if contract.domain:
        _add_domain(contract.domain, outputs, answers)
    return answers


def _regressions(output: ValueOutput, outputs: Outputs) -> list[Regression]:
    answers = [Regression(value=value, unit=output.unit) for value in outputs[output.tensor][:, 0]]
    if interval := output.interval:
        bounds = zip(outputs[interval.low][:, 0], outputs[interval.high][:, 0], strict=True)
        for answer, (low, high) in zip(answers, bounds, strict=True):
            answer["interval"] = Range(level=interval.level, low=low, high=high)
    return answers


def _classification(
    output: ClassOutput, probabilities: NDArray[np.float32], order: list[int], top_k: int | None
) -> Classification:
    """`order` has the classes, most probable first."""
    names = output.class_names
    best = order[0]
    answer = Classification(
        class_name=names[best],
        class_id=best,
        probability=probabilities[best],
        probabilities=dict(zip(names, probabilities, strict=True)),
    )
    if top_k is not None:
        answer["top_k"] = [
            ClassProbability(class_name=names[i], class_id=i, probability=probabilities[i]) for i in order[:top_k]
        ]
    if output.prediction_set:
        answer["prediction_set"] = _class_set(output.prediction_set, names, probabilities, order)
    return answer


def _class_set(
    spec: PredictionSet, names: tuple[str, ...], probabilities: NDArray[np.float32], order: list[int]
) -> ClassSet:
    # As Python floats: the threshold has more digits than a float32, and must not be rounded to one.
    reached = [i for i in order if float(probabilities[i]) >= spec.threshold]
    return ClassSet(level=spec.level, class_names=[names[i] for i in reached])


def _add_domain(domain: Domain, outputs: Outputs, answers: list[Answer]) -> None:
    for answer, score in zip(answers, outputs[domain.tensor][:, 0], strict=True):
        answer["in_domain"] = float(score) <= domain.threshold
        answer["domain_score"] = score
