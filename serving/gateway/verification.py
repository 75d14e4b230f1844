"""Whether a version may be offered: the model server gives its contract, and its goldens answer as recorded."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from serving import contract as contracts
from serving.contract import ContractError, Golden, ModelContract
from serving.errors import InvalidInput, ModelServerFault
from serving.gateway.model_server import ModelServer, VersionGone
from serving.gateway.predictor import Offer, infer

# A version is verified again and again: the same bytes are then the same contract, which is soon compared.
_contract = lru_cache(maxsize=64)(contracts.from_json)


class VersionRefused(Exception):
    """The version must not be offered; the message says why."""


def verify(server: ModelServer, model: str, version: int, timeout_s: float) -> Offer:
    """Fetch the contract, send the goldens through the clients' own path, and make the offer.

    Args:
        timeout_s: for each of the two calls to the model server.
    Raises:
        VersionRefused: the version does not keep its promise, or makes none we understand.
        ModelServerUnreachable, DeadlineExceeded: it could not be told.
    """
    try:
        contract = _fetch_contract(server, model, version, timeout_s)
        if contract.name != model:
            raise VersionRefused(f"its contract is of model {contract.name!r}")
        offer = Offer(contract, version)
        _check_goldens(server, offer, timeout_s)
    except VersionGone as error:
        raise VersionRefused("the model server does not answer for it") from error
    except ContractError as error:
        raise VersionRefused(f"its contract cannot be read: {error}") from error
    except InvalidInput as error:
        raise VersionRefused(f"a golden instance breaks its own contract: {error}") from error
    except ModelServerFault as error:
        raise VersionRefused(f"the model server failed on it: {error}") from error
    return offer


def _fetch_contract(server: ModelServer, model: str, version: int, timeout_s: float) -> ModelContract:
    probe = {contracts.CONTRACT_PROBE: np.zeros(1, np.int32)}
    outputs = server.predict(model, version, probe, timeout_s, contracts.CONTRACT_SIGNATURE)
    documents = outputs.get(contracts.CONTRACT_OUTPUT)
    if documents is None or documents.shape != (1,) or not isinstance(documents[0], bytes):
        raise ContractError(f"expected one string in the output {contracts.CONTRACT_OUTPUT!r}")
    return _contract(documents[0])


def _check_goldens(server: ModelServer, offer: Offer, timeout_s: float) -> None:
    goldens = offer.contract.goldens
    if not goldens:
        raise VersionRefused("its contract has no goldens to check it by")
    outputs = infer(server, offer, [golden.instance for golden in goldens], lambda: timeout_s)
    for tensor, values in outputs.items():
        recorded = [_recorded(golden, tensor, values.shape[1]) for golden in goldens]
        _compare(tensor, values, np.array(recorded, np.float32), offer.contract.golden_tolerance)


def _compare(tensor: str, values: NDArray[np.float32], recorded: NDArray[np.float32], tolerance: float) -> None:
    """Both are (goldens, width)."""
    differences = np.abs(values - recorded).max(axis=1)  # (goldens,)
    worst = int(differences.argmax())
    if differences[worst] > tolerance:
        raise VersionRefused(
            f"golden {worst} answers {differences[worst]:.2g} off in {tensor!r}, more than {tolerance:.2g}"
        )


def _recorded(golden: Golden, tensor: str, width: int) -> Sequence[float]:
    """What the trained model gave in this output tensor."""
    answer = golden.answer.get(tensor)
    if answer is None or len(answer) != width:
        raise ContractError(f"expected {width} recorded values of {tensor!r} in each golden")
    return answer
