import errno
import os
from pathlib import Path
from typing import Any

import pytest

from serving.store_watch import LOOK_INTERVAL_S, StoreWatch
from tests.fakes import Clock


class Watched:
    """A watch of a store in which `fashion` is published; what it asked to be served, each time."""

    def __init__(self, store: Path) -> None:
        self.store, self.clock = store, Clock()
        self.served: list[tuple[str, ...]] = []
        self.is_full = False  # the file system that the configuration is written to
        self.publish("fashion")
        self.watch = StoreWatch(store, ("fashion",), self.serve, self.clock)

    def serve(self, models: tuple[str, ...]) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.served.append(models)

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


def test_a_store_that_is_away_for_a_while_is_looked_at_again(watched, tmp_path):
    away = tmp_path.rename(tmp_path.with_name("away"))
    watched.look()
    away.rename(tmp_path)
    watched.publish("housing")
    watched.look()

    assert watched.served == [("fashion", "housing")]


def test_a_folder_that_goes_while_it_is_looked_at_hides_no_other(watched, monkeypatch):
    def stale(folder: Path) -> Any:
        if Path(folder).name == "castles":
            raise OSError(errno.ESTALE, "Stale file handle")
        return scandir(folder)

    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", stale)
    watched.publish("castles")
    watched.publish("housing")
    watched.look()

    assert watched.served == [("fashion", "housing")]


def test_what_could_not_be_served_is_served_after_the_next_look(watched):
    watched.publish("housing")
    watched.is_full = True
    watched.look()
    watched.is_full = False
    watched.look()

    assert watched.served == [("fashion", "housing")]
