"""tensorflow.ProfilerService: traces what TensorFlow does meanwhile, for TensorBoard and `tf.profiler`'s client.

After xla/tsl/profiler/rpc/profiler_service_impl.cc, on the profiler session that TensorFlow's Python binds. The
messages are our own: TensorFlow ships none for Python.
"""

import tempfile
import threading
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message
from tensorflow import errors
from tensorflow.python.profiler.internal import _pywrap_profiler
from tensorflow.tsl.profiler.protobuf import profiler_options_pb2, xplane_pb2

from serving.generated.atelier.profiler.v1 import profiler_pb2

_SERVICE = "tensorflow.ProfilerService"
_LEVELS = ("host_tracer_level", "device_tracer_level", "python_tracer_level")


def profiler_handler() -> grpc.GenericRpcHandler:
    """The service, to be added to a server."""
    service = _ProfilerService()
    return grpc.method_handlers_generic_handler(
        _SERVICE,
        {
            "Profile": _unary(service.profile, profiler_pb2.ProfileRequest),
            "Terminate": _unary(service.terminate, profiler_pb2.TerminateRequest),
            "Monitor": _unary(service.monitor, profiler_pb2.TerminateRequest),  # whatever it asks
        },
    )


def _unary(call: Any, request: type[Message]) -> grpc.RpcMethodHandler:
    return grpc.unary_unary_rpc_method_handler(call, request.FromString, lambda reply: reply.SerializeToString())


class _ProfilerService:
    """One trace at a time, as TensorFlow's profiler has it."""

    def __init__(self) -> None:
        self._ends: dict[str, threading.Event] = {}  # session id -> whether its trace should end

    def profile(
        self, request: profiler_pb2.ProfileRequest, context: grpc.ServicerContext
    ) -> profiler_pb2.ProfileResponse:
        """Trace for the time asked for, or until terminated; give the trace back, or leave it in the repository."""
        options = profiler_options_pb2.ProfileOptions.FromString(request.opts)
        end = self._ends.setdefault(request.session_id, threading.Event())
        context.add_callback(end.set)  # the client is gone
        try:
            space = _trace(options, (options.duration_ms or request.duration_ms) / 1000, end)
        except errors.OpError as error:  # another trace runs
            context.abort(grpc.StatusCode.INTERNAL, error.message or "Another profiler is running.")
        finally:
            self._ends.pop(request.session_id, None)
        return _reply(request, options.override_hostname or request.host_name, space)

    def terminate(
        self, request: profiler_pb2.TerminateRequest, _: grpc.ServicerContext
    ) -> profiler_pb2.TerminateResponse:
        """End a trace early; one that does not run needs no end."""
        if end := self._ends.get(request.session_id):
            end.set()
        return profiler_pb2.TerminateResponse()

    def monitor(self, _: Message, context: grpc.ServicerContext) -> Message:
        """For TPUs only; the original answers so too."""
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "unimplemented.")
        raise AssertionError("abort returned")


def _trace(options: profiler_options_pb2.ProfileOptions, seconds: float, end: threading.Event) -> bytes:
    """The XSpace of what happens from now on, for so long.

    Raises:
        OpError: TensorFlow's profiler is in use.
    """
    with tempfile.TemporaryDirectory() as directory:
        session = _pywrap_profiler.ProfilerSession()
        session.start(directory, {level: getattr(options, level) for level in _LEVELS})
        end.wait(seconds)
        session.export_to_tb()  # the one door to the XSpace: `stop` gives another format
        return b"".join(file.read_bytes() for file in Path(directory).rglob("*.xplane.pb"))


def _reply(request: profiler_pb2.ProfileRequest, host: str, space: bytes) -> profiler_pb2.ProfileResponse:
    """The trace itself if the client asked for it; else it is saved where `save_profile.cc` would."""
    planes = xplane_pb2.XSpace.FromString(space).planes
    reply = profiler_pb2.ProfileResponse(empty_trace=not any(line.events for plane in planes for line in plane.lines))
    if request.emit_xspace:
        reply.xspace = space
        return reply
    file = Path(request.repository_root) / request.session_id / f"{host.replace(':', '_')}.xplane.pb"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(space)
    return reply
