"""What is on offer, kept true: one watch a model looks at the model server again and again and verifies what is new.

Requests read the last snapshot without a lock. Only a request that finds nothing looks again itself, so that all worker
processes agree and that a version switch costs no failed request.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from serving.errors import (
    DeadlineExceeded,
    ModelNotReady,
    ModelServerFault,
    ModelServerUnreachable,
    ServingError,
    UnknownModel,
)
from serving.gateway import turns
from serving.gateway.labels import Labels
from serving.gateway.model_server import AVAILABLE, ModelServer, VersionStatus
from serving.gateway.predictor import Label, Offer, Selector
from serving.gateway.verification import VersionRefused, verify

log = logging.getLogger(__name__)

# A model server that answers at all answers a status call in milliseconds.
STATUS_TIMEOUT_S = 2.0
# A first call may compile; eight goldens are quick after that.
VERIFY_TIMEOUT_S = 10.0
# What is on offer is verified again this often, since readiness promises to notice within seconds when it no longer
# answers as recorded. Two calls of some milliseconds, for each model and worker.
VERIFY_AGAIN_AFTER_S = 5.0
# Requests that find nothing look again at most this often, all together.
LOOK_AGAIN_AFTER_S = 0.25
# ... and wait this long for a look already under way: a client would rather hear 503 within a second.
LOOK_WAIT_S = 0.8
# A busy model server may miss its time once or twice; then it counts as away.
MAX_MISSED_LOOKS = 3
# Seconds until a refused version is tried again: doubled each time, up to the last.
FIRST_RETRY_S, LAST_RETRY_S = 1.0, 60.0


@dataclass(frozen=True)
class Refusal:
    """A version that is served but must not be offered."""

    reason: str
    retry_at: float  # on the watch's clock
    delay_s: float


@dataclass(frozen=True)
class Snapshot:
    """What one watch knows; replaced as a whole, never changed."""

    offers: Mapping[int, Offer] = field(default_factory=dict)  # by version
    refusals: Mapping[int, Refusal] = field(default_factory=dict)  # by version
    statuses: tuple[VersionStatus, ...] = ()
    outage: str | None = "the model server was not asked yet"  # why there is no news from it

    def pick(self, version: int | None) -> Offer | None:
        """The offer of that version, or of the newest."""
        if version is None:
            version = max(self.offers, default=0)
        return self.offers.get(version)


class ModelWatch:
    """Keeps the offers of one model. Its clock is monotonic seconds."""

    def __init__(self, model: str, server: ModelServer, clock: Callable[[], float] = time.monotonic) -> None:
        self.model = model
        self.snapshot = Snapshot()
        self._server = server
        self._clock = clock
        self._turn = threading.Lock()  # held while looking: one look at a time
        self._change = threading.Lock()  # held while the snapshot is replaced
        self._looked_at = float("-inf")
        self._losses = server.losses
        self._missed_looks = 0
        self._verified_at: dict[int, float] = {}  # version -> on our clock

    def find(self, version: int | None, timeout_s: float) -> Offer:
        """The offer, looking again if there is none."""
        offer = self.snapshot.pick(version)
        if offer is None:
            since = self._clock() - LOOK_AGAIN_AFTER_S
            self.look(
                unless=lambda: self._looked_at >= since or self.snapshot.pick(version) is not None,
                timeout_s=min(LOOK_WAIT_S, timeout_s),
            )
            offer = self.snapshot.pick(version)
        if offer is None:
            raise why_not(self.model, self.snapshot, version)
        return offer

    def replace(self, gone: Offer, timeout_s: float) -> None:
        """Take down an offer whose version is gone; look at once if that leaves none."""
        self._take_down(gone)
        failed_at = self._clock()
        self.look(unless=lambda: self._looked_at > failed_at or bool(self.snapshot.offers), timeout_s=timeout_s)

    def look(self, unless: Callable[[], bool] = lambda: False, timeout_s: float = -1) -> None:
        """Ask the model server what it has.

        Args:
            unless: asked when it is our turn: somebody else's look may have been enough.
            timeout_s: how long to wait for our turn; -1 is for ever.
        """
        with turns.given_up():
            is_ours = self._turn.acquire(timeout=timeout_s)
        if is_ours:
            try:
                if not unless():
                    self._looked_at = self._clock()
                    self._look()
            finally:
                self._turn.release()

    def _look(self) -> None:
        losses = self._server.losses
        try:
            statuses = self._server.versions(self.model, STATUS_TIMEOUT_S)
        except DeadlineExceeded:
            self._missed_looks += 1
            if self._missed_looks >= MAX_MISSED_LOOKS:
                self._close("the model server does not answer in time")
        except (ModelServerUnreachable, ModelServerFault) as error:
            self._close(str(error))
        else:
            self._missed_looks = 0
            self._follow(statuses, afresh=losses != self._losses)
            self._losses = losses

    def _follow(self, statuses: tuple[VersionStatus, ...], *, afresh: bool) -> None:
        """Make the offers what the statuses say; `afresh`: verify again what is on offer already."""
        available = sorted((s.version for s in statuses if s.state == AVAILABLE), reverse=True)
        for version in self.snapshot.offers.keys() - set(available):
            log.info("model %s: version %d is no longer served", self.model, version)
        with self._change:
            self.snapshot = Snapshot(
                offers={v: offer for v, offer in self.snapshot.offers.items() if v in available},
                refusals={v: r for v, r in self.snapshot.refusals.items() if v in available and not afresh},
                statuses=statuses,
                outage=None,
            )
        for version in available:
            if afresh or self._is_due(version):
                self._verify(version)

    def _is_due(self, version: int) -> bool:
        refusal = self.snapshot.refusals.get(version)
        if refusal is not None:
            return self._clock() >= refusal.retry_at
        verified_at = self._verified_at.get(version, float("-inf"))
        return version not in self.snapshot.offers or self._clock() >= verified_at + VERIFY_AGAIN_AFTER_S

    def _verify(self, version: int) -> None:
        before = self.snapshot.refusals.get(version)
        try:
            # A version on offer is warm; and the look must not be held up by a busy model server.
            timeout_s = STATUS_TIMEOUT_S if version in self.snapshot.offers else VERIFY_TIMEOUT_S
            offer = verify(self._server, self.model, version, timeout_s)
        except VersionRefused as error:
            log.warning("model %s: version %d is refused: %s", self.model, version, error)
            self._set(version, None, self._refusal(str(error), before))
        except (ModelServerUnreachable, DeadlineExceeded) as error:
            # No verdict: an offer stays, and what is none yet is tried again, but not at once.
            refusal = self._refusal(f"it could not be verified: {error}", before)
            self._set(version, self.snapshot.offers.get(version), refusal)
        else:
            if version not in self.snapshot.offers:
                log.info("model %s: version %d is on offer", self.model, version)
            self._verified_at[version] = self._clock()
            self._set(version, offer, None)

    def _set(self, version: int, offer: Offer | None, refusal: Refusal | None) -> None:
        """Change what the snapshot says of one version."""
        with self._change:
            offers = {v: o for v, o in self.snapshot.offers.items() if v != version}
            refusals = {v: r for v, r in self.snapshot.refusals.items() if v != version}
            if offer is not None:
                offers[version] = offer
            if refusal is not None:
                refusals[version] = refusal
            self.snapshot = replace(self.snapshot, offers=offers, refusals=refusals)

    def _refusal(self, reason: str, before: Refusal | None) -> Refusal:
        delay_s = min(before.delay_s * 2, LAST_RETRY_S) if before else FIRST_RETRY_S
        return Refusal(reason, self._clock() + delay_s, delay_s)

    def _take_down(self, gone: Offer) -> None:
        """Remove exactly this offer: another thread may have replaced it already."""
        if self.snapshot.offers.get(gone.version) is gone:
            self._set(gone.version, None, None)

    def _close(self, outage: str) -> None:
        """Offer nothing: the model server is away."""
        if self.snapshot.outage != outage:
            log.warning("model %s: nothing is on offer: %s", self.model, outage)
        with self._change:
            self.snapshot = Snapshot(outage=outage)


def why_not(model: str, snapshot: Snapshot, version: int | None) -> ServingError:
    """Why a version, or the model, is not on offer."""
    if snapshot.outage is not None:
        return ModelServerUnreachable(snapshot.outage)
    served = {status.version: status for status in snapshot.statuses}
    if version is None:
        return ModelNotReady(model, _reason(snapshot, max(served, default=None)))
    status = served.get(version)
    if status is None or status.state in ("UNLOADING", "END"):
        return UnknownModel(model, f"model {model!r} has no version {version}")
    return ModelNotReady(model, _reason(snapshot, version))


def _reason(snapshot: Snapshot, version: int | None) -> str:
    if version is None:
        return "the model server has no version of it"
    if version in snapshot.refusals:
        return f"version {version} is refused: {snapshot.refusals[version].reason}"
    status = next(status for status in snapshot.statuses if status.version == version)
    if status.state == AVAILABLE:
        return f"version {version} is being verified"
    return f"version {version} is {status.state}{': ' if status.error_message else ''}{status.error_message}"


class Offers:
    """The offers of all configured models; an OfferBook."""

    def __init__(
        self,
        models: tuple[str, ...],
        server: ModelServer,
        clock: Callable[[], float] = time.monotonic,
        labels_kept_s: float = 1.0,
    ) -> None:
        self._server, self._clock = server, clock
        self.watches = {model: self.watch_aside(model) for model in models}  # replaced as a whole, never changed
        self._labels = Labels(server, labels_kept_s, clock)

    def find(self, model: str, version: Selector, timeout_s: float) -> Offer:
        """The offer, or UnknownModel, ModelNotReady, ModelServerUnreachable, DeadlineExceeded."""
        watch = self.watch(model)
        if not isinstance(version, Label):
            return watch.find(version, timeout_s)
        try:
            return watch.find(self._labels.version(model, version, timeout_s), timeout_s)
        except UnknownModel:  # the label may have moved on from a version that is gone
            self._labels.forget(model)
            return watch.find(self._labels.version(model, version, timeout_s), timeout_s)

    def number(self, model: str, version: Selector, timeout_s: float) -> int | None:
        """The version's number, whether on offer or not; None where none is asked for."""
        self.watch(model)
        return self._labels.version(model, version, timeout_s) if isinstance(version, Label) else version

    def replace(self, gone: Offer, timeout_s: float) -> None:
        """Take an offer down whose version the model server no longer has, and look for another."""
        self._labels.forget(gone.contract.name)
        self.watch(gone.contract.name).replace(gone, timeout_s)

    def watch_aside(self, model: str) -> ModelWatch:
        """A watch of a model that clients do not see, unless it joins."""
        return ModelWatch(model, self._server, self._clock)

    def join(self, watch: ModelWatch) -> None:
        """From now on this is one of the configured models."""
        log.info("model %s joins the models on offer", watch.model)
        self.watches = {**self.watches, watch.model: watch}

    def watch(self, model: str) -> ModelWatch:
        """The watch of a configured model."""
        if model not in self.watches:
            raise UnknownModel(model, f"no such model; there are {', '.join(self.watches)}")
        return self.watches[model]


class Poller:
    """A background thread a model that looks every poll interval, until stopped."""

    def __init__(
        self,
        watches: list[ModelWatch],
        interval_s: float,
        on_look: Callable[[ModelWatch], None],
        more: Callable[[], list[ModelWatch]] | None = None,
    ) -> None:
        """`more` is asked every poll interval, too, in a thread of its own: watches to poll from then on."""
        self._interval_s = interval_s
        self._on_look = on_look
        self._more = more
        self._stopped = threading.Event()
        self._threads = [self._thread(watch) for watch in watches]
        if more:
            self._threads.append(
                threading.Thread(target=self._run, args=(self._take_in,), name="further models", daemon=True)
            )

    def start(self) -> None:
        """Begin, with a first look at once."""
        for thread in list(self._threads):
            thread.start()

    def stop(self) -> None:
        """Stop looking; a look under way may end first, if it is quick."""
        self._stopped.set()
        for thread in list(self._threads):
            thread.join(STATUS_TIMEOUT_S)

    def _thread(self, watch: ModelWatch) -> threading.Thread:
        def look() -> None:
            watch.look()
            self._on_look(watch)

        return threading.Thread(target=self._run, args=(look,), name=f"model {watch.model}", daemon=True)

    def _take_in(self) -> None:
        for watch in self._more() if self._more else ():
            thread = self._thread(watch)
            self._threads.append(thread)
            thread.start()

    def _run(self, look: Callable[[], None]) -> None:
        while not self._stopped.is_set():
            try:
                look()
            except Exception:  # a bug in one look must not end all looking
                log.exception("%s: the look failed", threading.current_thread().name)
            self._stopped.wait(self._interval_s)
