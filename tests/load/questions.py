"""What load tests ask, and what is right. Knows no Locust.

The models' test rows where training's data is on this machine, and always the goldens of the contracts. What is right:
for a golden what the trained model answered, for a test row what the served one answers when nobody else asks yet.
"""

import importlib.util
import json
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from serving.client import Client
from serving.contract import ClassOutput, FeatureInput, ImageInput, ModelContract

ROWS = 64  # test rows a model: asked at once before the load
# Requests that are answered together may differ from those answered alone in a float's last digits.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Question:
    """One instance and the answer to it."""

    model: str
    instance: Any
    answer: Mapping[str, Any]  # class_id and probability, or value
    tolerance: float = TOLERANCE

    def fault(self, prediction: Mapping[str, Any]) -> str | None:
        """What is wrong with a prediction, or None."""
        for name, right in self.answer.items():
            got = prediction.get(name)
            if got is None or not math.isclose(got, right, rel_tol=self.tolerance, abs_tol=self.tolerance):
                return f"expected {name} {right:g}, got {got}"
        return None


@dataclass(frozen=True)
class Served:
    """A model on offer, and questions about it."""

    name: str
    takes_images: bool
    questions: tuple[Question, ...]

    def some(self, count: int) -> list[Question]:
        """Drawn at random."""
        return random.choices(self.questions, k=count)


def served_models(url: str, api_key: str | None = None) -> list[Served]:
    """All that the gateway at this URL offers."""
    with Client(url, api_key=api_key) as client:
        contracts = [client.contract(model["name"]) for model in client.models()["models"]]
        return [
            Served(
                one.name,
                isinstance(one.input, ImageInput),
                (*goldens(one), *asked_before(client, one, test_rows(one))),
            )
            for one in contracts
        ]


def goldens(served: ModelContract) -> Iterator[Question]:
    """With the answers recorded in training, within the contract's own tolerance."""
    for golden in served.goldens:
        numbers = golden.answer[served.output.tensor]
        right = {"class_id": numbers.index(max(numbers))} if is_classifier(served) else {"value": numbers[0]}
        yield Question(served.name, golden.instance, right, tolerance=10 * served.golden_tolerance)


def asked_before(client: Client, served: ModelContract, instances: list[Any]) -> Iterator[Question]:
    """With the answers that the served model gives now, to nobody else."""
    if not instances:
        return
    # Of two classes that are as probable as each other either may come first, so the probability is the answer.
    name = "probability" if is_classifier(served) else "value"
    predictions = client.predict(served.name, instances).predictions
    for instance, prediction in zip(instances, predictions, strict=True):
        yield Question(served.name, instance, {name: dict(prediction)[name]})


def is_classifier(served: ModelContract) -> bool:
    return isinstance(served.output, ClassOutput)


def test_rows(served: ModelContract) -> list[Any]:
    """Instances as clients send them; none where the data is not on this machine."""
    if importlib.util.find_spec("training") is None:  # a load generator's image has no training in it
        return []
    from training.config import DEFAULT_SEED, Folders
    from training.datasets import load_dataset

    data = Folders.from_env().data
    if served.name not in ("fashion", "housing") or (
        served.name == "fashion" and not (data / "fashion-mnist").is_dir()
    ):
        return []
    rows = load_dataset(served.name, data, 0.0, DEFAULT_SEED, report=lambda _: None).test.instances
    chosen = rows[:: len(rows) // ROWS][:ROWS].tolist()
    if isinstance(served.input, FeatureInput):
        names = [feature.name for feature in served.input.features]
        return [dict(zip(names, row, strict=True)) for row in chosen]
    return list(chosen)


def as_json(questions: list[Question]) -> bytes:
    return json.dumps({"instances": [one.instance for one in questions]}, separators=(",", ":")).encode()
