"""What an operator may set, checked once before any port opens. Only this file reads the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from serving import environment
from serving.environment import require

ENVIRONMENTS = ("development", "production")
# What may be missing in production -> the settings that provide it.
PROTECTIONS: Mapping[str, str] = {"no-keys": "ATELIER_API_KEYS_FILE", "no-tls": "ATELIER_TLS_CERT_FILE"}
LOG_FORMATS = ("text", "json")
LOG_LEVELS = ("debug", "info", "warning", "error")


def usable_cores() -> int:
    """Cores this process may run on (an affinity mask counts, a container's CPU quota does not)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_workers() -> int:
    """One a core, since parsing holds the interpreter lock; two at least, so that one may die; eight at most."""
    return min(max(2, usable_cores()), 8)


@dataclass(frozen=True)
class Settings:
    """One field, one variable: `http_port` is `ATELIER_HTTP_PORT`."""

    # Names of the models to offer, as the model server calls them.
    models: tuple[str, ...]
    # A file that names more of them, with white space between, looked at again and again: each joins once on offer.
    models_file: str = ""
    # gRPC address of the model server, host:port. 8500 is TensorFlow Serving's own default.
    model_server: str = "127.0.0.1:8500"
    # PEM file of the authorities that vouch for the model server; then TLS is spoken to it. None: in the clear.
    model_server_ca_file: str = ""
    # PEM files of the certificate and key to show it, where it asks for them.
    model_server_cert_file: str = ""
    model_server_key_file: str = ""
    # The name its certificate bears, where that is not the one in its address.
    model_server_name: str = ""
    # PEM files of both doors' certificate (with its chain) and key; then they speak TLS, 1.2 or newer.
    tls_cert_file: str = ""
    tls_key_file: str = ""
    # PEM file of the authorities that vouch for clients; then each must show a certificate (but for HTTP probes).
    tls_client_ca_file: str = ""
    # Address to listen on. Loopback, so that nobody exposes a gateway by accident; 0.0.0.0 in a container.
    http_host: str = "127.0.0.1"
    # TCP port to listen on.
    http_port: int = 8080
    # Address the gRPC door listens on, for calls and for its metrics.
    grpc_host: str = "127.0.0.1"
    # TCP port of the gRPC door.
    grpc_port: int = 8081
    # TCP port on which the gRPC door gives its metrics, over HTTP.
    grpc_metrics_port: int = 8082
    # Processes that answer HTTP requests.
    workers: int = field(default_factory=default_workers)
    # Requests one worker, or the gRPC door, answers at the same time. They mostly wait for the model server, so many
    # more than cores.
    threads: int = 64
    # Seconds from a request's arrival to its answer; then 504.
    request_timeout_s: float = 10.0
    # Largest request body or message, bytes. About 5,000 images of 28 x 28 as JSON.
    max_body_bytes: int = 16 * 1024 * 1024
    # Seconds for a client to send request line and headers (or its part of the TLS handshake).
    header_timeout_s: float = 10.0
    # Seconds for a client to send a body: the largest in this time is 2 Mbit/s.
    body_timeout_s: float = 60.0
    # Seconds for a client to take an answer.
    send_timeout_s: float = 30.0
    # Connections a worker holds; then the one that has waited longest makes room. gunicorn's default.
    max_connections: int = 1000
    # Memory of a worker for requests and answers on their way, bytes; then the oldest unfinished body is refused.
    # As much again for what gzip bodies inflate to.
    max_buffered_bytes: int = 256 * 1024 * 1024
    # Most instances in one request.
    max_instances: int = 1024
    # Send concurrent small requests to the model server as one call.
    coalesce: bool = True
    # Seconds such a call may wait for clients that were just answered, and often ask again at once: a round of 16
    # callers, and a bit. 0: it never waits.
    coalesce_wait_s: float = 0.002
    # Most rows in one call to the model server; larger batches go in pieces. TensorFlow Serving's own limit where
    # batching is on and nothing else is said (its max_batch_size).
    max_model_server_batch: int = 1000
    # Seconds between two looks at what the model server has. TensorFlow Serving looks at its store as often.
    poll_interval_s: float = 1.0
    # Seconds between "not ready" and the closing of the port, on SIGTERM: for load balancers to notice. None locally.
    drain_delay_s: float = 0.0
    # Seconds a stopping worker gives the requests in flight. Below Kubernetes' 30 s until SIGKILL.
    grace_period_s: int = 20
    # `production` refuses to start unprotected, but for what `accept_in_production` names.
    environment: str = "development"
    # What production may do without: `no-keys`, `no-tls` (a proxy in front has them).
    accept_in_production: tuple[str, ...] = ()
    # A file of API keys, one a line; none: anybody may call. `python -m serving.gateway key NAME` makes a line.
    api_keys_file: str = ""
    # Least severe log lines to write.
    log_level: str = "info"
    # `text` for people, `json` for machines.
    log_format: str = "text"
    # One log line a request.
    access_log: bool = False

    def __post_init__(self) -> None:
        for model in self.models:
            require(not set(model) & set("/:%?#"), "models", "names without / : % ? #", model)
        require(
            not self.models_file or Path(self.models_file).is_file(),
            "models_file",
            "a file that is there",
            self.models_file,
        )
        host, _, port = self.model_server.rpartition(":")
        is_port = port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65536
        require(bool(host) and is_port, "model_server", "host:port", self.model_server)
        for field_name in ("http_port", "grpc_port", "grpc_metrics_port"):
            port_number = getattr(self, field_name)
            require(0 < port_number < 65536, field_name, "a port from 1 to 65535", port_number)
        require(1 <= self.workers <= 256, "workers", "1 to 256 processes", self.workers)
        require(1 <= self.threads <= 1024, "threads", "1 to 1024 threads", self.threads)
        require(
            0 < self.request_timeout_s <= 3600,
            "request_timeout_s",
            "more than 0 and at most 3600 seconds",
            self.request_timeout_s,
        )
        require(
            1024 <= self.max_body_bytes <= 2**30,
            "max_body_bytes",
            f"1024 to {2**30} bytes",
            self.max_body_bytes,
        )
        for needed, field_name in (
            ("tls_key_file", "tls_cert_file"),
            ("tls_cert_file", "tls_key_file"),
            ("tls_cert_file", "tls_client_ca_file"),
            ("model_server_key_file", "model_server_cert_file"),
            ("model_server_cert_file", "model_server_key_file"),
            ("model_server_ca_file", "model_server_cert_file"),
            ("model_server_ca_file", "model_server_name"),
        ):
            has_both = bool(getattr(self, needed)) or not getattr(self, field_name)
            require(has_both, needed, f"a file, as ATELIER_{field_name.upper()} is set", "")
        for field_name in ("header_timeout_s", "body_timeout_s", "send_timeout_s"):
            seconds = getattr(self, field_name)
            require(0 < seconds <= 3600, field_name, "more than 0 and at most 3600 seconds", seconds)
        require(
            1 <= self.max_connections <= 100_000, "max_connections", "1 to 100000 connections", self.max_connections
        )
        require(
            self.max_buffered_bytes >= 2 * self.max_body_bytes,
            "max_buffered_bytes",
            "at least twice ATELIER_MAX_BODY_BYTES",
            self.max_buffered_bytes,
        )
        require(self.max_instances >= 1, "max_instances", "at least 1 instance", self.max_instances)
        require(0 <= self.coalesce_wait_s <= 1, "coalesce_wait_s", "0 to 1 second", self.coalesce_wait_s)
        require(
            1 <= self.max_model_server_batch <= 2**20,
            "max_model_server_batch",
            f"1 to {2**20} rows",
            self.max_model_server_batch,
        )
        require(0.05 <= self.poll_interval_s <= 60, "poll_interval_s", "0.05 to 60 seconds", self.poll_interval_s)
        require(0 <= self.drain_delay_s <= 3600, "drain_delay_s", "0 to 3600 seconds", self.drain_delay_s)
        require(0 <= self.grace_period_s <= 3600, "grace_period_s", "0 to 3600 seconds", self.grace_period_s)
        require(self.environment in ENVIRONMENTS, "environment", f"one of {', '.join(ENVIRONMENTS)}", self.environment)
        for accepted in self.accept_in_production:
            require(accepted in PROTECTIONS, "accept_in_production", f"names of {', '.join(PROTECTIONS)}", accepted)
        self._refuse_unprotected_production()
        require(self.log_format in LOG_FORMATS, "log_format", f"one of {', '.join(LOG_FORMATS)}", self.log_format)
        require(self.log_level in LOG_LEVELS, "log_level", f"one of {', '.join(LOG_LEVELS)}", self.log_level)

    @property
    def speaks_tls(self) -> bool:
        """Both doors do, and nothing in front of them has to."""
        return bool(self.tls_cert_file)

    def _refuse_unprotected_production(self) -> None:
        if self.environment != "production":
            return
        for missing, is_missing in {"no-keys": not self.api_keys_file, "no-tls": not self.tls_cert_file}.items():
            if is_missing and missing not in self.accept_in_production:
                raise environment.SettingError(
                    f"ATELIER_ENVIRONMENT: production does not start with {missing}: set {PROTECTIONS[missing]}, or "
                    f"accept it with ATELIER_ACCEPT_IN_PRODUCTION={missing} where something in front does that"
                )

    @staticmethod
    def from_env(environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings, or raise SettingError."""
        return environment.read(Settings, environ)
