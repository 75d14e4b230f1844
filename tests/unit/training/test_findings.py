import dataclasses
import json

import numpy as np
import pytest

from serving.contract import Domain, FeatureInput
from tests.training_data import houses, pictures
from training.classes import class_results, confusion_of
from training.datasets import Dataset
from training.evaluate import evaluate
from training.findings import Findings, find, to_json
from training.regions import Region, region_of


def found(dataset: Dataset, answers: dict[str, np.ndarray]) -> Findings:
    return find(dataset, answers, evaluate(dataset, answers))


def taken_for(predicted: list[int]) -> np.ndarray:
    return np.eye(3)[predicted]


def test_the_confusion_matrix_says_who_is_taken_for_whom() -> None:
    matrix = confusion_of(taken_for([0, 1, 1, 2]), np.array([0, 0, 1, 2], np.uint8))
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]


def test_precision_and_recall_by_hand() -> None:
    first, second, third = class_results(np.array([[8, 2, 0], [4, 6, 0], [5, 5, 0]]), ("a", "b", "c"))
    assert (first.rows, first.precision.value, first.recall.value) == (10, pytest.approx(8 / 17), 0.8)
    assert (second.precision.value, second.recall.value) == (pytest.approx(6 / 13), 0.6)
    assert (third.precision.value, third.recall.value) == (0, 0)  # never called


def test_each_class_has_an_interval_of_about_the_width_that_theory_gives() -> None:
    (result, _) = class_results(np.array([[900, 100], [0, 1000]]), ("a", "b"))
    half = 1.96 * np.sqrt(0.9 * 0.1 / 1000)
    assert result.recall.low == pytest.approx(0.9 - half, abs=0.004)
    assert result.recall.high == pytest.approx(0.9 + half, abs=0.004)
    assert (result.precision.low, result.precision.high) == (1, 1)


def test_slices_of_pictures_are_their_classes_and_thirds_by_brightness() -> None:
    dataset = pictures(300)
    answers = {"probabilities": taken_for(np.minimum(dataset.test.targets, 1))}  # light is taken for grey
    slices = found(dataset, answers).slices
    assert {s.name: s.metrics["accuracy"].value for s in slices["class"]} == {"dark": 1, "grey": 1, "light": 0}
    assert sum(s.rows for s in slices["brightness"]) == 100
    dark, _, bright = slices["brightness"]
    assert dark.name.startswith("dark: mean pixel below ")
    assert dark.metrics["accuracy"].value == 1
    assert bright.metrics["accuracy"].value < 0.1


def test_slices_of_places_are_the_regions_in_their_order_and_what_is_left() -> None:
    dataset = on_a_map(houses(300))
    off = np.where(dataset.test.instances[:, 1] < 20, 1.0, 2.0)
    slices = found(dataset, {"value": (dataset.test.targets + off)[:, None]}).slices["region"]
    assert [s.name for s in slices] == ["South: age below 20", "Elsewhere"]
    assert [s.metrics["rmse"].value for s in slices] == [pytest.approx(1, abs=1e-5), pytest.approx(2, abs=1e-5)]


def test_a_place_belongs_to_the_first_region_that_holds_it() -> None:
    regions = (Region("a", "", ((0, 2), (0, 2))), Region("b", "", ((1, 3), (0, 2))))
    places = np.array([[1.5, 1], [2, 1], [1, 2]])
    assert region_of(places, regions).tolist() == ["a", "b", "Elsewhere"]


def test_rows_that_were_cut_off_and_rows_out_of_domain_are_slices() -> None:
    dataset = dataclasses.replace(houses(), cap=0.5, domain=Domain("score", 1.0, "how strange"))
    answers = {"value": dataset.test.targets[:, None], "score": np.linspace(0.05, 2, 20)[:, None]}
    slices = found(dataset, answers).slices
    capped = int((dataset.test.targets >= 0.5).sum())
    assert {s.name: s.rows for s in slices["target"]} == {"below the cap": 20 - capped, "capped": capped}
    assert [s.rows for s in slices["domain"]] == [10, 10]


def test_the_document_is_json_and_holds_the_contract_s_figures() -> None:
    dataset = pictures()
    answers = {"probabilities": np.full((20, 3), 1 / 3)}
    evaluation = evaluate(dataset, answers)
    document = json.loads(to_json(find(dataset, answers, evaluation)))
    assert {name: figure["value"] for name, figure in document["metrics"].items()} == evaluation.metrics
    assert (document["rows"], document["resamples"], document["interval_level"]) == (20, 1000, 0.95)
    assert np.sum(document["confusion"]) == sum(b["rows"] for b in document["reliability"]) == 20


def on_a_map(dataset: Dataset) -> Dataset:
    assert isinstance(dataset.input, FeatureInput)
    region = Region("South", "age below 20", ((0, 11), (0, 20)))
    return dataclasses.replace(dataset, place=("rooms", "age"), regions=(region,))
