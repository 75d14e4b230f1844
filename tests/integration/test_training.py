"""A fit, an export and its verification, with the real Keras and TensorFlow, on data a second's work large."""

import base64
import dataclasses
import io
import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from serving.contract import (
    CONTRACT_OUTPUT,
    CONTRACT_PROBE,
    CONTRACT_SIGNATURE,
    DEFAULT_SIGNATURE,
    DOCUMENTS_SIGNATURE,
    FeatureInput,
    ImageInput,
    ModelContract,
    from_json,
)
from tests.training_data import config, houses, pictures
from tests.training_data import trained as known_of
from training.datasets import Dataset, encode
from training.describe import describe
from training.digest import digest_of, model_weights, saved_weights
from training.documents import SERVED
from training.errors import BadArtefact, ConfigError, TrainingDiverged
from training.evaluate import evaluate
from training.event_files import EventFiles
from training.export import CONTRACT_FILE, WARMUP_FILE, export
from training.fit import fit, make_reproducible
from training.models import build_model, predict
from training.progress import ProgressBar
from training.report.page import report
from training.verify import loaded, verify
from training.warmup import read_warmup, write_warmup

TEXTS = {"report.html": "<h1>Bericht für München</h1>", "model_card.md": "# Card", "evaluation.json": "{}"}


def trained(dataset: Dataset, folder: Path, seed: int = 1, **changes: object) -> tuple[Any, ModelContract]:
    """Train on a small data set and export to the folder: (Keras model, contract)."""
    settings = config(**changes)
    make_reproducible(seed)
    model = build_model(settings, dataset)
    fit(model, dataset, settings)
    evaluation = evaluate(dataset, predict(model, dataset, dataset.test))
    contract = describe(
        model,
        dataset,
        settings,
        seed=seed,
        evaluation=evaluation,
        now=datetime(2026, 1, 1, tzinfo=UTC),
        documents=SERVED.values(),
    )
    folder.mkdir()
    export(model, contract, folder, TEXTS)
    return model, contract


@pytest.fixture(scope="module")
def picture_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures") / "1"
    trained(pictures(), folder)
    return folder


@pytest.fixture(scope="module")
def house_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("houses") / "1"
    trained(houses(), folder)
    return folder


@pytest.fixture(params=["picture_version", "house_version"])
def version(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of an exported version that a test may damage."""
    return shutil.copytree(request.getfixturevalue(request.param), tmp_path / "1")


def contract_of(version: Path) -> ModelContract:
    return from_json((version / CONTRACT_FILE).read_bytes())


# --- the artefact ------------------------------------------------------------------------------------


def test_a_good_artefact_is_verified(version: Path) -> None:
    assert verify(version) == contract_of(version)


@pytest.mark.parametrize("length", [0, 1, 5])
def test_the_contract_signature_answers_a_probe_of_any_length(version: Path, length: int) -> None:
    with loaded(version) as run:
        answer = run(CONTRACT_SIGNATURE, {CONTRACT_PROBE: np.arange(length, dtype=np.int32)})[CONTRACT_OUTPUT]
    assert answer.shape == (length,)
    assert set(answer) <= {(version / CONTRACT_FILE).read_bytes()}


def test_the_documents_signature_answers_what_the_contract_lists_and_nothing_else(version: Path) -> None:
    with loaded(version) as run:
        answer = run(DOCUMENTS_SIGNATURE, {CONTRACT_PROBE: np.zeros(2, np.int32)})
    assert set(answer) == {document.name for document in contract_of(version).documents or ()} == {"report", "card"}
    assert answer["report"].tolist() == [TEXTS["report.html"].encode()] * 2
    assert answer["card"].tolist() == [TEXTS["model_card.md"].encode()] * 2


@pytest.mark.parametrize("file", ["report.html", "model_card.md"])
def test_refuses_a_document_that_differs_from_the_served_one(version: Path, file: str) -> None:
    (version / "assets.extra" / file).write_text("another")
    with pytest.raises(BadArtefact, match=f"{file} differs from what the documents signature answers"):
        verify(version)


def test_the_signatures_have_the_contract_s_names_and_open_batches(picture_version: Path, house_version: Path) -> None:
    for version, inputs, outputs in (
        (picture_version, {"pixels": [None, 4, 3]}, {"probabilities": [None, 3]}),
        (house_version, {"features": [None, 2]}, {"value": [None, 1]}),
    ):
        signature = tf.saved_model.load(str(version)).signatures[DEFAULT_SIGNATURE]
        _, specs = signature.structured_input_signature
        assert {name: spec.shape.as_list() for name, spec in specs.items()} == inputs
        assert {name: spec.shape.as_list() for name, spec in signature.structured_outputs.items()} == outputs


def test_strings_stay_on_the_cpu(version: Path) -> None:
    """On a GPU node a string op without a device would have to be moved there by soft placement, which can be off."""
    with tf.Graph().as_default() as graph:
        session = tf.compat.v1.Session(graph=graph)
        with session:
            meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], str(version))
        function = next(
            function
            for function in meta_graph.graph_def.library.function
            if any(node.op == "Fill" for node in function.node_def)
        )
    assert {node.device for node in function.node_def if node.op in ("Fill", "Const")} == {"/device:CPU:0"}


@pytest.mark.parametrize("dataset", [pictures(), houses()], ids=lambda dataset: dataset.name)
def test_the_exported_model_gives_the_figures_that_its_contract_states(dataset: Dataset, tmp_path: Path) -> None:
    _, contract = trained(dataset, tmp_path / "1")
    with loaded(tmp_path / "1") as run:
        answers = run(DEFAULT_SIGNATURE, encode(dataset.input, dataset.test.instances))
    assert evaluate(dataset, answers).metrics == pytest.approx(contract.evaluation.metrics, abs=1e-6)


def test_the_contract_tells_where_the_model_came_from(house_version: Path) -> None:
    provenance = contract_of(house_version).provenance
    assert provenance.seed == 1
    assert provenance.config == json.loads(json.dumps(dataclasses.asdict(config())))
    assert provenance.created == "2026-01-01T00:00:00+00:00"
    assert provenance.library_versions["tensorflow"] == tf.__version__
    assert provenance.source_revision


def test_the_warm_up_file_has_batches_of_several_sizes_and_the_contract(house_version: Path) -> None:
    requests = read_warmup(house_version / WARMUP_FILE)
    assert [(signature, {name: t.shape for name, t in tensors.items()}) for signature, tensors in requests] == [
        (DEFAULT_SIGNATURE, {"features": (1, 2)}),
        (DEFAULT_SIGNATURE, {"features": (8, 2)}),
        (DEFAULT_SIGNATURE, {"features": (64, 2)}),
        (CONTRACT_SIGNATURE, {CONTRACT_PROBE: (1,)}),
    ]


def test_the_digest_changes_with_any_weight_and_any_word(house_version: Path) -> None:
    contract, weights = contract_of(house_version), dict(saved_weights(house_version))
    assert digest_of(weights, contract) == contract.digest
    assert digest_of(weights, dataclasses.replace(contract, description="other")) != contract.digest
    for name, weight in weights.items():
        assert digest_of({**weights, name: weight + 1}, contract) != contract.digest


# --- what verify() finds -----------------------------------------------------------------------------


def overwrite_contract(version: Path) -> None:
    path = version / CONTRACT_FILE
    path.write_text(path.read_text().replace("made up", "made  up"))


def flip_a_weight(version: Path) -> None:
    path = version / "variables" / "variables.data-00000-of-00001"
    path.write_bytes(path.read_bytes()[:-600] + bytes(600))


def remove_weights(version: Path) -> None:
    shutil.rmtree(version / "variables")


def remove_graph(version: Path) -> None:
    (version / "saved_model.pb").unlink()


def cut_warmup(version: Path) -> None:
    path = version / WARMUP_FILE
    path.write_bytes(path.read_bytes()[:-10])


def misnamed_warmup(version: Path) -> None:
    contract = contract_of(version)
    if isinstance(contract.input, ImageInput):
        other: ImageInput | FeatureInput = dataclasses.replace(contract.input, tensor="colours")
    else:
        (tensor,) = contract.input.tensors
        other = dataclasses.replace(contract.input, tensors=(dataclasses.replace(tensor, name="traits"),))
    write_warmup(version / WARMUP_FILE, dataclasses.replace(contract, input=other))


@pytest.mark.parametrize(
    "damage", [overwrite_contract, flip_a_weight, remove_weights, remove_graph, cut_warmup, misnamed_warmup]
)
def test_refuses_a_damaged_artefact(version: Path, damage: Callable[[Path], None]) -> None:
    damage(version)
    with pytest.raises(BadArtefact, match=r"/1: "):
        verify(version)


def with_contract(model: Any, contract: ModelContract, folder: Path) -> Path:
    folder.mkdir()
    export(model, contract, folder, TEXTS)
    return folder


def test_refuses_goldens_that_the_model_does_not_give(tmp_path: Path) -> None:
    model, contract = trained(houses(), tmp_path / "1")
    first, *others = contract.goldens
    wrong = dataclasses.replace(first, answer={"value": (first.answer["value"][0] + 0.1,)})
    lying = dataclasses.replace(contract, goldens=(wrong, *others))
    lying = dataclasses.replace(lying, digest=digest_of(model_weights(model), lying))
    with pytest.raises(BadArtefact, match=r"golden 0: value of serving_default is 0.1 off, more than the 0.02 allowed"):
        verify(with_contract(model, lying, tmp_path / "2"))


def test_refuses_a_digest_of_something_else(tmp_path: Path) -> None:
    model, contract = trained(houses(), tmp_path / "1")
    with pytest.raises(BadArtefact, match="its contract has digest sha256:1, its content sha256:"):
        verify(with_contract(model, dataclasses.replace(contract, digest="sha256:1"), tmp_path / "2"))


# --- fitting -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", [pictures(), houses()], ids=lambda dataset: dataset.name)
def test_learns(dataset: Dataset, tmp_path: Path) -> None:
    _, short = trained(dataset, tmp_path / "1", epochs=1)
    _, long = trained(dataset, tmp_path / "2", epochs=20, patience=20, learning_rate=0.05)
    metric = "loss" if dataset.task == "classification" else "rmse"
    assert long.evaluation.metrics[metric] < 0.7 * short.evaluation.metrics[metric]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path: Path) -> None:
    weights = [model_weights(trained(pictures(), tmp_path / str(i), seed=seed)[0]) for i, seed in enumerate((1, 1, 2))]
    for name, weight in weights[0].items():
        np.testing.assert_array_equal(weight, weights[1][name])
    assert any(not np.array_equal(weight, weights[2][name]) for name, weight in weights[0].items())


def test_never_looks_at_the_test_rows(tmp_path: Path) -> None:
    dataset = houses()
    blind = dataclasses.replace(dataset, test=dataclasses.replace(dataset.test, targets=dataset.test.targets + 1))
    one, other = (model_weights(trained(d, tmp_path / n)[0]) for d, n in ((dataset, "1"), (blind, "2")))
    for name, weight in one.items():
        np.testing.assert_array_equal(weight, other[name])


def test_the_normalisation_is_learned_from_the_training_rows_alone() -> None:
    dataset = houses()
    layer = build_model(config(), dataset).get_layer("normalization")
    np.testing.assert_allclose(np.ravel(layer.mean), dataset.train.instances.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(np.ravel(layer.variance), dataset.train.instances.var(axis=0), rtol=1e-4)


def test_the_textbook_networks_have_the_textbook_s_layers() -> None:
    classifier = build_model(config(hidden_units=(300, 100)), pictures())
    regressor = build_model(config(hidden_units=(30,)), houses())
    assert [(type(layer).__name__, getattr(layer, "units", None)) for layer in classifier.layers] == [
        ("Flatten", None),
        ("Dense", 300),
        ("Dense", 100),
        ("Dense", 3),
    ]
    assert [type(layer).__name__ for layer in regressor.layers] == ["Normalization", "Dense", "Dense"]
    assert classifier.layers[-1].activation.__name__ == "softmax"
    assert regressor.layers[-1].activation.__name__ == "linear"


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(ConfigError, match="no regression model 'oracle'; there are mlp, wide_deep, tabm"):
        build_model(config(model="oracle"), houses())


def test_a_loss_that_is_no_number_ends_the_run_with_a_sentence() -> None:
    settings = config(optimizer="sgd", learning_rate=1e30)
    with pytest.raises(TrainingDiverged, match=r"houses: \w+ became (nan|inf) in epoch 1; nothing was published"):
        fit(build_model(settings, houses()), houses(), settings)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn(stream: io.StringIO) -> str:
    bar = ProgressBar("pictures", stream)
    bar.set_params({"epochs": 2, "steps": 4})
    bar.on_train_begin()
    for epoch in range(2):
        bar.on_epoch_begin(epoch)
        for batch in range(4):
            bar.on_train_batch_end(batch, {"loss": 1.0})
        bar.on_epoch_end(epoch, {"loss": 0.5})
    return stream.getvalue()


def test_a_log_gets_one_line_an_epoch() -> None:
    first, second = drawn(io.StringIO()).splitlines()
    assert first.startswith("pictures  epoch 1/2  ████████████░░░░░░░░░░░░  loss 0.5000")
    assert second.endswith("0 s left")
    assert "░" not in second


def test_a_terminal_gets_one_line_that_moves_and_one_an_epoch_that_stays() -> None:
    text = drawn(Terminal())
    assert text.count("\n") == 2
    assert text.count("\r") > 2


def test_predictions_show_in_a_terminal_and_leave_nothing_behind() -> None:
    stream = Terminal()
    bar = ProgressBar("pictures  evaluating", stream, leaves_lines=False)
    bar.set_params({"steps": 2})
    bar.on_predict_begin()
    for batch in range(2):
        bar.on_predict_batch_end(batch)
    bar.on_predict_end()
    text = stream.getvalue()
    assert "pictures  evaluating  ████████████░░░░░░░░░░░░  " in text
    assert " s left" in text
    assert text.endswith("\r\x1b[K")
    assert "\n" not in text


def test_what_shows_in_terminals_only_leaves_logs_alone() -> None:
    log = io.StringIO()
    dataset = houses()
    model = build_model(config(), dataset)
    fit(model, dataset, config(), callbacks=[bar := ProgressBar("houses  calibrating", log, leaves_lines=False)])
    model.predict(dataset.test.instances, verbose=0, callbacks=[bar])
    assert log.getvalue() == ""


def test_event_files_hold_the_curves_that_the_history_holds(tmp_path: Path) -> None:
    dataset, settings = houses(), config(epochs=3)
    history = fit(build_model(settings, dataset), dataset, settings, callbacks=[EventFiles(tmp_path)])
    for part, prefix in (("train", ""), ("validation", "val_")):
        (file,) = (tmp_path / part).iterdir()
        curves: dict[str, list[float]] = {}
        for record in tf.data.TFRecordDataset(str(file)):
            for value in tf.compat.v1.Event.FromString(record.numpy()).summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                curves.setdefault(value.tag, []).append(float(tf.make_ndarray(value.tensor)))
        for metric in ("loss", "mae"):
            assert curves[f"epoch_{metric}"] == pytest.approx(history[prefix + metric])
        assert (part == "train") == ("epoch_learning_rate" in curves)


# --- the report of a classifier, with its pictures ---------------------------------------------------------


def test_the_worst_mistakes_are_pictures_in_the_page() -> None:
    dataset = pictures()
    labels = dataset.test.targets
    wrong = np.flatnonzero(labels == 2)
    taken_for = np.where(labels == 2, 1, labels)  # light is taken for grey, with more and more certainty
    probabilities = np.full((len(labels), 3), 0.05)
    probabilities[np.arange(len(labels)), taken_for] = 0.9 + np.linspace(0, 0.05, len(labels))
    page = report(known_of(dataset, probabilities=probabilities))
    found = re.findall(r'<img src="data:image/png;base64,([^"]+)"', page)
    images = [tf.io.decode_png(base64.b64decode(data)).numpy()[..., 0] for data in found]
    np.testing.assert_array_equal(images, dataset.test.instances[wrong[::-1]])
    assert page.count("<b>light</b><span>said grey, 9") == len(wrong)
    assert "Reliability diagram" in page
    assert not re.search(r"<script|<link|https?:", page)
