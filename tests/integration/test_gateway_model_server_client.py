"""The gRPC client against a real port."""

from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import grpc
import numpy as np
import pytest

from serving.contract import DEFAULT_SIGNATURE
from serving.errors import DeadlineExceeded, ModelServerFault, ModelServerUnreachable
from serving.gateway.model_server import UnknownLabel, VersionGone
from serving.gateway.model_server_client import PREDICT, GrpcModelServer
from tests.fakes import FakeModelServer, WireModelServer, house_contract, picture_contract, with_raw_signature
from tests.gateway_process import DEADLINE_S, wait_until
from tests.ports import free_port

HOUSE = {"features": np.array([[3, 4]], np.float32)}


@pytest.fixture
def fake():
    return FakeModelServer(house_contract())


@pytest.fixture
def server(fake):
    running = WireModelServer(fake)
    yield running
    running.hold.set()
    running.stop()


@pytest.fixture
def observed():
    return []


@pytest.fixture
def client(server, observed):
    connected = GrpcModelServer(server.address, lambda *call: observed.append(call))
    yield connected
    connected.close()


def started(client, model, version, inputs, timeout_s, signature=DEFAULT_SIGNATURE):
    """As `predict`, by `start_predict`."""
    outcomes = SimpleQueue()
    client.start_predict(model, version, [inputs], timeout_s, outcomes.put, signature=signature)
    outcome = outcomes.get(timeout=DEADLINE_S)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


BOTH_WAYS = pytest.mark.parametrize("predict", [GrpcModelServer.predict, started])


@BOTH_WAYS
def test_predicts_with_exactly_the_version_asked_for(client, fake, predict):
    np.testing.assert_array_equal([[7]], predict(client, "houses", 1, HOUSE, 10)["value"])
    assert fake.calls == [("houses", 1, "serving_default")]


@BOTH_WAYS
def test_bytes_reach_the_signature_that_takes_them(client, fake, predict):
    fake.contracts["pictures", 1] = with_raw_signature(picture_contract(), "bytes")
    pixels = {"pixels": np.array([[[0, 9, 0], [0, 0, 255]]], np.uint8)}

    answer = predict(client, "pictures", 1, pixels, 10, "bytes")

    assert answer["probabilities"].argmax() == 2
    assert fake.calls == [("pictures", 1, "bytes")]


def lost(fake, monkeypatch, times):
    """The next predictions are lost on their way."""
    real, left = fake.predict, [ModelServerUnreachable("away")] * times

    def predict(*arguments):
        if left:
            raise left.pop()
        return real(*arguments)

    monkeypatch.setattr(fake, "predict", predict)


def test_a_lost_prediction_is_asked_again_and_counted(server, fake, monkeypatch, observed):
    retried = []
    client = GrpcModelServer(server.address, lambda *call: observed.append(call[:2]), observe_retry=retried.append)
    lost(fake, monkeypatch, 2)

    np.testing.assert_array_equal([[7]], client.predict("houses", 1, HOUSE, 10)["value"])

    assert observed == [("Predict", "UNAVAILABLE"), ("Predict", "UNAVAILABLE"), ("Predict", "OK")]
    assert retried == ["Predict", "Predict"]
    client.close()


def test_a_prediction_lost_three_times_is_given_up(client, fake, monkeypatch, observed):
    lost(fake, monkeypatch, 3)

    with pytest.raises(ModelServerUnreachable):
        client.predict("houses", 1, HOUSE, 10)
    assert [code for _, code, _ in observed] == ["UNAVAILABLE"] * 3


def test_fetches_the_contract_as_bytes(client):
    outputs = client.predict("houses", 1, {"probe": np.zeros(2, np.int32)}, 10, "contract")

    assert outputs["contract"].shape == (2,)
    assert outputs["contract"][0].startswith(b'{"contract_version":1')


def test_tells_which_version_bears_a_label(client, fake):
    fake.contracts["houses", 2] = house_contract()
    fake.labels |= {("houses", "stable"): 2, ("houses", "gone"): 7}

    assert client.labelled("houses", "stable", 10) == 2
    with pytest.raises(UnknownLabel):
        client.labelled("houses", "canary", 10)
    with pytest.raises(VersionGone):
        client.labelled("houses", "gone", 10)


def test_lists_versions_newest_first_and_none_of_an_unknown_model(client, fake):
    fake.contracts["houses", 2] = house_contract()
    fake.states["houses", 2] = "LOADING"

    assert [(status.version, status.state) for status in client.versions("houses", 10)] == [
        (2, "LOADING"),
        (1, "AVAILABLE"),
    ]
    assert client.versions("cars", 10) == ()


@BOTH_WAYS
def test_a_version_that_is_not_there_is_gone(client, predict):
    with pytest.raises(VersionGone, match=r"Specific\(houses, 7\)"):
        predict(client, "houses", 7, HOUSE, 10)


@BOTH_WAYS
@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (ModelServerUnreachable("ipv4:10.0.0.7:8500"), "or takes no work now (UNAVAILABLE)"),
        (ModelServerFault("op 7 failed"), "INTERNAL: op 7 failed"),
    ],
)
def test_grpc_codes_become_our_words(client, fake, raised, words, predict):
    fake.broken = raised

    with pytest.raises(type(raised)) as caught:
        predict(client, "houses", 1, HOUSE, 10)

    assert words in str(caught.value)
    assert "10.0.0.7" not in str(caught.value)


@BOTH_WAYS
def test_a_call_ends_at_its_deadline(client, server, predict):
    client.versions("houses", 10)
    server.hold.clear()

    with pytest.raises(DeadlineExceeded):
        predict(client, "houses", 1, HOUSE, 0.1)


def test_a_closed_port_is_unreachable_at_once():
    client = GrpcModelServer(f"127.0.0.1:{free_port()}", lambda *_: None)

    with pytest.raises(ModelServerUnreachable, match="UNAVAILABLE"):
        client.versions("houses", 60)
    client.close()


@BOTH_WAYS
def test_every_call_is_observed_with_its_code(client, fake, observed, predict):
    client.versions("houses", 10)
    fake.broken = ModelServerFault("op failed")
    with pytest.raises(ModelServerFault):
        predict(client, "houses", 1, HOUSE, 10)

    assert [(method, code) for method, code, _ in observed] == [("GetModelStatus", "OK"), ("Predict", "INTERNAL")]
    assert all(seconds > 0 for _, _, seconds in observed)


def test_counts_lost_connections_and_finds_the_server_again(client, server, fake):
    client.versions("houses", 10)
    wait_until(lambda: client._was_ready)
    server.stop()
    wait_until(lambda: client.losses == 1)

    again = WireModelServer(fake, server.port)
    wait_until(lambda: is_found(client))
    again.stop()


def is_found(client: GrpcModelServer) -> bool:
    try:
        return bool(client.versions("houses", 10))
    except ModelServerUnreachable:
        return False


@BOTH_WAYS
def test_a_reply_that_is_no_tensor_is_the_servers_fault(client, fake, predict):
    fake.predict = lambda *_: {"value": Unreadable(1)}

    with pytest.raises(ModelServerFault):
        predict(client, "houses", 1, HOUSE, 10)


@BOTH_WAYS
def test_a_reply_that_is_no_message_is_the_servers_fault(predict):
    server = grpc.server(ThreadPoolExecutor(1))
    handler = grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"\xff nonsense")
    service, method = PREDICT.strip("/").split("/")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    client = GrpcModelServer(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}", lambda *_: None)
    server.start()

    with pytest.raises(ModelServerFault):
        predict(client, "houses", 1, HOUSE, 10)
    client.close()
    server.stop(None).wait()


def test_a_call_that_is_started_is_made_once_and_never_again(client, fake, monkeypatch, observed):
    lost(fake, monkeypatch, 1)

    with pytest.raises(ModelServerUnreachable):
        started(client, "houses", 1, HOUSE, 10)

    assert [code for _, code, _ in observed] == ["UNAVAILABLE"]


def test_none_is_started_once_the_client_is_closed(client):
    client.close()

    with pytest.raises(ModelServerUnreachable, match="is closed"):
        started(client, "houses", 1, HOUSE, 10)


class Unreadable(float):
    """Encodes to a tensor whose values do not fill its shape."""

    dtype = np.dtype(np.float32)
    shape = (3,)

    def tobytes(self) -> bytes:
        return b""

    def ravel(self) -> np.ndarray:
        return np.array([1, 2], np.float32)


def test_every_grpc_code_has_a_name_for_the_status_of_a_version():
    from serving.gateway.model_server_client import _CODE_NAMES

    assert _CODE_NAMES[0] == "OK"
    assert len(_CODE_NAMES) == len(grpc.StatusCode)


class Failing:
    """Makes the next predictions fail before they are answered, and counts all."""

    def __init__(self, fake: FakeModelServer, error: Exception) -> None:
        self.left = 0
        self.asked = 0
        self._predict, self._error = fake.predict, error
        fake.predict = self

    def __call__(self, *arguments):
        self.asked += 1
        if self.left:
            self.left -= 1
            raise self._error
        return self._predict(*arguments)


def test_a_prediction_that_was_not_answered_is_asked_again(client, fake):
    failing = Failing(fake, ModelServerUnreachable("going away"))
    failing.left = 2

    np.testing.assert_array_equal([[7]], client.predict("houses", 1, HOUSE, 10)["value"])
    assert failing.asked == 3


def test_what_fails_again_and_again_is_not_asked_more_often_than_the_budget_allows(client, fake):
    failing = Failing(fake, ModelServerUnreachable("away"))
    failing.left = 1000
    for _ in range(30):
        with pytest.raises(ModelServerUnreachable):
            client.predict("houses", 1, HOUSE, 10)

    assert 30 < failing.asked <= 30 + 5


@BOTH_WAYS
def test_what_is_answered_afterwards_gives_the_budget_back(client, fake, predict):
    failing = Failing(fake, ModelServerUnreachable("away"))
    failing.left = 1000
    for _ in range(10):
        with pytest.raises(ModelServerUnreachable):
            client.predict("houses", 1, HOUSE, 10)
    failing.left = 0
    for _ in range(70):  # a tenth of a token each
        predict(client, "houses", 1, HOUSE, 10)
    failing.left = 1

    np.testing.assert_array_equal([[7]], client.predict("houses", 1, HOUSE, 10)["value"])


def test_a_fault_is_an_answer_and_not_asked_again(client, fake):
    failing = Failing(fake, ModelServerFault("op 7"))
    failing.left = 1

    with pytest.raises(ModelServerFault):
        client.predict("houses", 1, HOUSE, 10)
    assert failing.asked == 1
