"""The manager with loaders that need no TensorFlow model: they obey the test."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from serving.model_server.manager import AspiredVersionsManager, ManagerOptions
from serving.model_server.servable import Servable, ServableId
from serving.model_server.state_monitor import ManagerState, ServableStateMonitor
from serving.model_server.status import Code, StatusError
from tests.conformance.rows import row

WAIT_S = 30.0


class NoRunner:
    def run(self, feeds: Mapping[str, Any], fetches: Sequence[str], timeout_s: float | None) -> list[Any]:
        raise NotImplementedError

    def close(self) -> None:
        pass


@dataclass
class FakeLoader:
    """Loads when allowed to, fails as often as told to."""

    id: ServableId
    failures: int = 0
    may_load: threading.Event = field(default_factory=threading.Event)
    unloaded: threading.Event = field(default_factory=threading.Event)
    attempts: int = 0

    def load(self) -> Servable:
        assert self.may_load.wait(WAIT_S)
        self.attempts += 1
        if self.attempts <= self.failures:
            raise StatusError(Code.DATA_LOSS, "broken")
        return Servable(self.id, {}, NoRunner())

    def unload(self, servable: Servable) -> None:
        self.unloaded.set()


class Bench:
    """A manager, its monitor and its loaders."""

    def __init__(self, options: ManagerOptions) -> None:
        self.monitor = ServableStateMonitor()
        self.manager = AspiredVersionsManager(self.monitor, options, initial_load_threads=2)

    def aspire(self, *loaders: FakeLoader) -> None:
        self.manager.set_aspired_versions("m", {loader.id.version: loader for loader in loaders})

    def wait_for(self, **states: ManagerState) -> None:
        expected = {int(name[1:]): state for name, state in states.items()}
        reached = threading.Event()
        deadline = threading.Timer(WAIT_S, reached.set)
        deadline.start()
        while {v: s.state for v, s in self.monitor.versions("m").items()} != expected:
            assert not reached.wait(0.01), f"expected {expected}, got {self.monitor.versions('m')}"
        deadline.cancel()


def loader(version: int, *, failures: int = 0, may_load: bool = True) -> FakeLoader:
    made = FakeLoader(ServableId("m", version), failures)
    if may_load:
        made.may_load.set()
    return made


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(**options: Any) -> Bench:
        benches.append(Bench(ManagerOptions(**options)))
        return benches[-1]

    yield make
    for one in benches:
        one.manager.stop()


AVAILABLE, LOADING, UNLOADING, END = (
    ManagerState.AVAILABLE,
    ManagerState.LOADING,
    ManagerState.UNLOADING,
    ManagerState.END,
)


@row("3.4/6")
def test_lends_the_highest_available_version(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.aspire(loader(1), loader(2))
    b.wait_for(v1=AVAILABLE, v2=AVAILABLE)
    with b.manager.handle("m") as latest, b.manager.handle("m", 1) as first:
        assert (latest.id.version, first.id.version) == (2, 1)


@pytest.mark.parametrize(("version", "text"), [(None, "Latest(m)"), (7, "Specific(m, 7)")])
def test_what_is_not_there_cannot_be_lent(bench: Callable[..., Bench], version: int | None, text: str) -> None:
    with pytest.raises(StatusError, match="Servable not found for request: ") as caught:
        bench().manager.handle("m", version)
    assert (caught.value.code, caught.value.message.removeprefix("Servable not found for request: ")) == (
        Code.NOT_FOUND,
        text,
    )


def test_the_old_version_answers_until_the_new_one_is_loaded(bench: Callable[..., Bench]) -> None:
    b, new = bench(), loader(2, may_load=False)
    b.aspire(loader(1))
    b.wait_for(v1=AVAILABLE)
    b.aspire(new)
    b.wait_for(v1=AVAILABLE, v2=LOADING)
    with b.manager.handle("m") as servable:
        assert servable.id.version == 1
    new.may_load.set()
    b.wait_for(v1=END, v2=AVAILABLE)


def test_a_version_on_loan_is_not_unloaded(bench: Callable[..., Bench]) -> None:
    b, old = bench(), loader(1)
    b.aspire(old)
    b.wait_for(v1=AVAILABLE)
    with b.manager.handle("m"):
        b.aspire(loader(2))
        b.wait_for(v1=UNLOADING, v2=AVAILABLE)
        assert not old.unloaded.is_set()
        with b.manager.handle("m") as latest:
            assert latest.id.version == 2
    assert old.unloaded.wait(WAIT_S)
    b.wait_for(v1=END, v2=AVAILABLE)


@row("3.4/7")
def test_a_load_is_tried_again(bench: Callable[..., Bench]) -> None:
    b, flaky = bench(max_num_load_retries=2, load_retry_interval_s=0.0), loader(1, failures=2)
    b.aspire(flaky)
    b.wait_for(v1=AVAILABLE)
    assert flaky.attempts == 3


@row("3.4/7")
def test_a_load_that_keeps_failing_ends_with_its_error(bench: Callable[..., Bench]) -> None:
    b, bad = bench(max_num_load_retries=1, load_retry_interval_s=-1.0), loader(1, failures=9)
    b.aspire(bad)
    b.wait_for(v1=END)
    error = b.monitor.versions("m")[1].error
    assert error is not None
    assert (error.code, error.message, bad.attempts) == (Code.DATA_LOSS, "broken", 2)


@row("3.4/7")
def test_a_failed_version_is_tried_again_only_after_it_left_the_wish(bench: Callable[..., Bench]) -> None:
    b, bad = bench(max_num_load_retries=0), loader(1, failures=1)
    b.aspire(bad)
    b.wait_for(v1=END)
    b.aspire(bad)
    b.aspire()
    b.aspire(loader(2))
    b.wait_for(v1=END, v2=AVAILABLE)
    assert bad.attempts == 1
    b.aspire(bad)
    b.wait_for(v1=AVAILABLE, v2=END)


@row("3.4/8")
def test_a_version_that_waits_for_its_retry_is_dropped_when_unwanted(bench: Callable[..., Bench]) -> None:
    b = bench(load_retry_interval_s=3600.0)
    b.aspire(loader(1, failures=9))
    b.wait_for(v1=LOADING)
    b.aspire(loader(2))
    b.wait_for(v1=END, v2=AVAILABLE)


def test_a_version_unwanted_before_it_is_loaded_is_not_served(bench: Callable[..., Bench]) -> None:
    b, slow = bench(), loader(1, may_load=False)
    b.aspire(slow)
    b.wait_for(v1=LOADING)
    b.aspire(loader(2))
    b.wait_for(v1=LOADING, v2=AVAILABLE)
    slow.may_load.set()
    assert slow.unloaded.wait(WAIT_S)
    b.wait_for(v1=END, v2=AVAILABLE)


def test_a_version_wanted_again_while_it_is_unloaded_comes_back(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.aspire(loader(1))
    b.wait_for(v1=AVAILABLE)
    with b.manager.handle("m"):
        b.aspire()
        b.wait_for(v1=UNLOADING)
        b.aspire(loader(1))
        b.wait_for(v1=UNLOADING)
    b.wait_for(v1=AVAILABLE)


def test_an_unforeseen_failure_ends_the_version_and_not_the_manager(bench: Callable[..., Bench]) -> None:
    class Buggy(FakeLoader):
        def load(self) -> Servable:
            raise RuntimeError("bug")

    b = bench(max_num_load_retries=0)
    b.aspire(Buggy(ServableId("m", 1)))
    b.wait_for(v1=END)
    b.aspire(loader(2))
    b.wait_for(v1=END, v2=AVAILABLE)


def test_what_comes_while_the_first_load_ends_is_loaded(bench: Callable[..., Bench]) -> None:
    """Up to the last moment, which is when the pool of the first load takes no more."""
    b = bench()

    class AspiresAtTheEnd(ThreadPoolExecutor):
        def shutdown(self, *_: Any, **__: Any) -> None:
            super().shutdown(wait=False)
            b.aspire(loader(1))
            b.wait_for(v1=AVAILABLE)

    b.manager._loads = AspiresAtTheEnd(1)
    b.manager.end_initial_load()
    b.wait_for(v1=AVAILABLE)
