"""The profiler service, through TensorFlow's own client: sections 2.1 and 3.1 of the TensorFlow Serving reference."""

import threading
from pathlib import Path

import grpc
import pytest
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from serving.generated.atelier.profiler.v1 import profiler_pb2
from tests.model_server_process import ModelServerClient
from tests.tiny_models import predict_request


def test_tensorflows_client_gets_a_trace_of_what_is_served(server: ModelServerClient, tmp_path: Path) -> None:
    done = threading.Event()

    def predict_until_done() -> None:
        while not done.wait(0.01):
            server.prediction.Predict(predict_request("row_times_two", x=[[1.0, 2.0]]))

    caller = threading.Thread(target=predict_until_done)
    caller.start()
    try:
        tf.profiler.experimental.client.trace(f"grpc://{server.grpc_address}", str(tmp_path), 500)
    finally:
        done.set()
        caller.join()
    (file,) = tmp_path.rglob("*.xplane.pb")
    space = xplane_pb2.XSpace.FromString(file.read_bytes())
    names = {plane.event_metadata[key].name for plane in space.planes for key in plane.event_metadata}
    assert any("MatMul" in name for name in names), names


def test_a_trace_can_be_ended_early(server: ModelServerClient) -> None:
    profile = server.channel.unary_unary("/tensorflow.ProfilerService/Profile")
    terminate = server.channel.unary_unary("/tensorflow.ProfilerService/Terminate")
    request = profiler_pb2.ProfileRequest(duration_ms=600_000, session_id="long", emit_xspace=True)
    running = profile.future(request.SerializeToString())
    while not running.done():
        terminate(profiler_pb2.TerminateRequest(session_id="long").SerializeToString())
    assert running.code() is grpc.StatusCode.OK


def test_monitoring_is_for_tpus(server: ModelServerClient) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        server.channel.unary_unary("/tensorflow.ProfilerService/Monitor")(b"")
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNIMPLEMENTED, "unimplemented.")
