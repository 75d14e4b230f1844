"""What an operator sees of each request: its spans at a collector, its line in the log."""

import json

import pytest

from serving.generated.atelier.prediction.v1 import prediction_pb2 as wire
from tests.fakes import FakeModelServer, WireModelServer, house_contract
from tests.gateway_process import GatewayProcess, gateway_process, wait_until
from tests.grpc_gateway import grpc_gateway_process
from tests.otlp_collector import Collector, collecting

REGRESS = "/v1/models/houses:regress"
HOUSE = {"instances": [[3, 4]]}
TRACE, CLIENT_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{CLIENT_SPAN}-01"
JSON_LOG = {"ATELIER_LOG_FORMAT": "json", "ATELIER_ACCESS_LOG": "true"}
SERVER, CALL, WAIT = f"POST {REGRESS}", "model server Predict", "wait for the model server's other calls"
ROUTE = "POST /v1/models/<model:model>:<any(classify, regress, predict):verb>"


@pytest.fixture
def server():
    running = WireModelServer(FakeModelServer(house_contract()))
    yield running
    running.stop()


@pytest.fixture
def collector():
    with collecting() as running:
        yield running


def exporting(collector: Collector) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100"}


def carried(server: WireModelServer, name: str = "traceparent") -> list[str]:
    """What predictions brought to the model server; those by which a worker verifies a version bring nothing."""
    return [metadata[name] for metadata in server.metadata if name in metadata]


def lines(gateway: GatewayProcess) -> list[dict[str, object]]:
    """The log, each line of which must be JSON."""
    return [json.loads(line) for line in gateway.log().splitlines()]


def test_a_clients_trace_goes_on_through_the_gateway_to_the_model_server(server, collector):
    with gateway_process(server.address, "houses", **exporting(collector), **JSON_LOG) as gateway:
        wait_until(gateway.is_ready, gateway.log)
        reply = gateway.request("POST", REGRESS, HOUSE, {"traceparent": TRACEPARENT, "X-Request-Id": "find-me"})
        wait_until(lambda: ROUTE in collector.trace(TRACE), gateway.log)
        gateway.stop()  # which sends the rest
        answered = next(line for line in lines(gateway) if line.get("request_id") == "find-me")

    spans = collector.trace(TRACE)
    request, wait, call = spans[ROUTE], spans[WAIT], spans[CALL]
    assert [(span.kind, span.parent_id) for span in (request, wait, call)] == [
        ("SERVER", CLIENT_SPAN),
        ("INTERNAL", request.span_id),
        ("CLIENT", request.span_id),
    ]
    assert not request.is_error
    assert request.service == "atelier-gateway"
    assert request.attributes.items() >= {
        ("http.response.status_code", 200),
        ("atelier.model", "houses"),
        ("atelier.version", "1"),
        ("atelier.request_id", "find-me"),
    }
    assert f"00-{TRACE}-{call.span_id}-01" in carried(server)
    assert reply.headers["traceresponse"] == f"00-{TRACE}-{request.span_id}-01"
    assert answered["trace_id"] == TRACE


def test_the_grpc_door_traces_alike_and_a_failure_is_one_in_the_trace(server, collector):
    house = wire.Instance(features=wire.Features(values={"rooms": 3, "age": 4}))
    with grpc_gateway_process(server.address, "houses", **exporting(collector)) as gateway:
        request = wire.RegressRequest(model="houses", instances=[house])
        gateway.client.call("Regress", request, metadata=[("traceparent", TRACEPARENT)])
        wait_until(lambda: "grpc regress" in collector.trace(TRACE), gateway.log)
        server.stop()
        gateway.client.fault("Regress", request, metadata=[("traceparent", TRACEPARENT.replace("4bf9", "5bf9"))])
        wait_until(lambda: "grpc regress" in collector.trace(TRACE.replace("4bf9", "5bf9")), gateway.log)

    span, call = collector.trace(TRACE)["grpc regress"], collector.trace(TRACE)[CALL]
    assert (span.kind, span.parent_id, call.parent_id) == ("SERVER", CLIENT_SPAN, span.span_id)
    assert (span.is_error, span.attributes["rpc.grpc.status_code"]) == (False, 0)
    assert f"00-{TRACE}-{call.span_id}-01" in carried(server)
    failed = collector.trace(TRACE.replace("4bf9", "5bf9"))["grpc regress"]
    assert (failed.is_error, failed.attributes["rpc.grpc.status_code"]) == (True, 14)


def test_without_a_collector_a_trace_is_passed_on_as_it_came(server):
    with gateway_process(server.address, "houses", **JSON_LOG) as gateway:
        wait_until(gateway.is_ready, gateway.log)
        headers = {"traceparent": TRACEPARENT, "tracestate": "vendor=1", "X-Request-Id": "find-me"}
        gateway.request("POST", REGRESS, HOUSE, headers)
        gateway.request("POST", REGRESS, HOUSE, {"traceparent": "00-nonsense"})
        gateway.stop()
        answered = next(line for line in lines(gateway) if line.get("request_id") == "find-me")

    assert carried(server) == [TRACEPARENT]
    assert carried(server, "tracestate") == ["vendor=1"]
    assert answered["trace_id"] == TRACE


def test_a_line_of_json_tells_all_but_what_was_sent(server):
    with gateway_process(server.address, "houses", **JSON_LOG) as gateway:
        wait_until(gateway.is_ready, gateway.log)
        body = json.dumps({"instances": [{"rooms": 31337, "age": 4}]}).encode()
        headers = {"X-Request-Id": "good", "Content-Type": "application/json"}
        good = gateway.request("POST", REGRESS, body, headers)
        gateway.request("POST", f"{REGRESS}?top_k=31337", {"instances": ["31337"]}, {"X-Request-Id": "bad"})
        gateway.stop()
        by_id = {line.get("request_id"): line for line in lines(gateway)}
        assert "31337" not in gateway.log()

    assert good.status == 200
    assert by_id["good"].items() >= {
        ("level", "info"),
        ("call", SERVER),
        ("verb", "regress"),
        ("code", "200"),
        ("model", "houses"),
        ("version", "1"),
        ("request_bytes", len(body)),
        ("response_bytes", len(good.body)),
        ("key", ""),
    }
    assert by_id["good"]["milliseconds"] > 0
    assert (by_id["bad"]["code"], by_id["bad"]["version"]) == ("400", "")


def test_the_grpc_door_logs_alike(server):
    house = wire.Instance(features=wire.Features(values={"rooms": 31337, "age": 4}))
    request = wire.RegressRequest(model="houses", instances=[house])
    with grpc_gateway_process(server.address, "houses", **JSON_LOG) as gateway:
        reply = gateway.client.call("Regress", request, request_id="find-me")
        gateway.terminate()
        gateway.process.wait(60)
        [answered] = [one for one in map(json.loads, gateway.log().splitlines()) if one.get("request_id") == "find-me"]

    assert (answered["call"], answered["code"], answered["version"]) == ("grpc regress houses", "OK", "1")
    assert (answered["request_bytes"], answered["response_bytes"]) == (request.ByteSize(), reply.ByteSize())
    assert "31337" not in json.dumps(answered)


def test_a_wish_for_traces_that_cannot_be_met_stops_the_start_in_one_line():
    without = (
        "import runpy, sys\n"
        "sys.modules['opentelemetry'] = None\n"
        "sys.argv = ['gateway', 'http']\n"
        "runpy.run_module('serving.gateway', run_name='__main__')\n"
    )
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    with gateway_process("127.0.0.1:1", "houses", command=("-c", without), **endpoint) as gateway:
        assert gateway.process.wait(60) == 1
        [line] = gateway.log().splitlines()
        assert "OTEL_EXPORTER_OTLP_ENDPOINT: exporting traces needs the extra `tracing`" in line
