"""What load tests ask, and what is right: the goldens of the contracts that the gateway serves. Knows no Locust."""

import json
import math
import urllib.request
from dataclasses import dataclass
from typing import Any

from serving import contract
from serving.contract import ClassOutput, ModelContract


@dataclass(frozen=True)
class Question:
    """One instance and what the trained model answered."""

    model: str
    instance: Any
    class_id: int | None  # of a classifier
    value: float | None  # of a regressor
    tolerance: float

    def fault(self, prediction: dict[str, Any]) -> str | None:
        """What is wrong with a prediction, or None."""
        if self.class_id is not None:
            return None if prediction["class_id"] == self.class_id else f"expected class {self.class_id}"
        if math.isclose(prediction["value"], self.value or 0.0, abs_tol=self.tolerance):
            return None
        return f"expected {self.value}, within {self.tolerance}"


def questions(url: str) -> dict[str, list[Question]]:
    """Model → its questions, from what the gateway at this URL offers."""
    models = [model["name"] for model in json.loads(_read(f"{url}/v1/models"))["models"]]
    return {model: _of(contract.from_json(_read(f"{url}/v1/models/{model}/metadata"))) for model in models}


def _of(served: ModelContract) -> list[Question]:
    found = []
    for golden in served.goldens:
        answer = golden.answer[served.output.tensor]
        is_class = isinstance(served.output, ClassOutput)
        found.append(
            Question(
                served.name,
                golden.instance,
                class_id=answer.index(max(answer)) if is_class else None,
                value=None if is_class else answer[0],
                tolerance=10 * served.golden_tolerance,
            )
        )
    return found


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())
