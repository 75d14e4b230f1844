"""The published version's answers to the test rows, for the gate to compare with: loaded as a model server loads it."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.contract import ContractError, ModelContract, from_json
from training.datasets import Dataset, encode
from training.errors import BadArtefact
from training.export import CONTRACT_FILE, SERVING_SIGNATURE
from training.verify import loaded

_BATCH = 500  # rows: bounds the memory


def published_answers(version: Path, dataset: Dataset) -> npt.NDArray[Any]:
    """The main output for all test rows: (n, width).

    Raises:
        BadArtefact: the version cannot be read, or answers another question than this data set's.
    """
    contract = _contract(version)
    if contract.provenance.data_digest != dataset.digest:
        raise BadArtefact(f"{version}: was trained on other data: {contract.provenance.data_digest}")
    rows, tensor = dataset.test.instances, contract.output.tensor
    with loaded(version) as run:
        parts = np.array_split(rows, len(rows) // _BATCH + 1)
        return np.concatenate([run(SERVING_SIGNATURE, encode(contract.input, part))[tensor] for part in parts])


def _contract(version: Path) -> ModelContract:
    try:
        return from_json((version / CONTRACT_FILE).read_bytes())
    except (OSError, ContractError) as error:
        raise BadArtefact(f"{version}: its contract cannot be read: {error}") from error
