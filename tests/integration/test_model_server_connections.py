"""Many clients that ask for nothing: they keep nobody else from being answered."""

import contextlib
import http.client
from pathlib import Path

from google.protobuf import wrappers_pb2

from tests.model_server_in_process import Start, answer, half_server, put

PATIENCE_S = 10.0  # nobody is that slow to answer


def test_a_hundred_idle_connections_are_no_limit(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    put(versions[2], tmp_path / "half")
    server = half_server(start, tmp_path / "half")
    with contextlib.ExitStack() as connections:
        for _ in range(150):
            idle = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=PATIENCE_S)
            connections.callback(idle.close)
            idle.request("GET", "/v1/models/half")
            with idle.getresponse() as reply:
                assert (reply.status, len(reply.read()) > 0) == (200, True)


def test_who_watches_the_health_holds_no_thread(start: Start, tmp_path: Path, versions: dict[int, Path]) -> None:
    put(versions[2], tmp_path / "half")
    server = half_server(start, tmp_path / "half", "--enable_grpc_healthcheck_service", "--grpc_max_threads=2")
    check = server.client.channel.unary_unary("/grpc.health.v1.Health/Check", None, wrappers_pb2.Int32Value.FromString)
    watch = server.client.channel.unary_stream("/grpc.health.v1.Health/Watch", None, wrappers_pb2.Int32Value.FromString)
    watchers = [watch(b"") for _ in range(8)]
    assert [next(watcher).value for watcher in watchers] == [1] * 8
    assert check(b"", timeout=PATIENCE_S).value == 1
    assert answer(server) == (2, 3.0)
    assert all(watcher.is_active() for watcher in watchers)
    for watcher in watchers:
        watcher.cancel()
