"""The whole page: what the model is, how good, how it was made and from what."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from serving.contract import ClassOutput
from training.report.classifier import classifier_sections
from training.report.curves import training_curves
from training.report.layout import beside, section, tile
from training.report.regressor import regressor_sections
from training.report.svg import element
from training.report.tables import facts
from training.report.words import figure, interval, words_for
from training.trained import TrainedModel

_STYLE = Path(__file__).with_name("page.css")


def report(trained: TrainedModel) -> str:
    """The page of one version, as HTML that needs no script and nothing from elsewhere."""
    contract = trained.contract
    of_the_task = classifier_sections if isinstance(contract.output, ClassOutput) else regressor_sections
    body = element("main", _header(trained), _training(trained), *of_the_task(trained), _origin(trained))
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(contract.name)}: report</title><style>{_STYLE.read_text(encoding='utf-8')}</style>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def _header(trained: TrainedModel) -> str:
    contract, found = trained.contract, trained.findings
    architecture = contract.provenance.config.get("model", "")
    tiles = [
        tile(words_for(name), figure(name, estimate.value), interval(name, estimate))
        for name, estimate in found.metrics.items()
    ]
    but = ", but for the calibration error" if "ece" in found.metrics else ""
    return element(
        "header",
        element(
            "p", escape(f"{contract.task} · {architecture} · {contract.provenance.created[:10]}"), class_="eyebrow"
        ),
        element("h1", escape(contract.name)),
        element("p", escape(contract.description), class_="lead"),
        element("div", *tiles, class_="tiles"),
        element(
            "p",
            escape(
                f"On {found.rows:,} rows that training never saw: {found.split}. Below each figure, its "
                f"95 % interval ({found.resamples:,} bootstrap resamples{but}). {_gate(trained)}"
            ),
            class_="aside",
        ),
    )


def _gate(trained: TrainedModel) -> str:
    bound, compared = trained.contract.provenance.config.get("gate"), trained.findings.compared
    words = f"The gate asked for {bound}." if bound is not None else ""
    if compared is None:
        return f"{words} There was no published version to compare with."
    better, chance = -compared.worse_by, compared.chance
    verdict = "better" if better > chance else "worse, within chance" if better < 0 else "no worse"
    return (
        f"{words} Beside version {compared.version} on the same rows: {words_for(compared.metric)} "
        f"{compared.value:.4f} against {compared.published:.4f}, {verdict} (chance explains {chance:.4f})."
    )


def _training(trained: TrainedModel) -> str:
    dataset = trained.dataset
    parts = {
        "to fit": dataset.train,
        "to know when to stop": dataset.validation,
        "for thresholds alone": dataset.calibration,
        "to test": dataset.test,
    }
    split = ", ".join(f"{len(rows):,} rows {purpose}" for purpose, rows in parts.items() if len(rows))
    return section("How training went", f"{split}.", beside(*training_curves(trained.history, trained.kept_epoch)))


def _origin(trained: TrainedModel) -> str:
    contract = trained.contract
    origin = contract.provenance
    told: Mapping[str, Any] = {
        "digest": contract.digest,
        "created": origin.created,
        "data": origin.data_source,
        "data digest": origin.data_digest,
        "seed": origin.seed,
        "source revision": origin.source_revision,
        **origin.library_versions,
    }
    written = {
        key: ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
        for key, value in origin.config.items()
    }
    return section(
        "Where it comes from",
        "The same seed, configuration, data and libraries on the same machine give the same weights again.",
        beside(facts("Origin", told), facts("Configuration", written)),
        '<p class="aside">Beside this page: <a href="contract.json">contract.json</a>, '
        '<a href="evaluation.json">evaluation.json</a>, <a href="model_card.md">model_card.md</a>.</p>',
    )
