"""The model card of a version (Mitchell et al. 2019, arXiv 1810.03993), in Markdown: what it is for, what it is not."""

from collections.abc import Iterable

from serving.contract import ClassOutput, ValueOutput
from training.findings import Findings, Slice
from training.report.words import OF_CALIBRATION_ERROR, figure, interval, words_for
from training.trained import TrainedModel

_OF_SLICES = ("accuracy", "rmse", "mae", "coverage", "mean_set_size", "mean_interval_width")


def model_card(trained: TrainedModel) -> str:
    """The card, from what the version's other documents hold too."""
    contract, notes = trained.contract, trained.dataset.notes
    parts = {
        "Intended use": _list(notes.intended_use or ("Not said.",)),
        "Data": _list((*notes.data, *_data(trained))),
        "Training": _list(_training(trained)),
        "Evaluation": _evaluation(trained.findings),
        "How sure it is": _list(_certainty(trained)),
        "Limits": _list(_limits(trained)),
        "Ethical considerations": _list(notes.ethics or ("Not said.",)),
        "How to reproduce": _reproduction(trained),
    }
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in parts.items())
    return f"# {contract.name}\n\n{contract.description}\n\n`{contract.digest}`\n\n{body}\n"


def _data(trained: TrainedModel) -> list[str]:
    dataset, origin = trained.dataset, trained.contract.provenance
    return [
        f"From: {origin.data_source}. Digest of the arrays: `{origin.data_digest}`.",
        f"{len(dataset.train):,} rows to fit, {len(dataset.validation):,} to know when to stop and for the temperature "
        f"or the expected errors, {len(dataset.calibration):,} for thresholds and nothing else, "
        f"{len(dataset.test):,} to test ({dataset.test_split}). No row is in two of them: the job checks.",
    ]


def _training(trained: TrainedModel) -> list[str]:
    config = trained.contract.provenance.config
    epochs = max(map(len, trained.history.values()), default=0)
    return [
        f"Architecture `{config['model']}`, optimiser {config['optimizer']}, at most {config['epochs']} epochs; "
        f"{epochs} were run, and the weights of epoch {trained.kept_epoch} kept.",
        f"The whole configuration: {', '.join(f'`{key}={_text(value)}`' for key, value in config.items())}.",
    ]


def _evaluation(found: Findings) -> str:
    metrics = _table(
        ["metric", "value", "95 % interval"],
        [[words_for(name), figure(name, e.value), interval(name, e)] for name, e in found.metrics.items()],
    )
    words = (
        f"On {found.rows:,} rows: {found.split}. Intervals: percentile bootstrap over the rows, {found.resamples:,} "
        f"resamples, seed {found.bootstrap_seed}; they tell nothing of other training seeds."
    )
    if "ece" in found.metrics:
        words += f" {OF_CALIBRATION_ERROR}"
    classes = _table(
        ["class", "rows", "precision", "recall"],
        [
            [c.name, str(c.rows), *(f"{e.value:.3f} ({e.low:.3f}–{e.high:.3f})" for e in (c.precision, c.recall))]
            for c in found.classes
        ],
    )
    slices = [f"By {kind}:\n\n{_slices(parts)}" for kind, parts in found.slices.items()]
    return "\n\n".join([words, metrics, *([classes] if found.classes else []), *slices, _comparison(found)])


def _slices(parts: tuple[Slice, ...]) -> str:
    metrics = [name for name in _OF_SLICES if name in parts[0].metrics]
    rows = [
        [part.name, str(part.rows)]
        + [f"{figure(name, part.metrics[name].value)} ({interval(name, part.metrics[name])})" for name in metrics]
        for part in parts
    ]
    return _table(["part", "rows", *map(words_for, metrics)], rows)


def _comparison(found: Findings) -> str:
    compared = found.compared
    if compared is None:
        return "There was no published version to compare with."
    return (
        f"Beside version {compared.version}, on the same rows: {words_for(compared.metric)} {compared.value:.4f} "
        f"against {compared.published:.4f} (chance explains a difference of {compared.chance:.4f})."
    )


def _certainty(trained: TrainedModel) -> Iterable[str]:
    output, domain, metrics = trained.contract.output, trained.contract.domain, trained.findings.metrics
    if isinstance(output, ClassOutput):
        yield f"Expected calibration error, 15 bins of equal mass: {figure('ece', metrics['ece'].value)}."
    fitted = output.prediction_set if isinstance(output, ClassOutput) else output.interval
    if fitted:
        names = "Prediction sets" if isinstance(output, ClassOutput) else "Intervals"
        covered = metrics["coverage"]
        yield (
            f"{names} are made to hold the truth {fitted.level:.0%} of the time, over all rows like those of training "
            f"together; on the test rows they did {figure('coverage', covered.value)} "
            f"({interval('coverage', covered)}) of the time. Single classes or regions lie above or below: see their "
            "tables."
        )
    if domain:
        yield f"Out of domain: {domain.description} Of the test rows {metrics['out_of_domain'].value:.1%} exceed it."


def _limits(trained: TrainedModel) -> Iterable[str]:
    output = trained.contract.output
    yield "What was measured holds for rows like the test rows. Nothing was measured on data of another time or source."
    if trained.dataset.cap is not None and isinstance(output, ValueOutput):
        yield f"Targets are cut off at {trained.dataset.cap:g} {output.unit}: it cannot tell what lies above."
    if trained.contract.domain:
        yield "An input that is flagged out of domain is answered all the same; whoever asks must look at the flag."
    yield "One training seed: another may differ by more than the intervals say."


def _reproduction(trained: TrainedModel) -> str:
    contract, origin = trained.contract, trained.contract.provenance
    settings = " ".join(f"--set {key}={_text(value)}" for key, value in origin.config.items())
    versions = ", ".join(f"{name} {version}" for name, version in origin.library_versions.items())
    return (
        f"Source revision `{origin.source_revision}`, {versions}:\n\n"
        f"```sh\npython -m training {contract.name} --seed {origin.seed} {settings}\n```\n\n"
        "On the same machine the weights come out the same, bit for bit; elsewhere, nearly."
    )


def _table(headers: list[str], rows: list[list[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _list(paragraphs: Iterable[str]) -> str:
    return "\n".join(f"- {paragraph}" for paragraph in paragraphs)


def _text(value: object) -> str:
    """As --set takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
