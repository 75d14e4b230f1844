"""gunicorn, started from our settings: one main process, and workers that each build their own parts after the fork."""

import logging
import select
import socket
import sys
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker

from serving.gateway.http_api import Parts, create_app
from serving.gateway.metrics import Metrics, forget_worker
from serving.gateway.model_server_client import GrpcModelServer
from serving.gateway.offers import ModelWatch, Offers, Poller
from serving.gateway.predictor import Predictor
from serving.gateway.settings import Settings

# Seconds an idle connection stays open: longer than the 60 s of common load balancers, or they send into a closing one.
KEEPALIVE_S = 75
# Seconds without a sign of life after which a worker is killed; gunicorn's default.
WORKER_TIMEOUT_S = 30


class Workers(BaseApplication):  # type: ignore[misc]
    """The gunicorn application."""

    def __init__(self, settings: Settings, listener: socket.socket, metrics_folder: str) -> None:
        self._settings = settings
        self._listener = listener
        self._metrics_folder = metrics_folder
        super().__init__()

    def load_config(self) -> None:
        """Our settings, in gunicorn's words. Its own files and variables are not read."""
        options = {
            "bind": f"fd://{self._listener.detach()}",
            "workers": self._settings.workers,
            "worker_class": Worker,
            "threads": self._settings.threads,
            "timeout": WORKER_TIMEOUT_S,
            "graceful_timeout": self._settings.grace_period_s,
            "keepalive": KEEPALIVE_S,
            "loglevel": self._settings.log_level,
            "logger_class": GunicornLog,
            "control_socket_disable": True,
            "child_exit": lambda _arbiter, worker: forget_worker(worker.pid, self._metrics_folder),
            "proc_name": "atelier-gateway",
        }
        for name, value in options.items():
            self.cfg.set(name, value)
        configure_logging(self._settings)

    def load(self) -> Flask:
        """Build the parts; gunicorn calls this in each worker, after the fork."""
        settings = self._settings
        metrics = Metrics(self._metrics_folder)
        server = GrpcModelServer(settings.model_server, metrics.observe_call)
        offers = Offers(settings.models, server)

        def show(watch: ModelWatch) -> None:
            metrics.offered_version.labels(watch.model).set(max(watch.snapshot.offers, default=0))

        poller = Poller(list(offers.watches.values()), settings.poll_interval_s, show)
        poller.start()

        def stop(_arbiter: object, _worker: object) -> None:
            poller.stop()
            server.close()

        self.cfg.set("worker_exit", stop)  # this worker's own copy of the configuration
        predictor = Predictor(offers, server, settings.max_instances)
        return create_app(Parts(settings, server, offers, predictor, metrics))


class Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threaded worker, but a stopping one closes its port at once.

    Its own keeps the port open until the last answer is out: the kernel would go on taking connections for nobody.
    """

    def set_accept_enabled(self, enabled: bool) -> None:  # noqa: FBT001 (gunicorn's signature)
        """Called with False when the worker stops, and also while it has all the connections it can hold."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                while select.select([listener], [], [], 0)[0]:  # who connected before is still answered
                    self.accept(listener)
                listener.close()


class GunicornLog(Logger):  # type: ignore[misc]
    """Sends gunicorn's own lines where ours go; it writes none per request."""

    def setup(self, cfg: Any) -> None:
        """Called by gunicorn instead of its own set-up of handlers."""
        self.cfg = cfg
        self._access_log_enabled = False
        self.error_log.propagate = True
        # What gunicorn tells at info is about itself: the start, the listening address, each signal.
        self.error_log.setLevel(max(logging.INFO, logging.getLevelName(cfg.loglevel.upper())))


class OneLine(logging.Formatter):
    """Keeps a message to one line, whatever a client or a model server put into it. A traceback keeps its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """The line before a traceback."""
        return super().formatMessage(record).replace("\n", "\\n").replace("\r", "\\r")


def configure_logging(settings: Settings) -> None:
    """One line an event on stderr, with the process it comes from."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        OneLine("%(asctime)s %(levelname)s [%(process)d] %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S%z")
    )
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    logging.getLogger("serving.gateway.access").disabled = not settings.access_log
