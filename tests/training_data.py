"""Small data sets of the two kinds that training knows, made up, so that a fit takes a second. No TensorFlow."""

import dataclasses

import numpy as np

from serving.contract import (
    ClassOutput,
    Feature,
    FeatureInput,
    FeatureTensor,
    ImageInput,
    ModelContract,
    Provenance,
    ValueOutput,
)
from training.config import TrainingConfig
from training.datasets import Dataset, Rows
from training.evaluate import evaluate
from training.findings import find
from training.trained import TrainedModel

CLASS_NAMES = ("dark", "grey", "light")
FEATURES = ("rooms", "age")


def config(**changes: object) -> TrainingConfig:
    """A configuration that trains in a second."""
    values: dict[str, object] = {
        "model": "mlp",
        "hidden_units": (4,),
        "members": 2,
        "bins": 4,
        "neighbours": 3,
        "learning_rate": 0.01,
        "batch_size": 16,
        "epochs": 2,
        "patience": 2,
        "validation_share": 0.2,
        "calibration_share": 0.2,
        "gate": 0.0,
        "margin": 1.0,
    }
    return TrainingConfig(**{**values, **changes})


def pictures(rows: int = 60) -> Dataset:
    """4 x 3 pictures of one grey value; the class is how light it is."""
    random = np.random.default_rng(0)
    labels = np.arange(rows, dtype=np.uint8) % 3
    images = (labels[:, None, None] * 80 + random.integers(0, 70, (rows, 4, 3))).astype(np.uint8)
    return _dataset(
        "pictures",
        Rows(images, labels),
        input_=ImageInput("pixels", (4, 3), 0, 255, 1 / 255),
        output=ClassOutput("probabilities", CLASS_NAMES),
    )


def houses(rows: int = 60) -> Dataset:
    """A house costs a tenth of its rooms' number and loses a hundredth a year."""
    random = np.random.default_rng(0)
    instances = random.uniform([1, 0], [10, 50], (rows, 2)).astype(np.float32)
    return _dataset(
        "houses",
        Rows(instances, (instances @ np.array([0.1, -0.01])).astype(np.float32)),
        input_=FeatureInput(
            tuple(Feature(name, "", "", 0.0, 50.0) for name in FEATURES), (FeatureTensor("features", FEATURES),)
        ),
        output=ValueOutput("value", "100k USD"),
    )


def trained(dataset: Dataset, **answers: np.ndarray) -> TrainedModel:
    """What is known of a model that gives these answers to the test rows. No model is needed for that."""
    provenance = Provenance(
        created="2026-01-01T00:00:00+00:00",
        data_source=dataset.source,
        data_digest=dataset.digest,
        seed=1,
        config=dataclasses.asdict(config()),
        source_revision="unknown",
        library_versions={"python": "3"},
    )
    evaluation = evaluate(dataset, answers)
    contract = ModelContract(
        name=dataset.name,
        task=dataset.task,
        description=dataset.description,
        digest="sha256:1",
        input=dataset.input,
        output=dataset.output,
        goldens=(),
        golden_tolerance=0.0,
        evaluation=evaluation,
        provenance=provenance,
        domain=dataset.domain,
    )
    history = {"loss": [0.9, 0.5, 0.4], "val_loss": [0.8, 0.4, 0.6]}
    return TrainedModel(contract, dataset, history, answers, find(dataset, answers, evaluation))


def _dataset(name: str, rows: Rows, input_: ImageInput | FeatureInput, output: ClassOutput | ValueOutput) -> Dataset:
    thirds = np.array_split(np.arange(len(rows)), 3)
    train, validation, test = (rows.take(third) for third in thirds)
    calibration = rows.take(thirds[1][:0])
    return Dataset(
        name=name,
        task="classification" if isinstance(output, ClassOutput) else "regression",
        description="made up",
        source="made up",
        digest="sha256:0",
        train=train,
        validation=validation,
        calibration=calibration,
        test=test,
        test_split="the last third",
        input=input_,
        output=output,
    )
