import threading

import pytest

from serving.contract import Golden
from serving.errors import (
    DeadlineExceeded,
    ModelNotReady,
    ModelServerFault,
    ModelServerUnreachable,
    UnknownModel,
)
from serving.gateway.offers import (
    LOOK_AGAIN_AFTER_S,
    MAX_MISSED_LOOKS,
    VERIFY_AGAIN_AFTER_S,
    ModelWatch,
    Offers,
    Poller,
)
from tests.fakes import Clock, FakeModelServer, house_contract

WRONG = house_contract(goldens=(Golden([3, 4], {"value": (8.0,)}),))


class Watched:
    """A watch of the model `houses` on a fake server, at a time that only tests move."""

    def __init__(self) -> None:
        self.server = FakeModelServer(house_contract())
        self.clock = Clock()
        self.watch = ModelWatch("houses", self.server, self.clock)

    def look(self) -> None:
        self.clock.now += 1
        self.watch.look()

    def offered(self) -> set[int]:
        return set(self.watch.snapshot.offers)

    def publish(self, version: int, contract: object = None) -> None:
        self.server.contracts["houses", version] = contract or house_contract()

    def remove(self, version: int) -> None:
        del self.server.contracts["houses", version]

    def goldens_sent(self) -> int:
        return sum(signature == "serving_default" for _, _, signature in self.server.calls)


@pytest.fixture
def houses():
    return Watched()


def test_nothing_is_on_offer_before_the_first_look(houses):
    assert houses.offered() == set()


def test_a_version_is_on_offer_once_it_is_verified(houses):
    houses.look()

    assert houses.offered() == {1}


def test_a_version_is_verified_once(houses):
    houses.look()
    houses.look()

    assert houses.goldens_sent() == 1


def test_a_version_that_no_longer_answers_as_recorded_is_taken_down_within_seconds(houses):
    houses.look()
    houses.publish(1, WRONG)  # the same number, other answers
    looks = 0
    while houses.offered():
        houses.look()
        looks += 1

    assert looks <= VERIFY_AGAIN_AFTER_S
    with pytest.raises(ModelNotReady, match="version 1 is refused: golden 0 answers 1 off"):
        houses.watch.find(None, 1)

    houses.publish(1)
    houses.look()
    assert houses.offered() == {1}


def test_a_version_that_cannot_be_verified_again_for_now_stays_on_offer(houses):
    houses.look()
    houses.server.broken_predictions = DeadlineExceeded("busy")
    for _ in range(20):
        houses.look()

    assert houses.offered() == {1}


def test_every_available_version_is_on_offer_and_the_newest_answers(houses):
    houses.publish(2)
    houses.look()

    assert houses.offered() == {1, 2}
    assert houses.watch.find(None, 1).version == 2
    assert houses.watch.find(1, 1).version == 1


@pytest.mark.parametrize("state", ["START", "LOADING", "UNLOADING", "END"])
def test_a_version_in_another_state_is_not_on_offer(houses, state):
    houses.publish(2)
    houses.server.states["houses", 2] = state
    houses.look()

    assert houses.offered() == {1}


def test_a_version_that_goes_away_is_taken_down(houses):
    houses.publish(2)
    houses.look()
    houses.remove(2)
    houses.look()

    assert houses.offered() == {1}


def test_a_refused_version_leaves_the_one_before_on_offer(houses):
    houses.look()
    houses.publish(2, WRONG)
    houses.look()

    assert houses.offered() == {1}
    with pytest.raises(ModelNotReady, match="version 2 is refused: golden 0 answers 1 off"):
        houses.watch.find(2, 1)


def test_a_refused_version_is_tried_again_less_and_less_often(houses):
    houses.publish(1, WRONG)
    tried_at = []
    for _ in range(70):
        before = houses.goldens_sent()
        houses.look()
        if houses.goldens_sent() > before:
            tried_at.append(houses.clock.now - 100)

    assert tried_at == [1, 2, 4, 8, 16, 32, 64]


def test_a_refused_version_that_was_mended_comes_on_offer(houses):
    houses.publish(1, WRONG)
    houses.look()
    houses.publish(1)
    houses.look()

    assert houses.offered() == {1}


def test_a_refused_version_that_comes_back_is_tried_at_once(houses):
    houses.publish(1, WRONG)
    for _ in range(10):
        houses.look()
    houses.remove(1)
    houses.look()
    houses.publish(1)
    houses.look()

    assert houses.offered() == {1}


@pytest.mark.parametrize("error", [ModelServerUnreachable("away"), ModelServerFault("no such service")])
def test_nothing_is_on_offer_while_the_model_server_is_away(houses, error):
    houses.look()
    houses.server.broken = error
    houses.look()

    assert houses.offered() == set()
    with pytest.raises(ModelServerUnreachable, match=str(error)):
        houses.watch.find(None, 1)


def test_offers_come_back_by_themselves_after_an_outage_and_are_verified_again(houses):
    houses.look()
    houses.server.broken = ModelServerUnreachable("away")
    houses.look()
    houses.server.broken = None
    houses.look()

    assert houses.offered() == {1}
    assert houses.goldens_sent() == 2


def test_a_busy_server_may_miss_a_look_or_two(houses):
    houses.look()
    houses.server.broken = DeadlineExceeded("slow")
    for missed in range(1, MAX_MISSED_LOOKS + 1):
        assert houses.offered() == {1}, missed
        houses.look()

    assert houses.offered() == set()


def test_a_restart_too_quick_to_be_seen_as_an_outage_is_verified_again(houses):
    houses.look()
    houses.publish(1, WRONG)
    houses.look()
    assert houses.offered() == {1}

    houses.server.losses += 1
    houses.look()

    assert houses.offered() == set()


def test_a_verification_without_a_verdict_leaves_what_is_on_offer(houses):
    houses.look()
    houses.publish(2)
    predict = houses.server.predict
    houses.server.predict = raising(ModelServerUnreachable("its queue is full"))
    houses.server.losses += 1
    houses.look()

    assert houses.offered() == {1}
    with pytest.raises(ModelNotReady, match="version 2 is refused: it could not be verified: its queue is full"):
        houses.watch.find(2, 1)

    houses.server.predict = predict
    houses.look()
    assert houses.offered() == {1, 2}


def raising(error: Exception) -> object:
    def call(*_: object) -> None:
        raise error

    return call


def test_a_request_that_finds_nothing_looks_itself(houses):
    assert houses.watch.find(None, 1).version == 1


def test_a_request_for_a_version_just_published_looks_itself(houses):
    houses.look()
    houses.clock.now += 1
    houses.publish(2)

    assert houses.watch.find(2, 1).version == 2


def test_requests_that_find_nothing_do_not_storm_the_model_server(houses):
    houses.remove(1)
    looks = 0

    def count(*_: object) -> tuple[()]:
        nonlocal looks
        looks += 1
        return ()

    houses.server.versions = count
    for _ in range(10):
        with pytest.raises(ModelNotReady):
            houses.watch.find(None, 1)
    assert looks == 1

    houses.clock.now += LOOK_AGAIN_AFTER_S * 1.01
    with pytest.raises(ModelNotReady):
        houses.watch.find(None, 1)
    assert looks == 2


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("LOADING", "version 1 is LOADING"),
        ("END", "version 1 is END"),
    ],
)
def test_a_model_that_is_not_on_offer_says_why(houses, state, reason):
    houses.server.states["houses", 1] = state

    with pytest.raises(ModelNotReady, match=f"model 'houses' is not on offer: {reason}"):
        houses.watch.find(None, 1)


def test_a_model_without_any_version_says_so(houses):
    houses.remove(1)

    with pytest.raises(ModelNotReady, match="the model server has no version of it"):
        houses.watch.find(None, 1)


@pytest.mark.parametrize("version", [0, 7, 2**62])
def test_a_version_that_never_was_is_unknown(houses, version):
    with pytest.raises(UnknownModel, match=f"model 'houses' has no version {version}"):
        houses.watch.find(version, 1)


def test_a_version_that_was_unloaded_is_unknown(houses):
    houses.publish(2)
    houses.server.states["houses", 1] = "END"

    with pytest.raises(UnknownModel, match="has no version 1"):
        houses.watch.find(1, 1)


def test_an_offer_already_replaced_by_another_thread_stays(houses):
    gone = houses.watch.find(None, 1)
    houses.server.losses += 1
    houses.look()
    again = houses.watch.find(None, 1)

    houses.watch.replace(gone, 1)

    assert houses.watch.find(None, 1) is again


def test_many_calls_whose_version_is_gone_look_once(houses):
    gone = houses.watch.find(None, 1)
    houses.remove(1)
    houses.publish(2)
    looks = []
    versions = houses.server.versions

    def count(*arguments: object) -> object:
        looks.append(1)
        return versions(*arguments)

    houses.server.versions = count
    threads = [threading.Thread(target=houses.watch.replace, args=(gone, 10)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(looks) == 1
    assert houses.watch.find(None, 1).version == 2


def test_a_request_does_not_wait_long_for_a_look_under_way(houses):
    entered, leave = threading.Event(), threading.Event()

    def stuck(*_: object) -> tuple[()]:
        entered.set()
        leave.wait(60)
        return ()

    houses.server.versions = stuck
    looking = threading.Thread(target=houses.look)
    looking.start()
    entered.wait(60)

    with pytest.raises(ModelServerUnreachable, match="was not asked yet"):
        houses.watch.find(None, timeout_s=0.01)

    leave.set()
    looking.join()


def test_a_model_that_is_not_configured_is_unknown():
    offers = Offers(("houses",), FakeModelServer(house_contract(), house_contract("castles")))

    with pytest.raises(UnknownModel, match="no such model; there are houses"):
        offers.find("castles", None, 1)


def test_the_poller_looks_at_every_model_again_and_again_and_survives_a_bug(caplog):
    server = FakeModelServer(house_contract(), house_contract("castles"))
    offers = Offers(("houses", "castles"), server)
    looked: dict[str, int] = {"houses": 0, "castles": 0}
    enough = threading.Event()

    def on_look(watch: ModelWatch) -> None:
        looked[watch.model] += 1
        if min(looked.values()) >= 3:
            enough.set()
        if looked[watch.model] == 1:
            raise RuntimeError("a bug")

    poller = Poller(list(offers.watches.values()), 0.001, on_look)
    poller.start()
    assert enough.wait(60)
    poller.stop()

    assert offers.find("houses", None, 1).version == 1
    assert "model castles: the look failed" in caplog.text


def test_the_poller_takes_in_further_watches_as_they_come():
    offers = Offers(("houses",), FakeModelServer(house_contract(), house_contract("castles")))
    looked = threading.Event()
    coming = [offers.watch_aside("castles")]

    def on_look(watch: ModelWatch) -> None:
        if watch.model == "castles":
            looked.set()

    poller = Poller(list(offers.watches.values()), 0.001, on_look, lambda: [coming.pop()] if coming else [])
    poller.start()
    assert looked.wait(60)
    poller.stop()
