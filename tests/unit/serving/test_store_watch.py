from pathlib import Path

import pytest

from serving.store_watch import LOOK_INTERVAL_S, StoreWatch
from tests.fakes import Clock


class Watched:
    """A watch of a store in which `fashion` is published; what it asked to be served, each time."""

    def __init__(self, store: Path) -> None:
        self.store, self.clock = store, Clock()
        self.served: list[tuple[str, ...]] = []
        self.publish("fashion")
        self.watch = StoreWatch(store, ("fashion",), self.served.append, self.clock)

    def publish(self, model: str, folder: str = "1") -> None:
        (self.store / model / folder).mkdir(parents=True)

    def look(self) -> None:
        self.clock.now += LOOK_INTERVAL_S
        self.watch.look()


@pytest.fixture
def watched(tmp_path):
    return Watched(tmp_path)


def test_asks_for_nothing_while_there_is_nothing_new(watched):
    watched.publish("fashion", "2")
    watched.look()

    assert watched.served == []


def test_a_model_that_is_published_for_the_first_time_is_served_with_the_others(watched):
    watched.publish("housing")
    watched.look()
    watched.look()
    watched.publish("castles")
    watched.look()

    assert watched.served == [("fashion", "housing"), ("fashion", "housing", "castles")]


def test_a_model_whose_first_version_is_still_being_written_is_not_served_yet(watched):
    watched.publish("housing", ".staging-1")
    watched.look()

    assert watched.served == []


def test_does_not_look_more_often_than_once_a_second(watched):
    watched.look()
    watched.publish("housing")
    watched.watch.look()

    assert watched.served == []
