"""Output tensors become answers in the words of the domain. Knows no transport: a door only encodes them.

Numbers stay float32, as the model gave them, so that a door can print 0.973 and not 0.9729999899864197.
"""

from typing import Any, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from serving.contract import ClassOutput, ModelContract, ValueOutput
from serving.errors import ModelServerFault
from serving.gateway.model_server import Tensors
from serving.gateway.violations import invalid, kind_of


class ClassProbability(TypedDict):
    """One class and how probable it is."""

    class_name: str
    class_id: int
    probability: np.float32


class Classification(ClassProbability):
    """The most probable class, and how probable every class is."""

    probabilities: dict[str, np.float32]
    top_k: NotRequired[list[ClassProbability]]  # when asked for, most probable first


class Regression(TypedDict):
    """One value, in the unit of the contract."""

    value: np.float32
    unit: str


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


def check_output(contract: ModelContract, outputs: Tensors, rows: int) -> NDArray[np.float32]:
    """The output the contract promises: float32 of shape (rows, width).

    Raises:
        ModelServerFault: it is missing, of another shape, or not finite.
    """
    output = contract.output
    width = len(output.class_names) if isinstance(output, ClassOutput) else 1
    if output.tensor not in outputs:
        raise ModelServerFault(f"{contract.name}: expected an output {output.tensor!r}, got {sorted(outputs)}")
    tensor = outputs[output.tensor]
    if tensor.shape != (rows, width) or tensor.dtype != np.float32:
        raise ModelServerFault(
            f"{contract.name}: expected {output.tensor!r} as float32 {(rows, width)}, got {tensor.dtype} {tensor.shape}"
        )
    if not np.isfinite(tensor).all():
        raise ModelServerFault(f"{contract.name}: expected finite {output.tensor!r}, got some that are not")
    return tensor


def to_answers(contract: ModelContract, tensor: NDArray[np.float32], top_k: int | None) -> list[Answer]:
    """One answer an instance, from a checked output of shape (rows, width)."""
    output = contract.output
    if isinstance(output, ValueOutput):
        return [Regression(value=row[0], unit=output.unit) for row in tensor]
    return [_classification(output.class_names, row, top_k) for row in tensor]


def _classification(names: tuple[str, ...], probabilities: NDArray[np.float32], top_k: int | None) -> Classification:
    best = int(probabilities.argmax())
    answer = Classification(
        class_name=names[best],
        class_id=best,
        probability=probabilities[best],
        probabilities=dict(zip(names, probabilities, strict=True)),
    )
    if top_k is not None:
        # Stable, so that of equal classes the first wins, as with argmax.
        order = np.argsort(-probabilities, kind="stable")[:top_k].tolist()
        answer["top_k"] = [
            ClassProbability(class_name=names[i], class_id=i, probability=probabilities[i]) for i in order
        ]
    return answer
