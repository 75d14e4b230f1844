"""The gRPC door's process: health, reflection, deadlines, limits, metrics, and how it starts and stops."""

import signal
import socket
import threading
import urllib.request
from contextlib import ExitStack

import grpc
import psutil
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from serving.contract import DEFAULT_SIGNATURE
from serving.errors import ModelServerFault, ModelServerUnreachable
from serving.generated.atelier.prediction.v1 import prediction_pb2 as wire
from tests.fakes import FakeModelServer, WireModelServer, full_house_contract, picture_contract
from tests.gateway_process import DEADLINE_S, wait_until
from tests.grpc_gateway import grpc_gateway_process

SERVICE = "atelier.prediction.v1.PredictionService"
HOUSE = wire.Instance(features=wire.Features(values={"rooms": 3, "age": 4}))
REGRESS = wire.RegressRequest(model="houses", instances=[HOUSE])
RIGHT = wire.Instance(image=wire.Image(pixels=bytes([0, 0, 255, 0, 0, 0])))
CLASSIFY = wire.ClassifyRequest(model="pictures", instances=[RIGHT])


@pytest.fixture
def fake():
    return FakeModelServer(picture_contract(), full_house_contract())


@pytest.fixture
def server(fake):
    running = WireModelServer(fake)
    yield running
    running.hold.set()
    running.stop()


@pytest.fixture
def gateway(server):
    with grpc_gateway_process(server.address, "pictures,houses", ATELIER_MAX_BODY_BYTES="4096") as running:
        yield running


def metrics(gateway):
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.metrics_port}/metrics") as reply:
        return reply.read().decode()


def test_answers_and_gives_the_request_id_back(gateway):
    call = gateway.client.start("Regress", REGRESS, request_id="find-me")

    [prediction] = call.result().predictions
    assert (prediction.value, prediction.interval.low, prediction.interval.high) == (7, 6, 9)
    assert dict(call.initial_metadata())["x-request-id"] == "find-me"
    fault = gateway.client.fault("Regress", wire.RegressRequest(model="cars"), request_id="find-me-too")
    assert (fault.code, fault.request_id) == (grpc.StatusCode.NOT_FOUND, "find-me-too")


def test_health_follows_what_is_on_offer(fake, gateway):
    health = gateway.client.health
    assert [health(name) for name in ("", SERVICE, "pictures", "houses")] == ["SERVING"] * 4
    assert health("cars") == "NOT_FOUND"

    del fake.contracts["houses", 1]
    wait_until(lambda: health("houses") == "NOT_SERVING", gateway.log)
    assert [health(name) for name in ("", SERVICE, "pictures")] == ["NOT_SERVING", "NOT_SERVING", "SERVING"]

    fake.contracts["houses", 2] = full_house_contract()
    wait_until(lambda: health() == "SERVING", gateway.log)
    assert gateway.client.call("Regress", REGRESS).model.version == 2


def test_watchers_of_the_health_take_no_threads_away_from_callers(fake, server):
    with grpc_gateway_process(server.address, "houses", ATELIER_THREADS="2") as gateway:
        watch = gateway.client.channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        watchers = [watch(health_pb2.HealthCheckRequest(service="houses"), timeout=DEADLINE_S) for _ in range(5)]
        assert [next(watcher).status for watcher in watchers] == [health_pb2.HealthCheckResponse.SERVING] * 5

        assert gateway.client.call("Regress", REGRESS).predictions[0].value == 7

        fake.states["houses", 1] = "UNLOADING"
        assert [next(watcher).status for watcher in watchers] == [health_pb2.HealthCheckResponse.NOT_SERVING] * 5
        for watcher in watchers:
            watcher.cancel()


def test_tells_its_services_and_messages_to_who_asks(gateway):
    database = ProtoReflectionDescriptorDatabase(gateway.client.channel)

    assert {SERVICE, "grpc.health.v1.Health"} <= set(database.get_services())
    service = DescriptorPool(database).FindServiceByName(SERVICE)
    assert [method.name for method in service.methods] == ["Classify", "Regress", "ListModels", "GetModel"]


def test_a_message_over_the_limit_is_refused(gateway):
    fault = gateway.client.fault("Regress", wire.RegressRequest(model="houses" * 1000))

    assert fault.code is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_metadata_over_the_limit_is_refused_and_the_next_call_answered(gateway):
    fault = gateway.client.fault("Regress", REGRESS, metadata=[("x-large", "x" * 40_000)])

    assert fault.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert gateway.client.call("Regress", REGRESS).predictions


def test_more_silent_connections_than_threads_keep_no_caller_waiting(server):
    with grpc_gateway_process(server.address, "houses", ATELIER_THREADS="2") as gateway, ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port))) for _ in range(20)]
        for client in silent[::2]:
            client.sendall(b"PRI * HTTP/2.0")  # the beginning of HTTP/2's own

        assert gateway.client.call("Regress", REGRESS).predictions


def test_more_calls_without_a_message_than_threads_keep_no_caller_waiting(server):
    def nothing_yet():
        come.wait(DEADLINE_S)
        yield REGRESS

    with grpc_gateway_process(server.address, "houses", ATELIER_THREADS="2") as gateway:
        come = threading.Event()
        start = gateway.client.channel.stream_unary(
            f"/{SERVICE}/Regress",
            request_serializer=wire.RegressRequest.SerializeToString,
            response_deserializer=wire.RegressResponse.FromString,
        ).future
        slow = [start(nothing_yet(), timeout=DEADLINE_S) for _ in range(60)]

        assert gateway.client.call("Regress", REGRESS).predictions
        assert not any(call.done() for call in slow)
        come.set()
        for call in slow:
            call.exception()


def test_calls_that_wait_for_the_one_before_hold_no_thread_and_then_go_together(server):
    with grpc_gateway_process(server.address, "houses", ATELIER_THREADS="64") as gateway:
        gateway.client.call("Regress", REGRESS)
        process = psutil.Process(gateway.process.pid)
        before, asked = process.num_threads(), len(server.metadata)
        server.hold.clear()
        calls = [gateway.client.start("Regress", REGRESS) for _ in range(41)]
        wait_until(lambda: "atelier_requests_in_flight 41.0" in metrics(gateway), gateway.log)

        assert process.num_threads() <= before + 8
        server.hold.set()
        assert [call.result().predictions[0].value for call in calls] == [7] * 41
        assert len(server.metadata) < asked + 41


def test_a_model_that_takes_its_time_holds_nobody_up_but_its_own_callers(fake, gateway, monkeypatch):
    may_answer, predict = threading.Event(), fake.predict

    def slow_houses(model, *arguments):
        if model == "houses" and "contract" not in arguments:
            may_answer.wait(DEADLINE_S)
        return predict(model, *arguments)

    monkeypatch.setattr(fake, "predict", slow_houses)
    houses = [gateway.client.start("Regress", REGRESS) for _ in range(3)]
    wait_until(lambda: "atelier_requests_in_flight 3.0" in metrics(gateway), gateway.log)

    for _ in range(3):
        assert gateway.client.call("Classify", CLASSIFY).predictions[0].class_name == "right"
    assert gateway.client.fault("Regress", wire.RegressRequest(model="houses")).reason == "INVALID_INPUT"
    assert gateway.client.call("ListModels", wire.ListModelsRequest()).models
    assert gateway.client.health() == "SERVING"
    assert not any(call.done() for call in houses)

    may_answer.set()
    assert [call.result().predictions[0].value for call in houses] == [7] * 3


def test_a_prediction_that_is_lost_on_its_way_is_asked_again_and_no_client_sees_it(fake, gateway, monkeypatch):
    lost, predict = [ModelServerUnreachable("going away")], fake.predict

    def lose_one(model, version, inputs, timeout_s, signature):
        if lost and signature == DEFAULT_SIGNATURE:
            raise lost.pop()
        return predict(model, version, inputs, timeout_s, signature)

    monkeypatch.setattr(fake, "predict", lose_one)

    assert gateway.client.call("Regress", REGRESS).predictions[0].value == 7
    assert not lost
    assert 'atelier_model_server_calls_total{code="UNAVAILABLE",method="Predict"} 1.0' in metrics(gateway)


def test_a_clients_deadline_goes_down_to_the_model_server(server, gateway):
    server.hold.clear()

    fault = gateway.client.fault("Regress", REGRESS, timeout_s=0.5)

    assert fault.code is grpc.StatusCode.DEADLINE_EXCEEDED
    late = 'atelier_model_server_calls_total{code="DEADLINE_EXCEEDED",method="Predict"} 1.0'
    wait_until(lambda: late in metrics(gateway), lambda: metrics(gateway))


def test_without_a_deadline_the_settings_one_holds(server):
    with grpc_gateway_process(server.address, "houses", ATELIER_REQUEST_TIMEOUT_S="0.3") as gateway:
        server.hold.clear()

        fault = gateway.client.fault("Regress", REGRESS)

        assert (fault.code, fault.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")


def test_a_model_server_that_goes_and_comes_back_is_told_and_found(fake, server, gateway):
    server.stop()
    fault = gateway.client.fault("Regress", REGRESS)
    assert (fault.code, fault.reason) == (grpc.StatusCode.UNAVAILABLE, "MODEL_SERVER_UNREACHABLE")
    assert fault.retry_after_s == 1
    wait_until(lambda: gateway.client.health() == "NOT_SERVING", gateway.log)

    again = WireModelServer(fake, server.port)
    wait_until(gateway.is_ready, gateway.log)
    assert gateway.client.call("Regress", REGRESS).predictions
    again.stop()


def test_counts_what_it_answers(gateway):
    gateway.client.call("Regress", REGRESS)
    gateway.client.call("ListModels", wire.ListModelsRequest())
    gateway.client.fault("Regress", wire.RegressRequest(model="houses"))
    gateway.client.fault("Classify", wire.ClassifyRequest(model="made-up"))

    text = metrics(gateway)

    for model, version, verb, code in [
        ("houses", "1", "regress", "OK"),
        ("", "", "list", "OK"),
        ("houses", "", "regress", "INVALID_ARGUMENT"),
        ("unknown", "", "classify", "NOT_FOUND"),
    ]:
        labels = f'{{code="{code}",model="{model}",verb="{verb}",version="{version}"}}'
        assert f"atelier_requests_total{labels} 1.0" in text
    assert "atelier_requests_in_flight 0.0" in text
    assert 'atelier_offered_version{model="houses"} 1.0' in text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_what_is_in_flight_then_ends_well(server, gateway, number):
    server.hold.clear()
    in_flight = gateway.client.start("Regress", REGRESS)
    wait_until(lambda: "atelier_requests_in_flight 1.0" in metrics(gateway), gateway.log)

    gateway.process.send_signal(number)
    wait_until(lambda: refuses_connections(gateway.port), gateway.log)
    server.hold.set()

    assert in_flight.result(DEADLINE_S).predictions[0].value == 7
    assert gateway.process.wait(DEADLINE_S) == 0
    assert "Traceback" not in gateway.log()


def refuses_connections(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("variable", ["ATELIER_GRPC_PORT", "ATELIER_GRPC_METRICS_PORT"])
def test_a_port_that_is_taken_stops_the_start_in_one_line(server, variable):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = {variable: str(taken.getsockname()[1])}
        with grpc_gateway_process(server.address, "houses", **settings) as gateway:
            assert gateway.process.wait(DEADLINE_S) == 1

            last = gateway.log().splitlines()[-1]
            assert last.startswith("python -m serving.gateway: cannot listen on 127.0.0.1 port ")
            assert variable in last
            assert "Traceback" not in gateway.log()


def test_an_access_log_line_a_call_only_when_asked(server):
    with grpc_gateway_process(server.address, "houses", ATELIER_ACCESS_LOG="true") as gateway:
        gateway.client.call("Regress", REGRESS, request_id="find-me")

        wait_until(lambda: "regress houses OK" in gateway.log() and "find-me" in gateway.log(), gateway.log)


def test_a_hidden_fault_is_in_the_log_under_the_request_id(fake, gateway):
    fake.broken_predictions = ModelServerFault("an inside")

    fault = gateway.client.fault("Regress", REGRESS, request_id="find-me")

    assert (fault.code, fault.reason) == (grpc.StatusCode.INTERNAL, "MODEL_SERVER_FAULT")
    assert "an inside" not in fault.message
    wait_until(lambda: "request find-me: " in gateway.log(), gateway.log)
