"""Runs the gRPC services: where they listen, with which credentials, and what stands beside the two main services."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
from tensorflow_serving.apis import (
    model_service_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2,
    prediction_service_pb2_grpc,
)

from serving.direct_method import DirectMethod
from serving.generated.atelier.serverconfig.v1 import server_config_pb2
from serving.model_server.flags import Flags
from serving.model_server.grpc_api import ModelService, PredictionService
from serving.model_server.grpc_health import health_handler
from serving.model_server.grpc_predict import PREDICT_PATH, PredictMethod
from serving.model_server.model_config import read_text_proto
from serving.model_server.profiler import profiler_handler
from serving.model_server.server_core import ServerCore
from serving.model_server.status import invalid_argument

_logger = logging.getLogger(__name__)

_HEALTHY_SERVICES = ("", "ModelService", "PredictionService")  # short names, as in server.cc
_DESCRIBED_SERVICES = [
    service.full_name
    for file in (model_service_pb2, prediction_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
]
_MAX_MESSAGE_BYTES = 2**31 - 1


class GrpcServer:
    """The gRPC door, open."""

    def __init__(self, core: ServerCore, flags: Flags) -> None:
        """Open the port and the socket that the flags name.

        Raises:
            StatusError: one of them cannot be opened, or the SSL configuration cannot be read.
        """
        self._server = grpc.server(ThreadPoolExecutor(flags.grpc_max_threads, "grpc"), options=_options(flags))
        _add_services(self._server, core, flags)
        predict = PredictMethod(core, as_content=flags.enable_serialization_as_tensor_content)
        direct = DirectMethod(self._server, PREDICT_PATH, predict.answer, flags.grpc_max_threads)
        addresses = _addresses(flags)
        _listen(self._server, addresses, _credentials(flags))
        self._server.start()
        direct.start()
        for address in addresses:
            _logger.info("Running gRPC ModelServer at %s ...", address.replace("unix:", "UNIX socket "))

    def stop(self, grace_s: float) -> threading.Event:
        """Take no new calls; the event says that those in flight are answered, or the grace period is over."""
        stopped: threading.Event = self._server.stop(grace_s)
        return stopped


def _options(flags: Flags) -> list[tuple[str, int | str]]:
    return [
        ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
        ("grpc.so_reuseport", 0),
        *_channel_arguments(flags.grpc_channel_arguments),
    ]


def _add_services(server: grpc.Server, core: ServerCore, flags: Flags) -> None:
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(core), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(core), server)
    if flags.enable_profiler:
        server.add_generic_rpc_handlers((profiler_handler(),))
        _logger.info("Profiler service is enabled")
    if flags.enable_grpc_healthcheck_service:
        server.add_generic_rpc_handlers((health_handler(_HEALTHY_SERVICES),))
    if flags.enable_grpc_reflection:
        from grpc_reflection.v1alpha import reflection

        reflection.enable_server_reflection([*_DESCRIBED_SERVICES, reflection.SERVICE_NAME], server)


def _addresses(flags: Flags) -> list[str]:
    host = f"[{flags.bind_address}]" if ":" in flags.bind_address else flags.bind_address
    addresses = [f"{host}:{flags.port}"] if flags.port else []
    return addresses + ([f"unix:{flags.grpc_socket_path}"] if flags.grpc_socket_path else [])


def _listen(server: grpc.Server, addresses: list[str], credentials: grpc.ServerCredentials | None) -> None:
    try:
        for address in addresses:
            if credentials:
                server.add_secure_port(address, credentials)
            else:
                server.add_insecure_port(address)
    except RuntimeError as error:
        raise invalid_argument("Failed to BuildAndStart gRPC server") from error


def _credentials(flags: Flags) -> grpc.ServerCredentials | None:
    """ALTS, or TLS as the SSLConfig says; None without either."""
    if flags.use_alts_credentials:
        return grpc.alts_server_credentials()
    if not flags.ssl_config_file:
        return None
    config = server_config_pb2.SSLConfig()
    read_text_proto(flags.ssl_config_file, config)
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )


def _channel_arguments(text: str) -> list[tuple[str, int | str]]:
    """`k=v,k=v`; numbers where they are numbers."""
    arguments: list[tuple[str, int | str]] = []
    for item in filter(None, text.split(",")):
        key, _, value = item.partition("=")
        arguments.append((key, int(value) if value.lstrip("-").isdigit() else value))
    return arguments
