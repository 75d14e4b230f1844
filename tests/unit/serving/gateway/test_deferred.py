"""Predictions without a thread that waits say what the predictor says, and count for the same admission."""

import pytest

from serving.errors import DeadlineExceeded, InvalidInput, ModelNotReady, ModelServerFault, Overloaded, UnknownModel
from serving.gateway.admission import Admission
from serving.gateway.batching import Batching
from serving.gateway.deferred import DeferredPredictor
from serving.gateway.lanes import Lanes
from serving.gateway.offers import Offers
from serving.gateway.predictor import Call, Prediction
from tests.fakes import FakeModelServer, house_contract

HOUSE = {"rooms": 3, "age": 4}


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def fake():
    return FakeModelServer(house_contract())


@pytest.fixture
def offers(fake, clock):
    return Offers(("houses",), fake, clock)


@pytest.fixture
def admission(clock):
    return Admission(2, clock)


@pytest.fixture(params=["in lanes", "alone"])
def predictor(request, fake, offers, clock, admission):
    lanes = Lanes(256, clock) if request.param == "in lanes" else None
    batching = Batching(fake, 4, coalesce=False, clock=clock)
    return DeferredPredictor(offers, batching, 100, admission=admission, lanes=lanes, clock=clock)


def told(predictor, *, instances=(HOUSE,), model="houses", version=None, verb="regress", timeout_s=10.0):
    outcomes: list[Prediction | Exception] = []
    predictor.predict(Call(model, version, verb, list(instances)), timeout_s, outcomes.append)
    [outcome] = outcomes
    return outcome


def is_idle(admission):
    """Whoever was admitted has left again."""
    with admission.admit("houses", 10.0), admission.admit("houses", 10.0):
        return True


def test_tells_the_prediction_of_the_version_on_offer(predictor, admission):
    prediction = told(predictor)

    assert [answer["value"] for answer in prediction.answers] == [7]
    assert prediction.offer.version == 1
    assert is_idle(admission)


def test_more_instances_than_the_model_server_takes_go_in_pieces(predictor):
    assert len(told(predictor, instances=[HOUSE] * 11).answers) == 11


@pytest.mark.parametrize(
    ("question", "fault"),
    [
        ({"instances": [{"rooms": 3}]}, InvalidInput),
        ({"instances": []}, InvalidInput),
        ({"instances": [HOUSE] * 101}, InvalidInput),
        ({"model": "cars"}, UnknownModel),
        ({"version": 7}, UnknownModel),
        ({"timeout_s": 0.0}, DeadlineExceeded),
    ],
)
def test_tells_what_is_wrong_and_leaves(predictor, admission, question, fault):
    assert type(told(predictor, **question)) is fault
    assert is_idle(admission)


def test_a_fault_of_the_model_server_is_told(predictor, fake, offers, admission):
    told(predictor)
    fake.broken_predictions = ModelServerFault("broken")

    assert str(told(predictor)) == str(ModelServerFault("broken"))
    assert is_idle(admission)


def test_what_the_model_server_gives_against_the_contract_is_its_fault(predictor, fake, monkeypatch):
    told(predictor)
    monkeypatch.setattr(fake, "predict", lambda *_arguments, **_more: {})

    assert type(told(predictor)) is ModelServerFault


def test_a_version_that_went_away_meanwhile_is_replaced_by_the_next(predictor, fake):
    told(predictor)
    fake.contracts["houses", 2] = fake.contracts.pop(("houses", 1))

    assert told(predictor).offer.version == 2


def test_versions_that_go_away_faster_than_they_can_be_asked_are_given_up(predictor, fake, offers, clock):
    told(predictor)
    served = fake.contracts
    offers.replace = lambda _gone, _timeout_s: None  # the same version again and again
    fake.contracts = {}

    outcome = told(predictor)

    assert type(outcome) is ModelNotReady
    assert "faster than they could be asked" in str(outcome)
    fake.contracts = served


def test_what_has_no_room_is_refused_before_it_begins(predictor, fake, admission):
    told(predictor)
    asked = len(fake.calls)

    with admission.admit("houses", 10.0), admission.admit("houses", 10.0):
        assert type(told(predictor)) is Overloaded
    assert len(fake.calls) == asked
