"""The gRPC door as its callers have it: a small client, and the door as an operator starts it."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc_health.v1 import health_pb2
from grpc_status import rpc_status

from serving.gateway.grpc_api import SERVICE
from serving.generated.atelier.prediction.v1 import prediction_pb2 as wire
from tests.gateway_process import DEADLINE_S, wait_until
from tests.ports import free_port


@dataclass
class Fault:
    """A refusal, with its details taken apart."""

    code: grpc.StatusCode
    message: str
    reason: str = ""
    violations: list[tuple[str, str]] = field(default_factory=list)
    retry_after_s: int | None = None
    request_id: str = ""


class GrpcClient:
    """A channel to the gRPC door."""

    def __init__(self, port: int, credentials: grpc.ChannelCredentials | None = None) -> None:
        options = [("grpc.max_send_message_length", -1)]
        if credentials is None:
            self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=options)
        else:
            self.channel = grpc.secure_channel(f"127.0.0.1:{port}", credentials, options=options)

    def start(
        self,
        method: str,
        request: Any,
        timeout_s: float = DEADLINE_S,
        request_id: str = "",
        metadata: Sequence[tuple[str, str]] = (),
    ) -> Any:
        """The future of a call."""
        return self.channel.unary_unary(
            f"/{SERVICE}/{method}",
            request_serializer=getattr(wire, f"{method}Request").SerializeToString,
            response_deserializer=getattr(wire, f"{method}Response").FromString,
        ).future(
            request, timeout=timeout_s, metadata=[*metadata, *([("x-request-id", request_id)] if request_id else [])]
        )

    def call(self, method: str, request: Any, **options: Any) -> Any:
        return self.start(method, request, **options).result()

    def fault(self, method: str, request: Any, **options: Any) -> Fault:
        """The fault of a call that must fail."""
        try:
            answer = self.call(method, request, **options)
        except grpc.RpcError as error:
            return taken_apart(error)
        raise AssertionError(f"answered: {answer}")

    def health(self, service: str = "") -> str:
        """SERVING, NOT_SERVING, or the gRPC code of the failure."""
        check = self.channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            status = check(health_pb2.HealthCheckRequest(service=service), timeout=DEADLINE_S).status
        except grpc.RpcError as error:
            return str(error.code().name)
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(status))


def taken_apart(error: Any) -> Fault:
    """A failed call's status and details."""
    metadata = dict(error.initial_metadata() or ())
    fault = Fault(error.code(), error.details(), request_id=metadata.get("x-request-id", ""))
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
        if detail.Unpack(info):
            assert info.domain == "atelier"
            fault.reason = info.reason
        elif detail.Unpack(bad):
            fault.violations = [(v.field, v.description) for v in bad.field_violations]
        elif detail.Unpack(retry):
            fault.retry_after_s = retry.retry_delay.seconds
    return fault


class GrpcGatewayProcess:
    """A running gRPC door."""

    def __init__(
        self, process: subprocess.Popen[bytes], client: GrpcClient, port: int, metrics_port: int, log_path: str
    ) -> None:
        self.process, self.client, self._log_path = process, client, log_path
        self.port, self.metrics_port = port, metrics_port

    def is_ready(self) -> bool:
        return self.client.health() == "SERVING"

    def log(self) -> str:
        with open(self._log_path) as file:  # noqa: PTH123
            return file.read()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)


@contextmanager
def grpc_gateway_process(
    model_server: str, models: str, credentials: grpc.ChannelCredentials | None = None, **settings: str
) -> Iterator[GrpcGatewayProcess]:
    """Start a gRPC door, wait until every model is on offer, stop it at the end."""
    port, metrics_port = free_port(), free_port()
    environ = {
        **os.environ,
        "ATELIER_MODELS": models,
        "ATELIER_MODEL_SERVER": model_server,
        "ATELIER_GRPC_PORT": str(port),
        "ATELIER_GRPC_METRICS_PORT": str(metrics_port),
        "ATELIER_POLL_INTERVAL_S": "0.2",
        "ATELIER_REQUEST_TIMEOUT_S": str(DEADLINE_S),  # a busy machine is not a reason to refuse
        **settings,
    }
    command = [sys.executable, "-m", "serving.gateway", "grpc"]
    with tempfile.NamedTemporaryFile(prefix="grpc-gateway-", suffix=".log") as log:
        process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        gateway = GrpcGatewayProcess(process, GrpcClient(port, credentials), port, metrics_port, log.name)
        try:
            wait_until(lambda: process.poll() is not None or gateway.is_ready(), gateway.log)
            yield gateway
        finally:
            gateway.client.channel.close()
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(DEADLINE_S)
