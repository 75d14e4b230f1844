"""grpc.health.v1.Health: serving from the start, as TensorFlow Serving is. Its two messages are written as wrappers.

HealthCheckRequest {1: service}; HealthCheckResponse {1: status, where 1 is SERVING and 3 SERVICE_UNKNOWN}.
"""

import threading
from collections.abc import Collection, Iterator

import grpc
from google.protobuf import wrappers_pb2

_SERVING, _SERVICE_UNKNOWN = 1, 3


def health_handler(services: Collection[str]) -> grpc.GenericRpcHandler:
    """Answers for these services; others are not known."""

    def check(request: wrappers_pb2.StringValue, context: grpc.ServicerContext) -> wrappers_pb2.Int32Value:
        if request.value not in services:
            context.abort(grpc.StatusCode.NOT_FOUND, "service name unknown")
        return wrappers_pb2.Int32Value(value=_SERVING)

    def watch(request: wrappers_pb2.StringValue, context: grpc.ServicerContext) -> Iterator[wrappers_pb2.Int32Value]:
        yield wrappers_pb2.Int32Value(value=_SERVING if request.value in services else _SERVICE_UNKNOWN)
        is_over = threading.Event()
        if context.add_callback(is_over.set):
            is_over.wait()  # nothing changes while the server runs

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
