"""The composition root: flags → core → doors. Ports open only when the first load is done.

After tensorflow_serving/model_servers/server.cc.
"""

import logging
import threading
from pathlib import Path

from tensorflow_serving.config import model_server_config_pb2

from serving.generated.atelier.serverconfig.v1 import server_config_pb2
from serving.model_server import warmup
from serving.model_server.batching_config import Batching
from serving.model_server.flags import Flags
from serving.model_server.grpc_server import GrpcServer
from serving.model_server.loader import SavedModelLoader
from serving.model_server.manager import ManagerOptions
from serving.model_server.model_config import read_text_proto, single_model_config
from serving.model_server.readiness import Application, ReadinessPath
from serving.model_server.rest_api import RestApi
from serving.model_server.rest_server import RestServer
from serving.model_server.servable import Runner, Servable, ServableId
from serving.model_server.server_core import ServerCore, ServerCoreOptions
from serving.model_server.session_config import session_config
from serving.model_server.state_monitor import WaitCancelled
from serving.model_server.status import StatusError, invalid_argument

_logger = logging.getLogger(__name__)

_PROMETHEUS_PATH = "/monitoring/prometheus/metrics"


class Server:
    """A model server with its doors."""

    def __init__(self, flags: Flags, stop: threading.Event) -> None:
        """Check the flags; raises StatusError on those that contradict each other.

        `stop`: once set, a start that waits for models gives up, and the configuration file is read no more.
        """
        _check(flags)
        self._flags = flags
        self._sessions = session_config(flags)
        self._batching = Batching(flags) if flags.enable_batching else None
        self._core = ServerCore(self._loader, _core_options(flags), stop)
        self._grpc: GrpcServer | None = None
        self._rest: RestServer | None = None
        self._config_poll: threading.Thread | None = None
        self._stop = stop

    def start(self) -> None:
        """Load the models, then open the ports.

        Raises:
            StatusError: a model did not become available, or a port could not be opened.
            WaitCancelled: the stop event was set meanwhile.
        """
        self._core.reload(_model_server_config(self._flags))
        self._start_config_poll()
        self._grpc = GrpcServer(self._core, self._flags)
        self._start_rest()

    @property
    def rest_port(self) -> int | None:
        """The REST port, if one is open."""
        return self._rest.port if self._rest else None

    def stop(self) -> None:
        """Take no new requests, answer those in flight within the grace period, then let go."""
        self._stop.set()
        grace_s = float(self._flags.drain_timeout_seconds)
        stopped = self._grpc.stop(grace_s) if self._grpc else None
        if self._rest:
            self._rest.stop(grace_s)
        if stopped:
            stopped.wait()
        self._core.stop()

    def _loader(self, servable: ServableId, path: Path) -> SavedModelLoader:
        flags = self._flags
        return SavedModelLoader(
            servable,
            path,
            flags.saved_model_tags.split(","),
            self._sessions,
            self._warm_up,
            self._batching.wrap if self._batching else _unwrapped,
            num_tflite_interpreters=max(1, flags.num_tflite_pools) if flags.prefer_tflite_model else None,
            checks_method_names=flags.enable_signature_method_name_check,
        )

    def _warm_up(self, servable: Servable, path: Path) -> None:
        if self._flags.enable_model_warmup:
            warmup.warm_up(servable, path, max(1, self._flags.num_request_iterations_for_warmup))

    def _start_rest(self) -> None:
        flags = self._flags
        if not flags.rest_api_port:
            return
        if flags.rest_api_port == flags.port:
            _logger.error(
                "server_options.http_port cannot be same as grpc_port. Please use a different port for HTTP/REST "
                "API. Skipped exporting HTTP/REST API."
            )
            return
        try:
            self._rest = RestServer(
                self._rest_application(), flags.bind_address, flags.rest_api_port, flags.rest_api_num_threads
            )
        except OSError as error:
            _logger.error("Failed to start HTTP Server at localhost:%d: %s", flags.rest_api_port, error)  # noqa: TRY400
            return
        _logger.info("Exporting HTTP/REST API at:localhost:%d ...", flags.rest_api_port)

    def _rest_application(self) -> Application:
        flags = self._flags
        api = RestApi(
            self._core,
            timeout_s=flags.rest_api_timeout_in_ms / 1000 if flags.rest_api_timeout_in_ms > 0 else None,
            enable_cors=flags.rest_api_enable_cors_support,
            metrics_path=_metrics_path(flags),
        )
        return ReadinessPath(self._core, api) if flags.enable_readiness_path else api

    def _start_config_poll(self) -> None:
        if self._flags.model_config_file and self._flags.model_config_file_poll_wait_seconds > 0:
            self._config_poll = threading.Thread(target=self._poll_config, name="config-poll", daemon=True)
            self._config_poll.start()

    def _poll_config(self) -> None:
        """Take what the file says; at each poll again while that is refused: what a label waits for may come yet.

        TensorFlow Serving takes one that it has already too, to no effect but its log's, and tells each refusal anew.
        """
        taken, told = None, ""
        while not self._stop.wait(self._flags.model_config_file_poll_wait_seconds):
            try:
                config = _model_server_config(self._flags)
                if config != taken:
                    self._core.reload(config)
                    taken = config
                told = ""
            except WaitCancelled:
                return
            except StatusError as error:
                if error.message != told:
                    _logger.error("PollFilesystemAndReloadConfig failed to ReloadConfig: %s", error.message)  # noqa: TRY400
                told = error.message
            except Exception:  # a bug must not end the polls
                _logger.exception("PollFilesystemAndReloadConfig failed in an unforeseen way")


def _unwrapped(runner: Runner, _: Path) -> Runner:
    return runner


def _check(flags: Flags) -> None:
    """The contradictions that Server::BuildAndStart refuses."""
    if not flags.port and not flags.grpc_socket_path:
        raise invalid_argument(
            "At least one of server_options.grpc_port or server_options.grpc_socket_path must be set."
        )
    if flags.use_alts_credentials and flags.ssl_config_file:
        raise invalid_argument("Either use_alts_credentials must be false or ssl_config_file must be empty.")
    if not flags.model_base_path and not flags.model_config_file:
        raise invalid_argument("Both server_options.model_base_path and server_options.model_config_file are empty!")
    if flags.batching_parameters_file and not flags.enable_batching:
        raise invalid_argument(
            "server_options.batching_parameters_file is set without setting server_options.enable_batching to true."
        )


def _core_options(flags: Flags) -> ServerCoreOptions:
    return ServerCoreOptions(
        manager=ManagerOptions(
            num_load_threads=flags.num_load_threads,
            num_unload_threads=flags.num_unload_threads,
            max_num_load_retries=flags.max_num_load_retries,
            load_retry_interval_s=flags.load_retry_interval_micros / 1e6,
        ),
        file_system_poll_wait_s=flags.file_system_poll_wait_seconds,
        allow_version_labels_for_unavailable_models=flags.allow_version_labels_for_unavailable_models,
        serve_without_missing_models=flags.serve_without_missing_models,
    )


def _model_server_config(flags: Flags) -> model_server_config_pb2.ModelServerConfig:
    if not flags.model_config_file:
        return single_model_config(flags.model_name, flags.model_base_path)
    config = model_server_config_pb2.ModelServerConfig()
    read_text_proto(flags.model_config_file, config)
    return config


def _metrics_path(flags: Flags) -> str | None:
    """Where Prometheus reads, if the monitoring configuration says so."""
    config = server_config_pb2.MonitoringConfig()
    if flags.monitoring_config_file:
        read_text_proto(flags.monitoring_config_file, config)
    prometheus = config.prometheus_config
    return (prometheus.path or _PROMETHEUS_PATH) if prometheus.enable else None
