import dataclasses
import re
import shlex

import numpy as np

from serving.contract import Domain, PredictionSet
from tests.training_data import houses, pictures, trained
from training.card import model_card
from training.cli import TrainOptions, parse
from training.datasets import Dataset
from training.notes import Notes

SECTIONS = [
    "Intended use",
    "Data",
    "Training",
    "Evaluation",
    "How sure it is",
    "Limits",
    "Ethical considerations",
    "How to reproduce",
]


def card_of(dataset: Dataset, **answers: object) -> str:
    return model_card(trained(dataset, **answers))


def test_a_card_has_all_that_a_reader_looks_for() -> None:
    dataset = houses()
    notes = Notes(intended_use=("For play.",), data=("Made up.",), ethics=("None lives there.",))
    card = card_of(dataclasses.replace(dataset, notes=notes, cap=0.5), value=dataset.test.targets[:, None] + 0.1)
    assert re.findall(r"^## (.*)$", card, re.MULTILINE) == SECTIONS
    assert all(f"- {words}" in card for words in ("For play.", "Made up.", "None lives there."))
    assert "Targets are cut off at 0.5 100k USD" in card
    assert "| RMSE | 0.1 | 0.1–0.1 |" in card
    assert "calibration error" not in card


def test_a_classifier_s_card_tells_of_classes_calibration_sets_and_domain() -> None:
    dataset = pictures()
    output = dataclasses.replace(dataset.output, prediction_set=PredictionSet(0.9, 0.3))
    dataset = dataclasses.replace(dataset, output=output, domain=Domain("score", 1.0, "How strange."))
    probabilities = [[0.5, 0.3, 0.2]] * 20
    card = card_of(dataset, probabilities=np.array(probabilities), score=np.array([[0.5]] * 19 + [[2.0]]))
    assert "| class | rows | precision | recall |" in card
    assert "The calibration error's interval holds the model's own error, by what chance can do to each bin" in card
    assert "Prediction sets are made to hold the truth 90% of the time" in card
    assert "Out of domain: How strange. Of the test rows 5.0% exceed it." in card


def test_the_command_on_the_card_gives_the_configuration_again() -> None:
    dataset = dataclasses.replace(houses(), name="housing")
    model = trained(dataset, value=dataset.test.targets[:, None])
    (command,) = re.findall(r"```sh\n(.*)\n```", model_card(model))
    python, _, module, *arguments = shlex.split(command)
    options = parse(arguments)
    assert (python, module) == ("python", "training")
    assert isinstance(options, TrainOptions)
    assert options.seed == model.contract.provenance.seed
    assert dataclasses.asdict(options.configs["housing"]) == model.contract.provenance.config
