"""Output tensors become answers in the words of the domain. Knows no transport: a door only encodes them.

Numbers stay float32, as the model gave them, so that a door can print 0.973 and not 0.9729999899864197.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from serving.contract import ClassOutput, ModelContract, ValueOutput
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


class Verdicts(NamedTuple):
    """What answers say in words, which the numbers decide; an item an instance."""

    class_ids: Sequence[int]  # the most probable class; of equal ones the first; 0 where there are no classes
    class_sets: Sequence[Sequence[int]]  # the prediction set's, most probable first; empty where there is none
    in_domain: Sequence[bool]  # False where the contract has no domain


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
    verdicts = to_verdicts(contract, outputs)
    if isinstance(contract.output, ValueOutput):
        answers = list(_regressions(contract.output, outputs))
    else:
        answers = list(_classifications(contract.output, outputs[contract.output.tensor], verdicts, top_k))
    if contract.domain:
        scores = outputs[contract.domain.tensor][:, 0]
        for answer, in_domain, score in zip(answers, verdicts.in_domain, scores, strict=True):
            answer["in_domain"] = in_domain
            answer["domain_score"] = score
    return answers


def to_verdicts(contract: ModelContract, outputs: Outputs) -> Verdicts:
    """From checked outputs."""
    output, domain, rows = contract.output, contract.domain, len(outputs[contract.output.tensor])
    class_ids: Sequence[int] = [0] * rows
    class_sets: Sequence[Sequence[int]] = [()] * rows
    in_domain: Sequence[bool] = [False] * rows
    # Compared as float64: a threshold has more digits than a float32, and must not be rounded to one.
    if isinstance(output, ClassOutput):
        class_ids = outputs[output.tensor].argmax(axis=1).tolist()
        if output.prediction_set:
            class_sets = _sets(outputs[output.tensor], output.prediction_set.threshold)
    if domain:
        in_domain = (outputs[domain.tensor][:, 0].astype(np.float64) <= domain.threshold).tolist()
    return Verdicts(class_ids, class_sets, in_domain)


def _sets(probabilities: NDArray[np.float32], threshold: float) -> list[list[int]]:
    """Of each row the classes that reach the threshold, most probable first."""
    sets: list[list[int]] = [[] for _ in range(len(probabilities))]
    rows, class_ids = (probabilities.astype(np.float64) >= threshold).nonzero()
    for row, class_id in zip(rows.tolist(), class_ids.tolist(), strict=True):
        sets[row].append(class_id)
    for row in [row for row, reached in enumerate(sets) if len(reached) > 1]:
        sets[row] = _by_probability(probabilities[row])[: len(sets[row])]
    return sets


def _by_probability(probabilities: NDArray[np.float32]) -> list[int]:
    """All classes, most probable first; of equal ones the first."""
    ids: list[int] = (-probabilities).argsort(stable=True).tolist()
    return ids


def _regressions(output: ValueOutput, outputs: Outputs) -> list[Regression]:
    answers = [Regression(value=value, unit=output.unit) for value in outputs[output.tensor][:, 0]]
    if interval := output.interval:
        bounds = zip(outputs[interval.low][:, 0], outputs[interval.high][:, 0], strict=True)
        for answer, (low, high) in zip(answers, bounds, strict=True):
            answer["interval"] = Range(level=interval.level, low=low, high=high)
    return answers


def _classifications(
    output: ClassOutput, probabilities: NDArray[np.float32], verdicts: Verdicts, top_k: int | None
) -> Iterator[Classification]:
    """Of probabilities (instances, classes)."""
    names, spec = output.class_names, output.prediction_set
    for best, class_set, row in zip(verdicts.class_ids, verdicts.class_sets, probabilities, strict=True):
        by_name = dict(zip(names, row, strict=True))
        answer: Classification = {
            "class_name": names[best],
            "class_id": best,
            "probability": by_name[names[best]],
            "probabilities": by_name,
        }
        if top_k is not None:
            answer["top_k"] = [
                {"class_name": names[i], "class_id": i, "probability": by_name[names[i]]}
                for i in _by_probability(row)[:top_k]
            ]
        if spec:
            answer["prediction_set"] = {"level": spec.level, "class_names": [names[i] for i in class_set]}
        yield answer
