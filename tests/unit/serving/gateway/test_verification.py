import dataclasses

import numpy as np
import pytest

from serving.contract import Golden, to_json
from serving.errors import DeadlineExceeded, ModelServerFault, ModelServerUnreachable
from serving.gateway.verification import VersionRefused, verify
from tests import fakes
from tests.fakes import (
    FakeModelServer,
    full_house_contract,
    full_picture_contract,
    house_contract,
    picture_contract,
    run_signature,
    with_raw_signature,
)

CONTRACTS = {
    "houses": house_contract(),
    "pictures": picture_contract(),
    "full houses": full_house_contract(),
    "full pictures": full_picture_contract(),
    "raw pictures": with_raw_signature(picture_contract()),
}


def verdict(server: FakeModelServer) -> str:
    with pytest.raises(VersionRefused) as caught:
        verify(server, "houses", 1, timeout_s=1)
    return str(caught.value)


def serving(**changes: object) -> FakeModelServer:
    return FakeModelServer(house_contract(**changes))


@pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS.keys())
def test_a_version_whose_goldens_answer_as_recorded_becomes_an_offer(contract):
    offer = verify(FakeModelServer(contract), contract.name, 1, timeout_s=1)

    assert (offer.contract, offer.version) == (contract, 1)


def test_goldens_go_to_the_signature_that_clients_calls_go_to():
    server = FakeModelServer(with_raw_signature(picture_contract(), "bytes"))
    verify(server, "pictures", 1, timeout_s=1)

    assert [signature for _, _, signature in server.calls] == ["contract", "bytes"]


def test_a_version_that_lacks_the_signature_its_contract_names_is_refused(monkeypatch):
    server = FakeModelServer(with_raw_signature(picture_contract(), "bytes"))
    monkeypatch.setattr(fakes, "run_signature", lambda _contract, *asked: run_signature(picture_contract(), *asked))

    with pytest.raises(VersionRefused, match='"bytes" not found in signature def'):
        verify(server, "pictures", 1, timeout_s=1)


def test_a_golden_that_answers_otherwise_is_refused_and_told():
    goldens = (Golden([3, 4], {"value": (7.0,)}), Golden([3, 4], {"value": (7.5,)}))

    assert verdict(serving(goldens=goldens)) == "golden 1 answers 0.5 off in 'value', more than 0.0001"


@pytest.mark.parametrize("tensor", ["low", "high", "largest"])
def test_every_output_of_a_golden_must_answer_as_recorded(tensor):
    [golden] = full_house_contract().goldens
    other = Golden(golden.instance, {**golden.answer, tensor: (golden.answer[tensor][0] + 0.5,)})
    contract = dataclasses.replace(full_house_contract(), goldens=(other,))

    assert verdict(FakeModelServer(contract)) == f"golden 0 answers 0.5 off in '{tensor}', more than 0.0001"


def test_a_golden_must_record_every_output():
    contract = dataclasses.replace(full_house_contract(), goldens=house_contract().goldens)

    assert "expected 1 recorded values of 'low' in each golden" in verdict(FakeModelServer(contract))


def test_the_contract_says_how_far_off_a_golden_may_be():
    goldens = (Golden([3, 4], {"value": (7.5,)}),)

    assert verify(serving(goldens=goldens, golden_tolerance=0.5), "houses", 1, timeout_s=1)


def test_a_contract_of_another_model_is_refused():
    server = FakeModelServer()
    server.contracts["houses", 1] = house_contract("cottages")

    assert verdict(server) == "its contract is of model 'cottages'"


def test_a_contract_without_goldens_is_refused():
    assert verdict(serving(goldens=())) == "its contract has no goldens to check it by"


def test_a_golden_that_breaks_its_own_contract_is_refused():
    refusal = verdict(serving(goldens=(Golden([3], {"value": (7.0,)}),)))

    assert "a golden instance breaks its own contract: /instances/0: expected 2 numbers" in refusal


@pytest.mark.parametrize("answer", [{}, {"price": (7.0,)}, {"value": (7.0, 8.0)}])
def test_a_golden_without_a_fitting_answer_is_refused(answer):
    assert "expected 1 recorded values of 'value'" in verdict(serving(goldens=(Golden([3, 4], answer),)))


def test_a_version_that_is_gone_is_refused():
    assert verdict(FakeModelServer()) == "the model server does not answer for it"


def test_a_failing_version_is_refused():
    server = serving()
    server.broken = ModelServerFault("no signature 'contract'")

    assert verdict(server) == "the model server failed on it: no signature 'contract'"


@pytest.mark.parametrize(
    "outputs",
    [
        {},
        {"contract": np.array([b"{}"] * 2, object)},
        {"contract": np.zeros(1, np.float32)},
        {"contract": np.array([b"{}"], object)},
        {"contract": np.array([to_json(house_contract()).encode()[:-1]], object)},
    ],
    ids=["none", "two", "numbers", "empty", "cut off"],
)
def test_what_is_no_contract_is_refused(outputs):
    server = FakeModelServer()
    server.predict = lambda *_: outputs

    assert verdict(server).startswith("its contract cannot be read: ")


@pytest.mark.parametrize("error", [ModelServerUnreachable("away"), DeadlineExceeded("slow")])
def test_an_unreachable_server_is_no_verdict_on_the_version(error):
    server = serving()
    server.broken = error

    with pytest.raises(type(error)):
        verify(server, "houses", 1, timeout_s=1)
