"""gunicorn, started from our settings: one main process, and workers that each build their own parts after the fork."""

import logging
import select
import socket
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from serving.gateway.api_keys import ApiKeys
from serving.gateway.buffered_worker import BufferedWorker, ConnectionLimits
from serving.gateway.connection import Phase
from serving.gateway.http_api import create_app
from serving.gateway.logs import configure_logging
from serving.gateway.metrics import forget_worker
from serving.gateway.parts import build_parts
from serving.gateway.settings import Settings

# Seconds an idle connection stays open: longer than the 60 s of common load balancers, or they send into a closing one.
KEEPALIVE_S = 75
# Seconds for a client to read its last answer and close, before that is done for it; nginx's lingering_time.
LINGER_S = 30
# Seconds without a sign of life after which a worker is killed; gunicorn's default.
WORKER_TIMEOUT_S = 30


class Workers(BaseApplication):  # type: ignore[misc]
    """The gunicorn application."""

    def __init__(self, settings: Settings, listener: socket.socket, metrics_folder: str, keys: ApiKeys | None) -> None:
        self.settings = settings
        self._keys = keys
        self._listener = listener
        self._metrics_folder = metrics_folder
        super().__init__()

    def load_config(self) -> None:
        """Our settings, in gunicorn's words. Its own files and variables are not read."""
        options = {
            "bind": f"fd://{self._listener.detach()}",
            "workers": self.settings.workers,
            "worker_class": Worker,
            "threads": self.settings.threads,
            "timeout": WORKER_TIMEOUT_S,
            "graceful_timeout": self.settings.grace_period_s,
            "keepalive": KEEPALIVE_S,
            "loglevel": self.settings.log_level,
            "logger_class": GunicornLog,
            "sendfile": False,  # answers are collected before they are sent
            "control_socket_disable": True,
            "child_exit": lambda _arbiter, worker: forget_worker(worker.pid, self._metrics_folder),
            "proc_name": "atelier-gateway",
        }
        for name, value in options.items():
            self.cfg.set(name, value)
        configure_logging(self.settings)

    def load(self) -> Flask:
        """Build the parts; gunicorn calls this in each worker, after the fork."""
        self.parts = parts = build_parts(self.settings, self._metrics_folder, self._keys)
        poller = parts.poller()
        poller.start()

        def stop(_arbiter: object, _worker: object) -> None:
            poller.stop()
            parts.server.close()

        self.cfg.set("worker_exit", stop)  # this worker's own copy of the configuration
        return create_app(parts)


class Worker(BufferedWorker):
    """The worker, with our limits, and a stopping one closes its port at once.

    gunicorn's own keeps it open until the last answer is out: the kernel would go on taking connections for nobody.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.limits = connection_limits(self.app.settings)

    def count_refusal(self, reason: str) -> None:
        """Into the metrics."""
        self.app.parts.metrics.refused_connections.labels(reason).inc()

    def set_accept_enabled(self, enabled: bool) -> None:  # noqa: FBT001 (gunicorn's signature)
        """Called with False when the worker stops, and also while it has all the connections it can hold."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                while select.select([listener], [], [], 0)[0]:  # who connected before is still answered
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
