import dataclasses
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from serving.contract import Domain, Interval, ValueOutput
from tests.training_data import houses, trained
from training.datasets import Dataset
from training.gate import Comparison
from training.regions import Region
from training.report.confusion import confusion_matrix
from training.report.curves import training_curves
from training.report.page import report
from training.report.places import Residuals, residual_map
from training.trained import TrainedModel

OWN_FILES = {"contract.json", "evaluation.json", "model_card.md"}


def a_regressor(dataset: Dataset) -> TrainedModel:
    truth = dataset.test.targets[:, None]
    noise = np.random.default_rng(0).normal(size=truth.shape)
    score = np.linspace(0.5, 1.5, len(truth))[:, None]
    return trained(dataset, value=truth + noise, low=truth - 0.5, high=truth + np.sign(noise), score=score)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return dataclasses.replace(
        houses(300),
        output=ValueOutput("value", "100k USD", Interval(0.9, "low", "high")),
        domain=Domain("score", 1.0, "how strange"),
        place=("rooms", "age"),
        regions=(Region("North & South", "rooms below 5", ((0, 5), (0, 50))),),
        cap=0.8,
    )


@pytest.fixture(scope="module")
def page(dataset: Dataset) -> str:
    return report(a_regressor(dataset))


def pictures_in(page: str) -> list[ET.Element]:
    return [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def test_the_page_asks_for_nothing_from_elsewhere(page: str) -> None:
    targets = re.findall(r'(?:src|href|action|data|srcset)="([^"]*)"', page)
    assert {target for target in targets if not target.startswith("data:image/png;base64,")} <= OWN_FILES
    assert not re.search(r"<script|<link|<iframe|@import|url\(|https?:", page)


def test_every_chart_is_well_formed_named_and_has_finite_coordinates(page: str) -> None:
    pictures = pictures_in(page)
    assert len(pictures) >= 6
    titles = [picture.findtext("title") for picture in pictures]
    assert len(set(titles)) == len(titles)
    assert {"Estimates against the truth", "All test rows", "North & South", "Coverage by part"} <= set(titles)
    for picture in pictures:
        assert picture.findtext("desc")
        assert not re.search(r"\b(nan|inf)\b", ET.tostring(picture, encoding="unicode"))


def test_it_follows_the_reader_s_choice_of_light_or_dark(page: str) -> None:
    assert "@media (prefers-color-scheme: dark)" in page
    assert '<meta name="color-scheme" content="light dark">' in page
    (style,) = re.findall(r"<style>(.*)</style>", page, re.DOTALL)
    used, given = set(re.findall(r"var\((--[\w-]+)\)", style)), re.findall(r"^\s*(--.*)$", style, re.MULTILINE)
    light, dark = (
        set(re.findall(r"(--[\w-]+):", " ".join(part))) for part in (given[: len(given) // 2], given[len(given) // 2 :])
    )
    assert used <= light == dark


def test_the_headline_figures_stand_on_top_with_their_intervals(page: str, dataset: Dataset) -> None:
    found = a_regressor(dataset).findings.metrics["rmse"]
    assert f"<strong>{round(found.value, 3):g}</strong>" in page
    assert f"<small>{round(found.low, 3):g}–{round(found.high, 3):g}</small>" in page


def test_it_says_what_the_model_was_compared_with(dataset: Dataset) -> None:
    model = a_regressor(dataset)
    assert "no published version to compare with" in report(model)
    findings = dataclasses.replace(model.findings, compared=Comparison(7, "rmse", 0.5, 0.6, -0.1, 0.02))
    assert "Beside version 7 on the same rows: RMSE 0.5000 against 0.6000, better" in report(
        dataclasses.replace(model, findings=findings)
    )


def test_names_cannot_become_markup(dataset: Dataset) -> None:
    page = report(a_regressor(dataclasses.replace(dataset, name="<script>alert(1)</script>")))
    assert "<script" not in page


def test_a_data_set_without_places_intervals_or_domain_has_a_page_too() -> None:
    dataset = houses()
    page = report(trained(dataset, value=dataset.test.targets[:, None] + 0.1))
    assert "Where it errs" not in page
    assert pictures_in(page)


def test_the_map_shows_every_test_row_and_the_extraordinary_on_top() -> None:
    places = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), axis=-1).reshape(-1, 2)
    errors = np.zeros(100)
    errors[0], errors[1] = 10, -10
    everywhere = np.ones(100, bool)
    drawn = ET.fromstring(residual_map("Map", Residuals(errors, places, places), everywhere, 300)).find("svg")
    rows = {path.get("class"): path.get("d", "").count("M") for path in drawn.findall("path")}
    assert {name.split()[-1]: count for name, count in rows.items() if count} == {
        "ground": 100,
        "residual-3": 98,
        "residual-0": 1,
        "residual-6": 1,
    }
    assert list(rows)[-1] == "dots residual-6"


def test_a_curve_names_the_epoch_whose_weights_were_kept() -> None:
    loss, accuracy = training_curves({"accuracy": [0.5, 0.6], "loss": [1, 0.5], "val_loss": [0.9, 0.95]}, 1)
    assert "loss by epoch" in loss
    assert "kept: epoch 1, 0.9" in loss
    assert "kept" not in accuracy


def test_the_confusion_matrix_counts_every_row_and_names_the_worst_pair() -> None:
    figure = confusion_matrix([[8, 2], [1, 9]], ("cat", "dog"))
    assert re.findall(r'class="count[^>]*>(\d+)<', figure) == ["8", "2", "1", "9"]
    assert "Most often cat is taken for dog: 2 times." in figure
    assert "cat taken for dog: 2 of 10" in figure
