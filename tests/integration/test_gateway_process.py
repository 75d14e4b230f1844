"""The gateway's processes: what they load, how they start, stop, count, and outlive a worker."""

import http.client
import json
import platform
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

import serving
from tests.fakes import FakeModelServer, WireModelServer, house_contract, picture_contract
from tests.gateway_process import GATEWAY, GatewayProcess, gateway_process, wait_until

REGRESS = "/v1/models/houses:regress"
HOUSE = {"instances": [[3, 4]]}


@pytest.fixture
def server():
    running = WireModelServer(FakeModelServer(picture_contract(), house_contract()))
    yield running
    running.hold.set()
    running.stop()


@pytest.fixture
def gateway(server):
    with gateway_process(server.address, "pictures,houses", ATELIER_WORKERS="3") as running:
        wait_until(running.is_ready, running.log)
        yield running


def series(gateway: GatewayProcess) -> dict[tuple[str, ...], float]:
    """(name, label values in the order of the label names) -> value, from whichever worker answers."""
    reply = gateway.request("GET", "/metrics")
    assert reply.status == 200, gateway.log()
    families = text_string_to_metric_families(reply.body.decode())
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def answered(gateway: GatewayProcess) -> float:
    return series(gateway).get(("atelier_requests_total", "200", "houses", "regress", "1"), 0)


def test_more_than_one_worker_answers_by_default(server):
    with gateway_process(server.address, "houses") as gateway:
        wait_until(lambda: len(gateway.workers()) >= 2, gateway.log)


def test_no_process_of_the_gateway_ever_imports_tensorflow(server, tmp_path):
    """Each process, main and workers, writes down what it has imported when it ends."""
    spy = (
        "import atexit, json, os, pathlib, runpy, sys\n"
        f"file = lambda: pathlib.Path({str(tmp_path)!r}, f'{{os.getpid()}}.json')\n"
        "atexit.register(lambda: file().write_text(json.dumps(sorted(sys.modules))))\n"
        "sys.argv = ['gateway', 'http']\n"
        "runpy.run_module('serving.gateway', run_name='__main__')\n"
    )
    with gateway_process(server.address, "houses", command=("-c", spy), ATELIER_WORKERS="2") as gateway:
        wait_until(gateway.is_ready, gateway.log)
        for _ in range(20):
            assert gateway.request("POST", REGRESS, HOUSE).status == 200
        wait_until(lambda: len(gateway.workers()) == 2, gateway.log)
        gateway.stop()

    notes = [set(json.loads(note.read_text())) for note in tmp_path.iterdir()]
    assert len(notes) == 3
    assert all("serving.gateway.http_api" in modules for modules in notes)
    assert [
        name
        for modules in notes
        for name in modules
        if name.partition(".")[0] in {"tensorflow", "tensorflow_serving", "keras", "training"}
        or name.startswith("serving.model_server")
    ] == []


def test_sigterm_finishes_what_is_in_flight_then_ends_well(server, gateway):
    server.hold.clear()
    with ThreadPoolExecutor() as pool:
        in_flight = pool.submit(gateway.request, "POST", REGRESS, HOUSE)
        wait_until(lambda: series(gateway).get(("atelier_requests_in_flight",), 0) >= 2, gateway.log)
        gateway.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses_connections(gateway.port), gateway.log)
        server.hold.set()

        assert in_flight.result().status == 200
    assert gateway.process.wait(60) == 0
    assert "Traceback" not in gateway.log()


@pytest.mark.parametrize("_attempt", range(3))
def test_sigterm_while_the_workers_still_start_ends_well_too(server, _attempt):
    with gateway_process(server.address, "houses", ATELIER_WORKERS="3") as gateway:
        assert gateway.stop() == 0

        assert "Traceback" not in gateway.log()


def test_a_stop_signal_that_comes_right_after_the_fork_ends_the_worker(server):
    command = ("-m", "tests.signalled_gateway", "http")
    with gateway_process(server.address, "houses", command, ATELIER_WORKERS="1") as gateway:
        wait_until(lambda: gateway.log().count("Booting worker") >= 3, gateway.log)  # each in the place of the last


def test_neither_a_client_nor_the_environment_moves_the_paths(server):
    settings = {"SCRIPT_NAME": "/moved", "FORWARDED_ALLOW_IPS": "*", "ATELIER_WORKERS": "1"}
    with gateway_process(server.address, "houses", **settings) as gateway:
        assert gateway.request("GET", "/livez").status == 200
        assert gateway.request("GET", "/moved/livez").status == 404
        for headers in ({"SCRIPT_NAME": "/x"}, {"PATH_INFO": "/x"}, {"X-Forwarded-Proto": "https"}):
            assert gateway.request("GET", "/livez", headers=headers).status == 200
        two_schemes = {"X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "off"}
        assert gateway.request("GET", "/livez", headers=two_schemes).status == 200


def test_a_failure_before_any_application_is_in_the_log_by_its_id(server):
    command = ("-m", "tests.broken_gateway", "http")
    with gateway_process(server.address, "houses", command, ATELIER_WORKERS="1") as gateway:
        reply = gateway.request("GET", "/livez")

        assert (reply.status, reply.json["type"]) == (500, "urn:atelier:problem:internal-error")
        wait_until(lambda: f"request {reply.json['request_id']} failed" in gateway.log(), gateway.log)


def refuses_connections(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_leaves_nothing_behind(server):
    with gateway_process(server.address, "houses") as gateway:
        wait_until(gateway.is_ready, gateway.log)
        processes = [psutil.Process(gateway.process.pid), *gateway.workers()]
        environ = Path(f"/proc/{processes[1].pid}/maps").read_text()
        folders = {Path(word).parent for word in environ.split() if "atelier-metrics-" in word}
        assert len(folders) == 1
        assert gateway.stop() == 0

    assert not any(process.is_running() for process in processes)
    assert not any(folder.exists() for folder in folders)


def test_all_workers_count_together_and_a_dead_ones_counts_stay(gateway):
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: gateway.request("POST", REGRESS, HOUSE), range(60)))
    assert {reply.status for reply in replies} == {200}
    for _ in range(10):  # whichever worker answers
        assert answered(gateway) == 60

    killed, ended = gateway.workers()[:2]
    killed.send_signal(signal.SIGKILL)
    ended.send_signal(signal.SIGTERM)
    wait_until(lambda: not killed.is_running() and not ended.is_running(), gateway.log)
    wait_until(lambda: len(gateway.workers()) == 3 and gateway.is_ready(), gateway.log)

    for _ in range(10):
        assert answered(gateway) == 60
    assert gateway.request("POST", REGRESS, HOUSE).status == 200
    assert answered(gateway) == 61
    assert series(gateway)["atelier_request_duration_seconds_count", "houses", "regress"] == 61
    assert series(gateway)["atelier_request_instances_sum", "houses"] == 61


def test_the_requests_in_flight_of_a_dead_worker_are_forgotten(server, gateway):
    server.hold.clear()
    threads = [threading.Thread(target=request_ignoring_resets, args=(gateway,)) for _ in range(12)]
    for thread in threads:
        thread.start()
    wait_until(lambda: series(gateway)["atelier_requests_in_flight",] >= 13, gateway.log)

    for worker in gateway.workers():
        worker.send_signal(signal.SIGKILL)
    server.hold.set()
    for thread in threads:
        thread.join()
    wait_until(lambda: len(gateway.workers()) == 3 and gateway.is_ready(), gateway.log)

    wait_until(lambda: series(gateway)["atelier_requests_in_flight",] == 1, gateway.log)  # this one


def request_ignoring_resets(gateway: GatewayProcess) -> None:
    with suppress(OSError, http.client.HTTPException):
        gateway.request("POST", REGRESS, HOUSE)


def test_tells_what_it_is_and_offers(gateway):
    seen = series(gateway)

    assert seen["atelier_build_info", platform.python_version(), serving.__version__] == 1
    assert seen["atelier_offered_version", "houses"] == 1
    assert any(name == "atelier_model_server_calls_total" for name, *_ in seen)


@pytest.mark.parametrize("asked", [False, True])
def test_writes_a_line_a_request_only_when_asked_and_always_one(server, asked):
    with gateway_process(server.address, "houses", ATELIER_ACCESS_LOG=str(asked)) as gateway:
        wait_until(gateway.is_ready, gateway.log)
        gateway.request("POST", REGRESS, HOUSE, {"X-Request-Id": "find-me"})
        gateway.request("GET", "/v1/forged%0aline", headers={"X-Request-Id": "find-me-too"})
        gateway.stop()

        lines = [line for line in gateway.log().splitlines() if "find-me" in line or line.startswith("line")]
        assert len(lines) == (2 if asked else 0)
        assert not asked or f"POST {REGRESS} 200" in lines[0]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ATELIER_HTTP_PORT": "TAKEN"}, "ATELIER_HTTP_PORT"),
        ({"ATELIER_HTTP_PORT": "http"}, "ATELIER_HTTP_PORT: expected a whole number, got 'http'"),
        ({"ATELIER_HTTP_HOST": "203.0.113.1"}, "ATELIER_HTTP_HOST"),
        ({"ATELIER_MODLES": "x"}, "ATELIER_MODLES: no such setting; did you mean ATELIER_MODELS?"),
    ],
)
def test_a_wrong_setting_stops_the_start_in_one_line(settings, words):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        settings = {name: port if value == "TAKEN" else value for name, value in settings.items()}
        with gateway_process("127.0.0.1:1", "houses", **settings) as gateway:
            assert gateway.process.wait(60) == 1

            [line] = gateway.log().splitlines()
            assert line.startswith("python -m serving.gateway: ")
            assert words in line


def test_help_explains_and_needs_no_settings(server):
    with gateway_process(server.address, "houses", command=(*GATEWAY, "--help")) as gateway:
        assert gateway.process.wait(60) == 0
        assert "ATELIER_MODELS is required" in gateway.log()
