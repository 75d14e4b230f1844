from serving.errors import ModelServerUnreachable
from serving.gateway.health import ModelHealth, is_ready, models_health
from serving.gateway.offers import Offers
from tests.fakes import FakeModelServer, house_contract, picture_contract


def looked(server: FakeModelServer) -> Offers:
    offers = Offers(("pictures", "houses"), server)
    for watch in offers.watches.values():
        watch.look()
    return offers


def test_ready_when_every_model_is_on_offer():
    health = models_health(looked(FakeModelServer(picture_contract(), house_contract())))

    assert health == {"pictures": ModelHealth(1, None), "houses": ModelHealth(1, None)}
    assert is_ready(health, draining=False)


def test_one_missing_model_is_enough_not_to_be_ready_and_says_why():
    health = models_health(looked(FakeModelServer(house_contract())))

    assert not is_ready(health, draining=False)
    assert health["houses"] == ModelHealth(1, None)
    assert health["pictures"].reason == ("model 'pictures' is not on offer: the model server has no version of it")


def test_not_ready_while_the_model_server_is_away():
    server = FakeModelServer(picture_contract(), house_contract())
    server.broken = ModelServerUnreachable("UNAVAILABLE: connection refused")

    health = models_health(looked(server))

    assert {one.reason for one in health.values()} == {"UNAVAILABLE: connection refused"}
    assert not is_ready(health, draining=False)


def test_a_process_told_to_stop_is_not_ready_though_every_model_is_on_offer():
    health = models_health(looked(FakeModelServer(picture_contract(), house_contract())))

    assert not is_ready(health, draining=True)
