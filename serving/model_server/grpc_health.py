"""grpc.health.v1.Health: serving from the start, as TensorFlow Serving is. Its two messages are written as wrappers.

HealthCheckRequest {1: service}; HealthCheckResponse {1: status, where 1 is SERVING and 3 SERVICE_UNKNOWN}.
"""

from collections.abc import Callable, Collection

import grpc
from google.protobuf import wrappers_pb2

_SERVING, _SERVICE_UNKNOWN = 1, 3


def health_handler(services: Collection[str]) -> grpc.GenericRpcHandler:
    """Answers for these services; others are not known."""

    def check(request: wrappers_pb2.StringValue, context: grpc.ServicerContext) -> wrappers_pb2.Int32Value:
        if request.value not in services:
            context.abort(grpc.StatusCode.NOT_FOUND, "service name unknown")
        return wrappers_pb2.Int32Value(value=_SERVING)

    def watch(
        request: wrappers_pb2.StringValue,
        _: grpc.ServicerContext,
        send_response_callback: Callable[[wrappers_pb2.Int32Value], None],
    ) -> None:
        """Say it once: nothing changes while the server runs. The stream stays open, and holds no thread."""
        status = _SERVING if request.value in services else _SERVICE_UNKNOWN
        send_response_callback(wrappers_pb2.Int32Value(value=status))

    watch.experimental_non_blocking = True  # type: ignore[attr-defined] # as grpc_health's own servicer does

    # A StringValue has its string as field 1, an Int32Value its number: the bytes of health.proto's messages.
    codecs = {
        "request_deserializer": wrappers_pb2.StringValue.FromString,
        "response_serializer": wrappers_pb2.Int32Value.SerializeToString,
    }
    return grpc.method_handlers_generic_handler(
        "grpc.health.v1.Health",
        {
            "Check": grpc.unary_unary_rpc_method_handler(check, **codecs),
            "Watch": grpc.unary_stream_rpc_method_handler(watch, **codecs),
        },
    )
