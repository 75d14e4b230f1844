"""Checks a version folder as a model server will meet it: loaded anew, by the loader TF Serving uses."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from google.protobuf.message import DecodeError

from serving.contract import (
    CONTRACT_OUTPUT,
    CONTRACT_PROBE,
    CONTRACT_SIGNATURE,
    DOCUMENTS_SIGNATURE,
    ContractError,
    ModelContract,
    from_json,
)
from training.digest import digest_of, saved_weights
from training.documents import SERVED
from training.errors import BadArtefact
from training.export import CONTRACT_FILE, WARMUP_FILE
from training.goldens import from_json_instances
from training.raw_pixels import by_signature
from training.warmup import read_warmup

Tensors = Mapping[str, npt.NDArray[Any]]


def verify(version: Path) -> ModelContract:
    """Check a whole version: contract, digest, documents, goldens (of each signature), warm-up; return its contract.

    Raises:
        BadArtefact: says which of them does not hold.
    """
    warmup = _read_warmup(version)
    with loaded(version) as run:
        contract = _check_contract(version, run)
        if (found := digest_of(saved_weights(version), contract)) != contract.digest:
            raise BadArtefact(f"{version}: its contract has digest {contract.digest}, its content {found}")
        _check_documents(version, contract, run)
        _check_goldens(version, contract, run)
        for signature, tensors in warmup:
            run(signature, tensors)
    return contract


@contextmanager
def loaded(version: Path) -> Iterator[Any]:
    """A function (signature name, tensors) -> tensors of the SavedModel, run in a TF1 session as TF Serving does."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        try:
            meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], str(version))
        except (OSError, RuntimeError, ValueError, tf.errors.OpError) as error:
            raise BadArtefact(f"{version}: cannot be loaded: {error}") from error

        def run(signature: str, tensors: Tensors) -> Tensors:
            definition = meta_graph.signature_def[signature]  # a map that makes up what it lacks: no outputs, no inputs
            if unknown := sorted(tensors.keys() - definition.inputs.keys()):
                raise BadArtefact(f"{version}: {signature} has no inputs {unknown}")
            fetches = {name: info.name for name, info in definition.outputs.items()}
            feeds = {definition.inputs[name].name: tensor for name, tensor in tensors.items()}
            try:
                answers: Tensors = session.run(fetches, feeds)
            except (ValueError, tf.errors.OpError) as error:
                raise BadArtefact(f"{version}: {signature} fails: {error}") from error
            return answers

        yield run


def _read_warmup(version: Path) -> Any:
    try:
        return read_warmup(version / WARMUP_FILE)
    except (ValueError, DecodeError, tf.errors.OpError) as error:
        raise BadArtefact(f"{version}: {WARMUP_FILE} cannot be read: {error}") from error


def _check_contract(version: Path, run: Any) -> ModelContract:
    (served,) = run(CONTRACT_SIGNATURE, {CONTRACT_PROBE: np.zeros(1, np.int32)})[CONTRACT_OUTPUT]
    if served != (version / CONTRACT_FILE).read_bytes():
        raise BadArtefact(f"{version}: {CONTRACT_FILE} differs from what the contract signature answers")
    try:
        return from_json(served)
    except ContractError as error:
        raise BadArtefact(f"{version}: its contract cannot be read: {error}") from error


def _check_documents(version: Path, contract: ModelContract, run: Any) -> None:
    if not contract.documents:
        return
    served = run(DOCUMENTS_SIGNATURE, {CONTRACT_PROBE: np.zeros(1, np.int32)})
    files = {document.name: file for file, document in SERVED.items()}
    for document in contract.documents:
        file = CONTRACT_FILE.with_name(files[document.name])
        if served.get(document.name) != [(version / file).read_bytes()]:
            raise BadArtefact(f"{version}: {file} differs from what the documents signature answers")


def _check_goldens(version: Path, contract: ModelContract, run: Any) -> None:
    instances = from_json_instances(contract.input, [golden.instance for golden in contract.goldens])
    for signature, tensors in by_signature(contract, instances).items():
        answers = run(signature, tensors)
        for i, golden in enumerate(contract.goldens):
            for tensor, expected in golden.answer.items():
                difference = float(np.abs(answers[tensor][i].ravel() - np.array(expected)).max())
                if not difference <= contract.golden_tolerance:  # so put, it refuses NaN too
                    raise BadArtefact(
                        f"{version}: golden {i}: {tensor} of {signature} is {difference:.4g} off, "
                        f"more than the {contract.golden_tolerance:g} allowed"
                    )
