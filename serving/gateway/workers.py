"""gunicorn, started from our settings: one main process, and workers that each build their own parts after the fork."""

import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from serving.gateway import tls
from serving.gateway.admission import SPARE_THREADS
from serving.gateway.api_keys import ApiKeys, admitted_key, configured_keys
from serving.gateway.buffered_worker import BufferedWorker
from serving.gateway.connection import Connection, Phase
from serving.gateway.connection_loop import ConnectionLimits
from serving.gateway.fair_share import Place, Shares
from serving.gateway.http_api import create_app
from serving.gateway.http_lane import HttpLane
from serving.gateway.incoming import Received
from serving.gateway.lane import has_lane
from serving.gateway.logs import configure_logging
from serving.gateway.main_process import STOP_SIGNALS, MainProcess
from serving.gateway.metrics import forget_worker
from serving.gateway.offers import ModelWatch
from serving.gateway.parts import build_parts
from serving.gateway.plain_requests import KnownHeads, PlainRequests
from serving.gateway.refusals import NO_CERTIFICATE, Refused
from serving.gateway.settings import Settings
from serving.gateway.shared_flag import SharedFlag
from serving.gateway.shedding import Shedding

# Seconds an idle connection stays open: longer than the 60 s of common load balancers, or they send into a closing one.
KEEPALIVE_S = 75
# Seconds for a client to read its last answer and close, before that is done for it; nginx's lingering_time.
LINGER_S = 30
# Seconds a new worker looks at the models before it takes requests: as long as one look may take, and a verification.
FIRST_LOOK_S = 5.0
# Paths that kubelet and Prometheus ask for, who have no certificate to show.
PROBES = frozenset({"/livez", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})
# Places in the table of connections: old workers, which still answer, new ones, and as many again.
SHARES_A_WORKER = 4
# Seconds without a sign of life after which a worker is killed; gunicorn's default.
WORKER_TIMEOUT_S = 30


class Workers(BaseApplication):  # type: ignore[misc]
    """The gunicorn application."""

    def __init__(self, settings: Settings, listener: socket.socket, metrics_folder: str, keys: ApiKeys | None) -> None:
        self.settings = settings
        self._keys = keys
        self._bind = f"fd://{listener.detach()}"
        self.leaving = SharedFlag()
        self.shares = Shares(SHARES_A_WORKER * settings.workers)
        self._looked_at: set[str] = set()
        self._metrics_folder = metrics_folder
        super().__init__()

    def load_config(self) -> None:
        """Our settings, in gunicorn's words. Its own files and variables are not read."""
        options = {
            "bind": self._bind,
            "workers": self.settings.workers,
            "worker_class": Worker,
            "threads": self.settings.threads + SPARE_THREADS,
            "timeout": WORKER_TIMEOUT_S,
            "graceful_timeout": self.settings.grace_period_s,
            "keepalive": KEEPALIVE_S,
            "loglevel": self.settings.log_level,
            "logger_class": GunicornLog,
            "certfile": self.settings.tls_cert_file or None,  # makes the scheme https; the worker's own context is used
            # No client, a proxy on this machine neither, says what scheme a request came by or where our paths begin.
            "forwarded_allow_ips": "",
            "forwarder_headers": "",
            "sendfile": False,  # answers are collected before they are sent
            "control_socket_disable": True,
            "child_exit": lambda _arbiter, worker: self._forget(worker),
            "proc_name": "atelier-gateway",
        }
        for name, value in options.items():
            self.cfg.set(name, value)
        os.environ.pop("SCRIPT_NAME", None)  # gunicorn would take it for the beginning of every path
        configure_logging(self.settings)

    def _forget(self, worker: "Worker") -> None:
        forget_worker(worker.pid, self._metrics_folder)
        self.shares.leave(worker.share)

    def load(self) -> Flask:
        """Build the parts; gunicorn calls this in each worker, after the fork."""
        self.parts = parts = build_parts(self.settings, self._metrics_folder, self._keys, self.leaving)
        self.shedding = Shedding(parts)
        poller = parts.poller(self._on_look)
        poller.start()

        def stop(_arbiter: object, _worker: object) -> None:
            poller.stop()
            parts.close()

        self.cfg.set("worker_exit", stop)  # this worker's own copy of the configuration
        return create_app(parts)

    def run(self) -> None:
        """Serve; ends by SystemExit."""
        MainProcess(self).run()

    def renew(self) -> None:
        """Read anew, for the workers to come, what lies in files.

        Raises:
            SettingError: with these the workers could not start.
        """
        tls.check(self.settings)
        self._keys = configured_keys(self.settings)

    def has_looked(self) -> bool:
        """Each model was looked at, in this worker, whatever was found."""
        return self._looked_at >= set(self.settings.models)

    def _on_look(self, watch: ModelWatch) -> None:
        self._looked_at.add(watch.model)


class Worker(BufferedWorker):
    """The worker, with our limits, and a stopping one closes its port at once.

    gunicorn's own keeps it open until the last answer is out: the kernel would go on taking connections for nobody.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.limits = connection_limits(self.app.settings)
        self.busy_threads = self.app.settings.threads
        self.is_open = SharedFlag()
        self.share: Place = self.app.shares.join()
        self._lane: HttpLane | None = None
        self._began = time.monotonic()

    def init_process(self) -> None:
        """After the fork: certificates as they are now."""
        self.tls = tls.http_context(self.app.settings)
        super().init_process()

    def run(self) -> None:
        """With a lane of its own."""
        parts = self.app.parts
        if has_lane(parts):
            self._lane = HttpLane(parts, self)
            self.heads = KnownHeads(PlainRequests(parts.settings.models, parts.keys).recognise)
        super().run()

    def take(self, connection: Connection) -> bool:
        """By the lane, where it is an ordinary prediction."""
        return self._lane is not None and self._lane.take(connection)

    def patience_s(self) -> float:
        """Until the lane has something to do."""
        return super().patience_s() if self._lane is None else self._lane.patience_s

    def end_turn(self) -> None:
        """Whoever came goes to the model server."""
        if self._lane is not None:
            self._lane.end_turn()

    def defer(self, callback: Callable[..., None], *arguments: Any) -> None:
        """Have it called by the loop; from any thread."""
        self.method_queue.defer(callback, *arguments)

    def init_signals(self) -> None:
        """Take the stop signals that waited for a handler here."""
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def handle_request(self, request: Any, connection: Connection) -> Any:
        """In a thread, which is told whose key was counted before."""
        admitted_key.set(connection.request.key_name if connection.request else "")
        return super().handle_request(request, connection)

    def check_request(self, connection: Connection, request: Received) -> None:
        """Where clients must show a certificate, only probes come without."""
        if self.app.settings.tls_client_ca_file and request.path not in PROBES and not connection.has_certificate():
            raise Refused(NO_CERTIFICATE)

    def may_accept(self) -> bool:
        """Once the models were looked at: until then an older worker, or a moment later this one, can say more."""
        if self.app.has_looked() or time.monotonic() > self._began + FIRST_LOOK_S:
            self.is_open.set()
            self.share.tell(0)
        return self.is_open.is_set()

    def has_its_share(self) -> bool:
        """Another worker has notably fewer connections."""
        return self.share.has_its_share

    def on_connections(self, count: int) -> None:
        """Tell the others, while more may come."""
        if self.alive:
            self.share.tell(count)

    def is_leaving(self) -> bool:
        """This worker ends, or all of them do."""
        return super().is_leaving() or self.app.leaving.is_set()

    def turn_away(self, request: Received) -> bytes | None:
        """What the loop itself answers, when there is too much to do."""
        answer: bytes | None = self.app.shedding.refuse(request)
        return answer

    def turn_away_bytes(self, received: bytes) -> bytes | None:
        """The same."""
        answer: bytes | None = self.app.shedding.refuse_bytes(received)
        return answer

    def count_refusal(self, reason: str) -> None:
        """Into the metrics."""
        self.app.parts.metrics.refused_connections.labels(reason).inc()

    def set_accept_enabled(self, enabled: bool) -> None:  # noqa: FBT001 (gunicorn's signature)
        """Called with False when the worker stops, and also while it has all the connections it can hold."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            self.share.close()
            for listener in self.sockets:
                for _ in range(self.cfg.backlog):  # who connected before is still answered, but no endless crowd
                    if not select.select([listener], [], [], 0)[0]:
                        break
                    self.accept(listener)
                listener.close()


def connection_limits(settings: Settings) -> ConnectionLimits:
    """The settings, by phase."""
    return ConnectionLimits(
        settings.max_body_bytes,
        settings.max_buffered_bytes,
        settings.max_connections,
        {
            Phase.HANDSHAKE: settings.header_timeout_s,
            Phase.HEAD: settings.header_timeout_s,
            Phase.BODY: settings.body_timeout_s,
            Phase.SENDING: settings.send_timeout_s,
            Phase.IDLE: KEEPALIVE_S,
            Phase.LINGERING: LINGER_S,
        },
    )


class GunicornLog(Logger):  # type: ignore[misc]
    """Sends gunicorn's own lines where ours go; it writes none per request."""

    def setup(self, cfg: Any) -> None:
        """Called by gunicorn instead of its own set-up of handlers."""
        self.cfg = cfg
        self._access_log_enabled = False
        self.error_log.propagate = True
        # What gunicorn tells at info is about itself: the start, the listening address, each signal.
        self.error_log.setLevel(max(logging.INFO, logging.getLevelName(cfg.loglevel.upper())))
