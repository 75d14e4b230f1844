"""`python -m serving` under the events that it is there for: a new version, a dead part, a signal."""

import http.client
import signal
import threading
from collections import defaultdict
from pathlib import Path

import psutil
import pytest

from serving.client import Client, ProblemError, Tls
from tests.certificates import Authority
from tests.e2e.local_stack import LocalStack, wait_until
from tests.trained_store import train

CALLERS = 8


class Load:
    """Callers that ask for one house over and over; keeps every failure, and every value seen by version."""

    def __init__(self, url: str, instance: object) -> None:
        self.url, self.instance = url, instance
        self.values: dict[str, set[float]] = defaultdict(set)
        self.latest = ""
        self.calls = 0
        self.failures: list[BaseException] = []
        self._over = threading.Event()
        self._callers = [threading.Thread(target=self._ask) for _ in range(CALLERS)]

    def __enter__(self) -> "Load":
        for caller in self._callers:
            caller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for caller in self._callers:
            caller.join()

    def _ask(self) -> None:
        with Client(self.url) as client:
            while not self._over.is_set():
                try:
                    answer = client.predict("housing", [self.instance])
                except (ProblemError, OSError, http.client.HTTPException) as failure:
                    self.failures.append(failure)
                    continue
                self.calls += 1
                self.latest = answer.version
                self.values[answer.version].add(answer.predictions[0]["value"])


def test_a_new_version_and_its_removal_under_load_cost_no_request(stack: LocalStack, store: Path) -> None:
    with stack.client() as client:
        golden = client.contract("housing").goldens[0]
    with Load(stack.url, golden.instance) as load:
        train(store, "housing", "--preset", "quick", "--seed", "2")
        wait_until(lambda: load.latest == "2")
        (store / "housing" / "2").rename(store / "housing" / ".removed")
        wait_until(lambda: load.latest == "1")
        seen = load.calls
        wait_until(lambda: load.calls > seen + 500)

    assert load.failures == []
    assert sorted(load.values) == ["1", "2"]
    # Up to how many others a call went together with: a matrix product of more rows rounds its last digit otherwise.
    for values in load.values.values():
        assert max(values) - min(values) < 1e-5, "a version gave two answers to one question"
    assert min(abs(one - other) for one in load.values["1"] for other in load.values["2"]) > 1e-3
    assert load.values["1"].pop() == pytest.approx(golden.answer["value"][0], abs=1e-4)


def test_without_its_model_server_the_gateway_says_so_and_comes_back_by_itself(stack: LocalStack) -> None:
    with stack.client() as client:
        house = client.contract("housing").goldens[0].instance
        stack.model_server().kill()
        with pytest.raises(ProblemError) as refused:
            client.predict("housing", [house])
        assert refused.value.status == 503
        assert refused.value.problem["title"]
        # Each worker looks once a second, at each model for itself; a model that is not on offer says why.
        wait_until(lambda: _reasons(client) == 2 and not client.readiness()[0])
        assert _status(stack, "/livez") == 200
        stack.wait_for_output("the model server was ended by SIGKILL; starting it again")
        wait_until(lambda: client.readiness()[0])
        assert client.predict("housing", [house]).version == "1"


def test_a_killed_gateway_is_started_again(stack: LocalStack) -> None:
    gateway = next(child for child in stack.descendants() if "serving.gateway" in child.cmdline())
    gateway.kill()
    stack.wait_for_output("the HTTP gateway was ended by SIGKILL; starting it again")
    with stack.client() as client:
        wait_until(lambda: _answers(client))


def test_the_doors_speak_tls_where_a_certificate_is_set(store: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    door = authority.vouch("door", "DNS:localhost")
    stack = LocalStack(store, ATELIER_TLS_CERT_FILE=str(door.cert), ATELIER_TLS_KEY_FILE=str(door.key))
    try:
        stack.wait_for_output("up: https://127.0.0.1")
        for url in (f"https://localhost:{stack.http_port}", f"grpcs://localhost:{stack.grpc_port}"):
            with Client(url, tls=Tls(ca_file=str(authority.cert))) as client:
                golden = client.contract("housing").goldens[0].instance
                assert client.predict("housing", [golden]).version == "1"
    finally:
        assert stack.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_every_process_and_exits_0(store: Path, number: signal.Signals) -> None:
    stack = LocalStack(store)
    stack.wait_until_up()
    descendants = stack.descendants()
    assert len(descendants) >= 4, "expected a model server, a gateway and at least two workers"

    assert stack.stop(number) == 0

    assert [process for process in descendants if process.is_running()] == []


def test_a_signal_during_the_start_stops_it(store: Path) -> None:
    stack = LocalStack(store)
    stack.wait_for_output("serving fashion, housing")
    descendants = stack.descendants()
    assert stack.stop(signal.SIGTERM) == 0
    assert [process for process in descendants if process.is_running()] == []


@pytest.mark.skipif(not psutil.LINUX, reason="only Linux tells a child that its parent died")
def test_leaves_no_process_behind_even_when_killed(stack: LocalStack) -> None:
    descendants = stack.descendants()
    stack.process.kill()
    wait_until(lambda: not any(process.is_running() for process in descendants))


def test_a_port_in_use_stops_the_start_and_is_named(stack: LocalStack, store: Path) -> None:
    second = LocalStack(store, ATELIER_HTTP_PORT=str(stack.http_port))
    assert second.stop_by_itself() == 1
    assert f"port {stack.http_port} is in use on this machine; choose another with ATELIER_HTTP_PORT" in second.text()


def test_an_empty_store_says_how_to_fill_it(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path / "nothing")
    assert stack.stop_by_itself() == 1
    assert "python -m training" in stack.text()


def test_an_unknown_setting_stops_the_start_and_is_named(store: Path) -> None:
    stack = LocalStack(store, ATELIER_HTTP_PROT="8080")
    assert stack.stop_by_itself() == 1
    assert "ATELIER_HTTP_PROT" in stack.text()


def test_trains_nothing_when_the_store_has_every_model(store: Path) -> None:
    before = sorted(path for path in store.rglob("*"))
    output = train(store, "fashion", "housing", "--preset", "quick", "--if-missing")
    assert sorted(path for path in store.rglob("*")) == before
    assert "fashion" in output
    assert "housing" in output


def _status(stack: LocalStack, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", stack.http_port, timeout=10)
    connection.request("GET", path)
    status = connection.getresponse().status
    connection.close()
    return status


def _reasons(client: Client) -> int:
    """How many models say why they are not on offer."""
    return sum(bool(state["reason"]) for state in client.readiness()[1]["models"].values())


def _answers(client: Client) -> bool:
    try:
        return client.readiness()[0]
    except (OSError, http.client.HTTPException):
        return False
