import pytest

from serving.errors import ModelNotReady, ModelServerUnreachable, UnknownModel
from serving.gateway.offers import Offers
from serving.gateway.predictor import Label
from tests.fakes import Clock, FakeModelServer, house_contract

STABLE = Label("stable")


@pytest.fixture
def server():
    server = FakeModelServer(house_contract())
    server.contracts["houses", 2] = house_contract()
    server.labels["houses", "stable"] = 1
    return server


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def offers(server, clock):
    return Offers(("houses",), server, clock, labels_kept_s=1.0)


def test_a_label_finds_the_version_that_bears_it(offers):
    assert offers.find("houses", STABLE, 1).version == 1
    assert offers.find("houses", None, 1).version == 2


def test_the_model_server_is_asked_once_in_a_while(offers, server, clock):
    for _ in range(3):
        offers.find("houses", STABLE, 1)
    assert server.labels_asked == 1

    clock.now += 1
    offers.find("houses", STABLE, 1)
    assert server.labels_asked == 2


def test_a_label_that_moves_is_followed(offers, server, clock):
    offers.find("houses", STABLE, 1)
    server.labels["houses", "stable"] = 2
    clock.now += 1

    assert offers.find("houses", STABLE, 1).version == 2


def test_a_label_that_moved_from_a_version_that_is_gone_is_followed_at_once(offers, server):
    offers.find("houses", STABLE, 1)
    server.labels["houses", "stable"] = 2
    del server.contracts["houses", 1]
    offers.watch("houses").look()

    assert offers.find("houses", STABLE, 1).version == 2


def test_a_label_that_nothing_bears_is_an_unknown_one_each_time(offers, server):
    for _ in range(2):
        with pytest.raises(UnknownModel, match="no version of model 'houses' bears that label"):
            offers.find("houses", Label("canary"), 1)
    server.labels["houses", "canary"] = 2
    assert offers.find("houses", Label("canary"), 1).version == 2


def test_a_label_of_a_version_that_is_not_served_may_be_tried_again(offers, server):
    server.labels["houses", "stable"] = 7

    with pytest.raises(ModelNotReady, match="the version that bears that label is not served now"):
        offers.find("houses", STABLE, 1)


def test_a_label_cannot_be_told_while_the_model_server_is_away(offers, server):
    server.broken = ModelServerUnreachable("away")

    with pytest.raises(ModelServerUnreachable):
        offers.find("houses", STABLE, 1)


def test_a_label_of_an_unknown_model_is_not_asked_for(offers, server):
    with pytest.raises(UnknownModel, match="no such model"):
        offers.find("cars", STABLE, 1)
    assert server.labels_asked == 0
