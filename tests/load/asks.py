"""The kinds of requests that users make, made ready beforehand: a generator that is busy encoding measures itself.

Knows no Locust.
"""

import io
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image as Picture

from tests.load.questions import Question, Served, as_json

PREPARED = 32  # requests of each kind and model, from which users draw


@dataclass(frozen=True)
class Ask:
    """One request: what is sent, and the questions in it."""

    model: str
    questions: Sequence[Question]
    body: bytes = b""  # HTTP
    content_type: str = "application/json"
    instances: Sequence[Any] = ()  # gRPC

    def fault(self, predictions: Sequence[Mapping[str, Any]]) -> str | None:
        """What is wrong with an answer, or None."""
        if len(predictions) != len(self.questions):
            return f"expected {len(self.questions)} predictions, got {len(predictions)}"
        pairs = zip(self.questions, predictions, strict=True)
        return next((fault for question, one in pairs if (fault := question.fault(one))), None)


def prepare(models: Sequence[Served]) -> dict[str, list[Ask]]:
    """Task → requests; the names are those of the objectives. Tasks for images have none where no model takes any."""
    images = [model for model in models if model.takes_images]
    return {
        "http json 1": [json(model, 1) for model in models for _ in range(PREPARED)],
        "http json 32": [json(model, 32) for model in models for _ in range(PREPARED)],
        "http octets 32": [octets(model, 32) for model in images for _ in range(PREPARED)],
        "http png 1": [png(model) for model in images for _ in range(PREPARED)],
        "grpc 1": [grpc(model, 1) for model in models for _ in range(PREPARED)],
        "grpc 32": [grpc(model, 32) for model in models for _ in range(PREPARED)],
    }


def json(model: Served, count: int) -> Ask:
    questions = model.some(count)
    return Ask(model.name, questions, as_json(questions))


def octets(model: Served, count: int) -> Ask:
    questions = model.some(count)
    return Ask(model.name, questions, b"".join(map(pixels, questions)), "application/octet-stream")


def png(model: Served) -> Ask:
    [question] = model.some(1)
    file = io.BytesIO()
    Picture.fromarray(np.array(question.instance, np.uint8)).save(file, "PNG")
    return Ask(model.name, [question], file.getvalue(), "image/png")


def grpc(model: Served, count: int) -> Ask:
    questions = model.some(count)
    instances = [pixels(one) if model.takes_images else one.instance for one in questions]
    return Ask(model.name, questions, instances=instances)


def pixels(question: Question) -> bytes:
    return np.array(question.instance, np.uint8).tobytes()


def draw(asks: Mapping[str, Sequence[Ask]], weights: Mapping[str, int]) -> tuple[str, Ask]:
    """A task by its weight, and one of its requests."""
    tasks = [task for task in weights if asks.get(task)]
    [task] = random.choices(tasks, [weights[task] for task in tasks])
    return task, random.choice(asks[task])
