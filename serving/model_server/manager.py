"""Manager: turns the versions a source aspires to into loaded servables, and lends those to requests.

One thread decides (`policy`), pools load and unload. A version is unloaded only when its last request is answered.
Knows neither files nor protocols. After tensorflow_serving/core/aspired_versions_manager.cc and basic_manager.cc.
"""

import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType

from serving.model_server.loader import Loader
from serving.model_server.policy import Action, ActionKind, HarnessState, Snapshot, next_action
from serving.model_server.servable import Servable, ServableId
from serving.model_server.state_monitor import ManagerState, ServableStateMonitor
from serving.model_server.status import Code, StatusError

_logger = logging.getLogger(__name__)

_MANAGE_INTERVAL_S = 0.1  # AspiredVersionsManager::Options::manage_state_interval_micros


@dataclass(frozen=True)
class ManagerOptions:
    """How the manager loads and unloads; defaults of tensorflow_serving/model_servers/server.h."""

    num_load_threads: int = 0  # 0: one at a time
    num_unload_threads: int = 0
    max_num_load_retries: int = 5  # after the first failure
    load_retry_interval_s: float = 60.0


@dataclass
class _Harness:
    """One version under management. Guarded by the manager's lock."""

    id: ServableId
    loader: Loader
    state: HarnessState = HarnessState.NEW
    is_aspired: bool = True
    failures: int = 0
    retry_at: float | None = None  # monotonic time of the next attempt, while waiting for it
    error: StatusError | None = None
    servable: Servable | None = None
    in_flight: int = 0


@dataclass
class ServableHandle:
    """A servable on loan: it is not unloaded before the `with` block ends."""

    servable: Servable
    _harness: _Harness = field(repr=False)
    _manager: "AspiredVersionsManager" = field(repr=False)

    def __enter__(self) -> Servable:
        return self.servable

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._manager._give_back(self._harness)


class AspiredVersionsManager:
    """Keeps the wanted versions loaded."""

    def __init__(self, monitor: ServableStateMonitor, options: ManagerOptions, initial_load_threads: int) -> None:
        self._monitor = monitor
        self._options = options
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)  # a version has no request in flight any more
        self._wake = threading.Event()
        self._is_stopping = False
        self._pending: dict[str, Mapping[int, Loader]] = {}
        self._harnesses: dict[str, dict[int, _Harness]] = {}
        self._serving: dict[str, dict[int, _Harness]] = {}  # READY ones only
        self._loads = ThreadPoolExecutor(initial_load_threads, "initial-load")
        self._unloads = ThreadPoolExecutor(max(1, options.num_unload_threads), "unload")
        self._thread = threading.Thread(target=self._manage, name="manager", daemon=True)
        self._thread.start()

    def set_aspired_versions(self, name: str, versions: Mapping[int, Loader]) -> None:
        """Say which versions of a model should be served; the others will be unloaded."""
        with self._lock:
            self._pending[name] = versions
        self._wake.set()

    def end_initial_load(self) -> None:
        """From now on load with the configured number of threads; the first load used more."""
        with self._lock:  # nobody gives a load to a pool that takes none any more
            initial, self._loads = self._loads, ThreadPoolExecutor(max(1, self._options.num_load_threads), "load")
        initial.shutdown(wait=False)

    def handle(self, name: str, version: int | None = None) -> ServableHandle:
        """Borrow a version, or the highest one that is available.

        Raises:
            StatusError: NOT_FOUND; the text is what readiness probes look for.
        """
        with self._lock:
            ready = self._serving.get(name)
            harness = (ready.get(max(ready)) if version is None else ready.get(version)) if ready else None
            if harness is None or harness.servable is None:
                wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
                raise StatusError(Code.NOT_FOUND, f"Servable not found for request: {wanted}")
            harness.in_flight += 1
            return ServableHandle(harness.servable, harness, self)

    def stop(self) -> None:
        """Take no more decisions. Servables stay usable: requests in flight may still need them."""
        self._is_stopping = True
        self._wake.set()
        self._thread.join()
        self._loads.shutdown(wait=False, cancel_futures=True)
        self._unloads.shutdown(wait=False, cancel_futures=True)

    def _give_back(self, harness: _Harness) -> None:
        with self._lock:
            harness.in_flight -= 1
            if harness.in_flight == 0 and harness.state is HarnessState.UNLOADING:
                self._idle.notify_all()

    def _manage(self) -> None:
        while not self._is_stopping:
            self._wake.wait(_MANAGE_INTERVAL_S)
            self._wake.clear()
            with self._lock:
                self._forget_unwanted()
                self._take_in_pending()
                self._resume_retries()
                while action := self._next_action():
                    self._perform(*action)

    def _forget_unwanted(self) -> None:
        """Stop managing versions that nobody wants and that hold nothing."""
        done = (HarnessState.NEW, HarnessState.DISABLED, HarnessState.ERROR)
        for name, versions in self._harnesses.items():
            self._harnesses[name] = {
                version: harness
                for version, harness in versions.items()
                if harness.is_aspired or harness.state not in done
            }

    def _take_in_pending(self) -> None:
        """Take over new wishes; those for a version that is still on its way out wait until it is gone."""
        for name, wanted in list(self._pending.items()):
            managed = self._harnesses.setdefault(name, {})
            if any(version in wanted and not harness.is_aspired for version, harness in managed.items()):
                continue
            del self._pending[name]
            for version, harness in managed.items():
                if version not in wanted:
                    self._unaspire(harness)
            for version, loader in wanted.items():
                if version not in managed:
                    managed[version] = _Harness(ServableId(name, version), loader)
                    self._monitor.publish(ServableId(name, version), ManagerState.START)

    def _unaspire(self, harness: _Harness) -> None:
        harness.is_aspired = False
        if harness.retry_at is not None:  # it waits for an attempt that will not come
            self._end_with_error(harness)
        elif harness.state is HarnessState.NEW:
            self._monitor.publish(harness.id, ManagerState.END)

    def _resume_retries(self) -> None:
        for versions in self._harnesses.values():
            for harness in versions.values():
                if harness.retry_at is not None and time.monotonic() >= harness.retry_at:
                    harness.retry_at = None
                    self._loads.submit(self._load, harness)

    def _next_action(self) -> tuple[str, Action] | None:
        """The next step over all models."""
        actions = []
        for name, versions in self._harnesses.items():
            snapshots = [Snapshot(v, harness.state, harness.is_aspired) for v, harness in versions.items()]
            if action := next_action(snapshots):
                actions.append((name, action))
        return min(actions, key=lambda item: item[1].kind.value, default=None)

    def _perform(self, name: str, action: Action) -> None:
        harness = self._harnesses[name][action.version]
        if action.kind is ActionKind.LOAD:
            harness.state = HarnessState.LOADING
            self._monitor.publish(harness.id, ManagerState.LOADING)
            _logger.info("Loading servable version %s", harness.id)
            self._loads.submit(self._load, harness)
        else:
            harness.state = HarnessState.UNLOADING
            del self._serving[name][action.version]  # no new requests from here on
            self._monitor.publish(harness.id, ManagerState.UNLOADING)
            _logger.info("Quiescing servable version %s", harness.id)
            self._unloads.submit(self._unload, harness)

    def _load(self, harness: _Harness) -> None:
        try:
            servable = harness.loader.load()
        except StatusError as error:
            self._load_failed(harness, error)
        except Exception as error:  # a bug must end this version, not the thread
            _logger.exception("Loading servable version %s failed in an unforeseen way", harness.id)
            self._load_failed(harness, StatusError(Code.INTERNAL, repr(error)))
        else:
            self._loaded(harness, servable)
        self._wake.set()

    def _loaded(self, harness: _Harness, servable: Servable) -> None:
        with self._lock:
            if harness.is_aspired:
                harness.servable, harness.state = servable, HarnessState.READY
                self._serving.setdefault(harness.id.name, {})[harness.id.version] = harness
                _logger.info("Successfully loaded servable version %s", harness.id)
                self._monitor.publish(harness.id, ManagerState.AVAILABLE)
                return
        harness.loader.unload(servable)
        with self._lock:
            harness.error = StatusError(Code.CANCELLED, "Loading of servable cancelled")
            self._end_with_error(harness)

    def _load_failed(self, harness: _Harness, error: StatusError) -> None:
        with self._lock:
            harness.error = error
            harness.failures += 1
            if harness.is_aspired and harness.failures <= self._options.max_num_load_retries:
                wait_s = max(0.0, self._options.load_retry_interval_s)
                _logger.warning(
                    "Loading servable: %s failed (%s), retry %d in %g s", harness.id, error, harness.failures, wait_s
                )
                harness.retry_at = time.monotonic() + wait_s
            else:
                self._end_with_error(harness)

    def _end_with_error(self, harness: _Harness) -> None:
        harness.state, harness.retry_at = HarnessState.ERROR, None
        _logger.error("Servable %s cannot be loaded: %s", harness.id, harness.error)
        self._monitor.publish(harness.id, ManagerState.END, harness.error)

    def _unload(self, harness: _Harness) -> None:
        with self._lock:
            while harness.in_flight:
                self._idle.wait()
            servable, harness.servable = harness.servable, None
        _logger.info("Done quiescing servable version %s", harness.id)
        if servable is not None:
            harness.loader.unload(servable)
        with self._lock:
            harness.state = HarnessState.DISABLED
            _logger.info("Done unloading servable version %s", harness.id)
            self._monitor.publish(harness.id, ManagerState.END)
        self._wake.set()
