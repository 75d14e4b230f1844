"""Output tensors become answers in the words of the domain. Knows no transport: a door only encodes them.

Numbers stay float32, as the model gave them, so that a door can print 0.973 and not 0.9729999899864197.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from serving.contract import ClassOutput, Domain, ModelContract, ValueOutput
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
        answers = list(_classifications(contract.output, outputs[contract.output.tensor], top_k))
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


def _classifications(
    output: ClassOutput, probabilities: NDArray[np.float32], top_k: int | None
) -> Iterator[Classification]:
    """Of probabilities (instances, classes)."""
    names, spec = output.class_names, output.prediction_set
    shown = iter(list(probabilities.ravel()))  # all rows at once: a row of its own takes longer than its numbers
    # Compared as Python floats: a threshold has more digits than a float32, and must not be rounded to one.
    for values in probabilities.tolist():
        best = values.index(max(values))
        by_name = dict(zip(names, shown, strict=False))
        answer: Classification = {
            "class_name": names[best],
            "class_id": best,
            "probability": by_name[names[best]],
            "probabilities": by_name,
        }
        if top_k is not None:
            answer["top_k"] = [
                {"class_name": names[i], "class_id": i, "probability": by_name[names[i]]}
                for i in _by_probability(values, range(len(values)))[:top_k]
            ]
        if spec:
            reached = [i for i, value in enumerate(values) if value >= spec.threshold]
            in_order = _by_probability(values, reached) if len(reached) > 1 else reached
            answer["prediction_set"] = {"level": spec.level, "class_names": [names[i] for i in in_order]}
        yield answer


def _by_probability(values: Sequence[float], classes: Iterable[int]) -> list[int]:
    """Most probable first; of equal classes the first."""
    return sorted(classes, key=values.__getitem__, reverse=True)


def _add_domain(domain: Domain, outputs: Outputs, answers: list[Answer]) -> None:
    scores = outputs[domain.tensor][:, 0]
    are_in = (scores.astype(np.float64) <= domain.threshold).tolist()
    for answer, is_in, score in zip(answers, are_in, scores, strict=True):
        answer["in_domain"] = is_in
        answer["domain_score"] = score
