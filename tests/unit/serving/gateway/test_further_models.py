import pytest

from serving.contract import Golden
from serving.errors import UnknownModel
from serving.gateway.further_models import FurtherModels
from serving.gateway.health import models_health
from serving.gateway.offers import Offers
from tests.fakes import Clock, FakeModelServer, house_contract, picture_contract

WRONG = house_contract("castles", goldens=(Golden([3, 4], {"value": (8.0,)}),))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "models"
    path.write_text("")
    return path


@pytest.fixture
def server():
    return FakeModelServer(picture_contract())


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def offers(server, clock):
    return Offers(("pictures",), server, clock)


@pytest.fixture
def further(file, offers):
    return FurtherModels(file, offers)


def test_a_model_joins_once_it_is_on_offer(file, server, offers, further):
    file.write_text("pictures\ncastles\n")
    assert further.look() == []
    assert list(offers.watches) == ["pictures"], "nobody waits for a model that the server does not have yet"

    server.contracts["castles", 1] = house_contract("castles")
    [watch] = further.look()

    assert watch.model == "castles"
    assert offers.find("castles", None, timeout_s=1).version == 1
    assert further.look() == []


def test_a_model_that_does_not_keep_its_contract_does_not_join_until_it_does(file, server, clock, offers, further):
    server.contracts["castles", 1] = WRONG
    file.write_text("castles")

    assert further.look() == []
    assert list(models_health(offers)) == ["pictures"]
    with pytest.raises(UnknownModel):
        offers.watch("castles")

    server.contracts["castles", 1] = house_contract("castles")
    clock.now += 60
    assert [watch.model for watch in further.look()] == ["castles"]


def test_the_models_of_the_start_are_no_further_ones(file, server, further):
    file.write_text("pictures")

    assert further.look() == []
    assert server.calls == []
