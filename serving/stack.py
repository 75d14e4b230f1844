"""The whole stack on this machine: which models the store holds, and the processes that serve them.

Knows each part's command and how to see that it is ready; keeping parts up is the supervisor's.
"""

import http.client
import os
import socket
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_encoding
from prometheus_client.parser import text_string_to_metric_families

from serving import environment
from serving.gateway.settings import Settings as GatewaySettings
from serving.supervisor import Part
from serving.version_name import version_of

# From SIGTERM until the model server is killed: longer than any call the gateway still waits for.
MODEL_SERVER_GRACE_PERIOD_S = 35.0
# On top of a gateway's own grace period, before it is killed.
STOP_MARGIN_S = 5.0
PROBE_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Settings:
    """What `python -m serving` reads from ATELIER_*, beside the gateway's own settings."""

    store: str = "models"  # folder of <model>/<version>/
    model_server_port: int = 8500  # gRPC, as TensorFlow Serving's
    model_server_rest_port: int = 8501  # REST, as TensorFlow Serving's
    # Threads that share one operation; 0: as many as there are cores. Handing parts of an operation over takes longer
    # than most operations of small models, and other calls and the gateways have work for the other cores.
    model_server_op_threads: int = 1

    def __post_init__(self) -> None:
        for field in ("model_server_port", "model_server_rest_port"):
            port = getattr(self, field)
            environment.require(0 < port < 65536, field, "a port from 1 to 65535", port)
        threads = self.model_server_op_threads
        environment.require(threads >= 0, "model_server_op_threads", "a number of threads, or 0", threads)

    @staticmethod
    def from_env(environ: Mapping[str, str]) -> "Settings":
        """Read these settings; the gateway's, which share the environment, are known but not read."""
        return environment.read(Settings, environ, also_known=environment.variable_names(GatewaySettings))


class EmptyStore(Exception):
    """There is nothing to serve."""


class PortInUse(Exception):
    """Something else listens where a part would."""


def published_models(store: Path) -> tuple[str, ...]:
    """The names of the models that have at least one version in the store.

    Raises:
        EmptyStore: no model has one.
    """
    models = models_in(store)
    if not models:
        raise EmptyStore(f"no model is published in {store}: train one with `python -m training` (or `make train`)")
    return models


def models_in(store: Path) -> tuple[str, ...]:
    """The same; there may be none."""
    return tuple(sorted(name for name in _folders_in(store) if _may_name_a_model(name) and _has_version(store / name)))


def _may_name_a_model(name: str) -> bool:
    """Hidden folders are no models (`.trash`), nor can those be served whose names get lost where models are listed."""
    return not name.startswith(".") and name.isprintable() and name == name.strip() and "," not in name


def _has_version(model: Path) -> bool:
    return any(version_of(name) is not None for name in _folders_in(model))


def _folders_in(folder: Path) -> list[str]:
    """Their names; none where nothing can be read now: a folder may go while it is looked at."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except OSError:
        return []


def write_model_config(models: tuple[str, ...], store: Path, file: Path) -> None:
    """Write the ModelServerConfig (TensorFlow Serving's text proto) that serves these models from the store."""
    configs = (
        f"  config {{ name: {_quoted(name)} base_path: {_quoted(store.resolve() / name)} "
        'model_platform: "tensorflow" }\n'
        for name in models
    )
    write_whole(file, "model_config_list {\n" + "".join(configs) + "}\n")


def _quoted(value: str | Path) -> str:
    return f'"{text_encoding.CEscape(os.fsencode(value), as_utf8=False)}"'


def write_whole(file: Path, text: str) -> None:
    """Write so that a reader sees all of it or none."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(file)


def model_server_part(settings: Settings, config_file: Path, environ: Mapping[str, str]) -> Part:
    """TensorFlow Serving's command line; its ports open once every model is loaded, so an open port means ready."""
    command = [
        sys.executable, "-m", "serving.model_server",
        f"--port={settings.model_server_port}",
        f"--rest_api_port={settings.model_server_rest_port}",
        f"--model_config_file={config_file}",
        "--model_config_file_poll_wait_seconds=1",  # a model may be published later
        "--serve_without_missing_models",  # and one may be removed, which is no matter of the others'
        f"--tensorflow_intra_op_parallelism={settings.model_server_op_threads}",
        "--bind_address=127.0.0.1",  # nobody else's business on a laptop
    ]  # fmt: skip

    def why_not_ready() -> str | None:
        try:
            socket.create_connection(("127.0.0.1", settings.model_server_port), PROBE_TIMEOUT_S).close()
        except OSError as error:
            return f"port {settings.model_server_port} is not open yet ({error})"
        return None

    calm = {
        "TF_CPP_MIN_LOG_LEVEL": "2",  # warnings of TensorFlow's start say nothing to an operator
        # Else the C library keeps a heap for each of the threads that take calls, which grew under load.
        "MALLOC_ARENA_MAX": "2",
        **environ,
    }
    return Part("model server", command, calm, why_not_ready, MODEL_SERVER_GRACE_PERIOD_S)


def http_gateway_part(settings: GatewaySettings, environ: Mapping[str, str]) -> Part:
    """The HTTP door, ready when it has every model on offer."""
    command = [sys.executable, "-m", "serving.gateway", "http"]
    url = f"{local_url(settings)}/readyz"

    def why_not_ready() -> str | None:
        try:
            with urllib.request.urlopen(url, timeout=PROBE_TIMEOUT_S, context=local_tls(settings)):  # noqa: S310 (ours)
                return None
        except urllib.error.HTTPError as error:
            return error.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return f"{url} does not answer yet ({error})"

    return Part("HTTP gateway", command, environ, why_not_ready, _stop_s(settings))


def grpc_gateway_part(settings: GatewaySettings, environ: Mapping[str, str]) -> Part:
    """The gRPC door, ready when it has every model on offer.

    Asked by its metrics: gRPC itself must not be in the supervisor's process, which forks (grpc/grpc#14870).
    """
    command = [sys.executable, "-m", "serving.gateway", "grpc"]
    url = f"http://{_local(settings.grpc_host)}:{settings.grpc_metrics_port}/metrics"

    def why_not_ready() -> str | None:
        try:
            with urllib.request.urlopen(url, timeout=PROBE_TIMEOUT_S) as answer:
                metrics = answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return f"{url} does not answer yet ({error})"
        missing = set(settings.models) - _models_on_offer(metrics)
        return f"not on offer yet: {', '.join(sorted(missing))}" if missing else None

    return Part("gRPC gateway", command, environ, why_not_ready, _stop_s(settings))


def _stop_s(settings: GatewaySettings) -> float:
    return settings.drain_delay_s + settings.grace_period_s + STOP_MARGIN_S


def _models_on_offer(metrics: str) -> set[str]:
    return {
        sample.labels["model"]
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == "atelier_offered_version" and sample.value > 0
    }


def local_url(settings: GatewaySettings) -> str:
    """Where a client on this machine reaches the HTTP gateway."""
    scheme = "https" if settings.tls_cert_file else "http"
    return f"{scheme}://{_local(settings.http_host)}:{settings.http_port}"


def local_tls(settings: GatewaySettings) -> ssl.SSLContext | None:
    """How a client on this machine knows the HTTP gateway: by its very certificate, whatever name that bears."""
    if not settings.tls_cert_file:
        return None
    context = ssl.create_default_context(cafile=settings.tls_cert_file)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context


def local_grpc_address(settings: GatewaySettings) -> str:
    """Where a client on this machine reaches the gRPC gateway."""
    return f"{_local(settings.grpc_host)}:{settings.grpc_port}"


def _local(host: str) -> str:
    """The address of a listener as seen from this machine, ready for a URL."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 (compared, not bound)
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def refuse_ports_in_use(settings: Settings, gateway: GatewaySettings) -> None:
    """Name the first port that is taken before anything starts: a part's own complaint comes late and among others'."""
    ports = {
        "ATELIER_MODEL_SERVER_PORT": settings.model_server_port,
        "ATELIER_MODEL_SERVER_REST_PORT": settings.model_server_rest_port,
        "ATELIER_HTTP_PORT": gateway.http_port,
        "ATELIER_GRPC_PORT": gateway.grpc_port,
        "ATELIER_GRPC_METRICS_PORT": gateway.grpc_metrics_port,
    }
    for variable, port in ports.items():
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                raise PortInUse(f"port {port} is in use on this machine; choose another with {variable}")
