"""The version published before: its answers to the test rows, and how a new model compares with it."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.contract import DEFAULT_SIGNATURE, ClassOutput, ContractError, ModelContract, from_json
from training.datasets import Dataset, encode
from training.errors import BadArtefact
from training.export import CONTRACT_FILE
from training.gate import Comparison, compare, row_losses
from training.sources import Report
from training.stores import ModelStore
from training.verify import loaded

_BATCH = 500  # rows: bounds the memory


def compare_with_published(
    store: ModelStore, dataset: Dataset, answer: npt.NDArray[Any], report: Report
) -> Comparison | None:
    """The new model's answers to the test rows beside those of the newest version that can be asked, if any can.

    A version that is broken, or was made for other data, must not keep a sound model out; the report hears of it.
    """
    targets = dataset.test.targets
    for number in reversed(store.versions()):
        try:
            with store.at_hand(number) as version:
                before = published_answers(version, dataset)
        except BadArtefact as error:
            report(f"{dataset.name}: not compared with version {number}: {error}")
            continue
        losses = (row_losses(dataset.output, answers, targets) for answers in (answer, before))
        return compare(dataset.output, number, *losses)
    return None


def published_answers(version: Path, dataset: Dataset) -> npt.NDArray[Any]:
    """The main output for all test rows: (n, width), loaded and run as a model server does.

    Raises:
        BadArtefact: the version cannot be read, or answers another question than this data set's.
    """
    contract = _contract(version)
    if contract.provenance.data_digest != dataset.digest:
        raise BadArtefact(f"{version}: was trained on other data: {contract.provenance.data_digest}")
    if _classes(contract.output) != _classes(dataset.output):
        raise BadArtefact(f"{version}: tells other classes apart: {_classes(contract.output)}")
    rows, tensor = dataset.test.instances, contract.output.tensor
    with loaded(version) as run:
        parts = np.array_split(rows, len(rows) // _BATCH + 1)
        return np.concatenate([run(DEFAULT_SIGNATURE, encode(contract.input, part))[tensor] for part in parts])


def _classes(output: object) -> tuple[str, ...]:
    return output.class_names if isinstance(output, ClassOutput) else ()


def _contract(version: Path) -> ModelContract:
    try:
        return from_json((version / CONTRACT_FILE).read_bytes())
    except (OSError, ContractError) as error:
        raise BadArtefact(f"{version}: its contract cannot be read: {error}") from error
