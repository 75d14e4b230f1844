"""What either door stands in front of, and how it is put together. Build it after a fork, never before."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from serving.gateway import grpc_tls
from serving.gateway.admission import Admission
from serving.gateway.api_keys import ApiKeys
from serving.gateway.batching import Batching
from serving.gateway.further_models import FurtherModels
from serving.gateway.metrics import Metrics
from serving.gateway.model_server import ModelServer
from serving.gateway.model_server_client import GrpcModelServer
from serving.gateway.offers import ModelWatch, Offers, Poller
from serving.gateway.predictor import Predictor
from serving.gateway.room import Room
from serving.gateway.settings import Settings
from serving.gateway.shared_flag import Flag
from serving.gateway.tracing import PassingOn, Tracing, open_tracing


@dataclass(frozen=True)
class Parts:
    """The parts of one process."""

    settings: Settings
    server: ModelServer
    offers: Offers
    predictor: Predictor
    metrics: Metrics
    keys: ApiKeys | None = None  # None: anybody may call
    tracing: Tracing = field(default_factory=PassingOn)
    room: Room = field(init=False)  # for inflated bodies
    # Set once the process is told to stop: not ready from then on, though it still answers.
    draining: Flag = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        object.__setattr__(self, "room", Room(self.settings.max_buffered_bytes))

    def close(self) -> None:
        """Let go of the model server, and send the last spans."""
        self.server.close()
        self.tracing.close()

    def poller(self, on_look: Callable[[ModelWatch], None] = lambda _watch: None) -> Poller:
        """Keeps the offers true, once started; `on_look` is called after each look at a model."""

        def show(watch: ModelWatch) -> None:
            self.metrics.offered_version.labels(watch.model).set(max(watch.snapshot.offers, default=0))
            on_look(watch)

        file = self.settings.models_file
        more = FurtherModels(Path(file), self.offers).look if file else None
        return Poller(list(self.offers.watches.values()), self.settings.poll_interval_s, show, more)


def build_parts(
    settings: Settings,
    metrics_folder: str | None = None,
    keys: ApiKeys | None = None,
    draining: Flag | None = None,
) -> Parts:
    """Everything, with a channel to the model server; nothing is asked of it yet."""
    metrics = Metrics(metrics_folder)
    server = GrpcModelServer(
        settings.model_server,
        metrics.observe_call,
        grpc_tls.model_server_credentials(settings),
        settings.model_server_name,
        metrics.observe_retry,
    )
    offers = Offers(settings.models, server, labels_kept_s=settings.poll_interval_s)
    batching = Batching(
        server, settings.max_model_server_batch, coalesce=settings.coalesce, observe=metrics.observe_batch
    )
    predictor = Predictor(offers, batching, settings.max_instances, admission=Admission(settings.threads))
    return Parts(
        settings,
        server,
        offers,
        predictor,
        metrics,
        keys,
        open_tracing(os.environ),
        draining or threading.Event(),
    )
