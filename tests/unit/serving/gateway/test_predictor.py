import pytest

from serving.errors import DeadlineExceeded, InvalidInput, ModelNotReady, Overloaded, UnknownModel, WrongTask
from serving.gateway.admission import Admission
from serving.gateway.offers import Offers
from serving.gateway.predictor import TASK_OF_VERB, Call, Offer, Predictor
from tests.fakes import Clock, FakeModelServer, house_contract, picture_contract, with_raw_signature


class Gateway:
    """A predictor in front of a fake model server with both models."""

    def __init__(self) -> None:
        self.server = FakeModelServer(picture_contract(), house_contract())
        self.clock = Clock()
        self.offers = Offers(("pictures", "houses"), self.server, self.clock)
        self.predictor = Predictor(self.offers, self.server, max_instances=3, clock=self.clock)

    def values(self, instances: object = ([3, 4],), version: int | None = None) -> tuple[int, list[float]]:
        call = Call("houses", version, "predict", list(instances))
        prediction = self.predictor.predict(call, timeout_s=1)
        return prediction.offer.version, [answer["value"] for answer in prediction.answers]


@pytest.fixture
def gateway():
    return Gateway()


def test_answers_every_instance_in_order_and_names_the_version(gateway):
    assert gateway.values([[3, 4], {"age": 1, "rooms": 1}]) == (1, [7, 2])


def test_classifies_raw_pixels(gateway):
    call = Call("pictures", None, "classify", [[[0, 9, 0], [0, 0, 0]]], top_k=1)

    [answer] = gateway.predictor.predict(call, timeout_s=1).answers

    assert answer["class_name"] == "middle"
    assert [choice["class_name"] for choice in answer["top_k"]] == ["middle"]


def test_the_signature_that_the_versions_contract_names_is_asked(gateway):
    """Of two versions, as when a store has older ones."""
    gateway.server.contracts["pictures", 2] = with_raw_signature(picture_contract(), "bytes")
    for version in (1, 2):
        call = Call("pictures", version, "classify", [[[0, 9, 0], [0, 0, 0]]])
        assert gateway.predictor.predict(call, timeout_s=1).answers[0]["class_name"] == "middle"

    asked = [(version, signature) for _, version, signature in gateway.server.calls]
    assert asked[-2:] == [(1, "serving_default"), (2, "bytes")]


@pytest.mark.parametrize(
    ("model", "verb", "fits"),
    [
        ("pictures", "classify", True),
        ("pictures", "regress", False),
        ("pictures", "predict", True),
        ("houses", "classify", False),
        ("houses", "regress", True),
        ("houses", "predict", True),
    ],
)
def test_a_verb_fits_the_models_task_or_is_refused(gateway, model, verb, fits):
    call = Call(model, None, verb, [[1] * (6 if model == "pictures" else 2)])
    if fits:
        assert gateway.predictor.predict(call, timeout_s=1).answers
    else:
        with pytest.raises(WrongTask):
            gateway.predictor.predict(call, timeout_s=1)


def test_every_task_has_a_verb():
    assert {task for task in TASK_OF_VERB.values() if task} == {picture_contract().task, house_contract().task}


def test_refuses_more_instances_than_the_limit(gateway):
    with pytest.raises(InvalidInput, match="expected at most 3 instances"):
        gateway.values([[3, 4]] * 4)


def test_refuses_an_unknown_model(gateway):
    with pytest.raises(UnknownModel, match="no such model; there are pictures, houses"):
        gateway.predictor.predict(Call("cars", None, "predict", [[1]]), timeout_s=1)


def test_the_newest_version_answers_unless_one_is_named(gateway):
    gateway.server.contracts["houses", 2] = house_contract()

    assert gateway.values() == (2, [7])
    assert gateway.values(version=1) == (1, [7])
    assert [version for _, version, signature in gateway.server.calls if signature == "serving_default"][-2:] == [2, 1]


def test_a_version_switch_costs_no_call(gateway):
    assert gateway.values() == (1, [7])
    del gateway.server.contracts["houses", 1]
    gateway.server.contracts["houses", 2] = house_contract()

    assert gateway.values() == (2, [7])


def test_falls_back_to_the_version_before_when_the_newest_is_removed(gateway):
    gateway.server.contracts["houses", 2] = house_contract()
    assert gateway.values() == (2, [7])
    del gateway.server.contracts["houses", 2]

    assert gateway.values() == (1, [7])


def test_a_named_version_that_is_gone_is_unknown(gateway):
    assert gateway.values(version=1) == (1, [7])
    del gateway.server.contracts["houses", 1]
    gateway.server.contracts["houses", 2] = house_contract()

    with pytest.raises(UnknownModel, match="model 'houses' has no version 1"):
        gateway.values(version=1)


def test_gives_up_when_versions_vanish_as_fast_as_they_are_found():
    server = FakeModelServer()
    vanishing = FlickeringBook()

    with pytest.raises(ModelNotReady, match="faster than they could be asked"):
        Predictor(vanishing, server, max_instances=3).predict(Call("houses", None, "predict", [[3, 4]]), timeout_s=1)

    assert vanishing.replaced == 4


class FlickeringBook:
    """Offers a version that the model server never has."""

    replaced = 0

    def find(self, model: str, version: int | None, timeout_s: float) -> Offer:
        return Offer(house_contract(), 1)

    def replace(self, gone: Offer, timeout_s: float) -> None:
        self.replaced += 1


def test_the_time_of_a_call_covers_all_it_does(gateway):
    gateway.values()
    predict = gateway.server.predict

    def slow_and_gone(*arguments: object) -> object:
        gateway.clock.now += 0.6
        gateway.server.contracts.pop(("houses", 1), None)
        return predict(*arguments)

    gateway.server.contracts["houses", 2] = house_contract()
    gateway.server.predict = slow_and_gone

    with pytest.raises(DeadlineExceeded):
        gateway.values()


def test_a_call_that_may_not_begin_asks_nothing_of_the_model_server(gateway):
    gateway.predictor.admission = Admission(0, gateway.clock)

    with pytest.raises(Overloaded):
        gateway.values()
    assert gateway.server.calls == []
