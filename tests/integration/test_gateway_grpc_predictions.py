"""The thread that answers the gRPC door's predictions, in front of a model server in memory."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from serving.gateway.grpc_api import PREDICTIONS, SERVICE
from serving.gateway.grpc_lane import GrpcLane
from serving.gateway.grpc_predictions import Predictions
from serving.gateway.metrics import Metrics
from serving.gateway.offers import Offers
from serving.gateway.parts import Parts
from serving.gateway.predictor import Predictor
from serving.gateway.settings import Settings
from serving.generated.atelier.prediction.v1 import prediction_pb2 as wire
from tests.fakes import FakeModelServer, house_contract
from tests.gateway_process import DEADLINE_S
from tests.grpc_gateway import GrpcClient

HOUSE = wire.Instance(features=wire.Features(values={"rooms": 3, "age": 4}))
REGRESS = wire.RegressRequest(model="houses", instances=[HOUSE])


class Door:
    """Predictions alone; no process, and no other method."""

    def __init__(self, **settings: bool) -> None:
        fake = FakeModelServer(house_contract())
        chosen = Settings(("houses",), **settings)
        offers = Offers(chosen.models, fake)
        offers.watches["houses"].look()
        self.parts = Parts(chosen, fake, offers, Predictor(offers, fake, chosen.max_instances), Metrics())
        self.server = grpc.server(ThreadPoolExecutor(1))
        self.predictions = Predictions(self.server, self.parts, PREDICTIONS)
        self.client = GrpcClient(self.server.add_insecure_port("127.0.0.1:0"))
        self.server.start()
        self.predictions.start()

    def stop(self) -> None:
        self.client.channel.close()
        self.server.stop(None).wait(DEADLINE_S)
        self.predictions.close()


@pytest.fixture(params=[True, False], ids=["with a lane", "without"])
def door(request) -> Iterator[Door]:
    running = Door(coalesce=request.param)
    yield running
    running.stop()


def test_answers_what_is_right_and_explains_what_is_not(door):
    assert door.client.call("Regress", REGRESS, request_id="mine").predictions[0].value == 7

    fault = door.client.fault("Regress", wire.RegressRequest(model="houses"), request_id="mine")
    assert (fault.code, fault.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT")
    assert fault.violations == [("/instances", "expected at least one instance, got an empty array")]
    assert fault.request_id == "mine"


def test_what_is_no_message_of_the_methods_is_refused(door):
    with pytest.raises(grpc.RpcError) as caught:
        door.client.channel.unary_unary(f"/{SERVICE}/Regress")(b"\xff nonsense", timeout=DEADLINE_S)

    assert (caught.value.code(), caught.value.details()) == (
        grpc.StatusCode.INTERNAL,
        "Exception deserializing request!",
    )


def test_what_would_need_a_thread_is_refused_once_there_are_none(door):
    door.predictions.close()

    fault = door.client.fault("Regress", wire.RegressRequest(model="houses"))

    assert (fault.code, fault.message) == (grpc.StatusCode.UNAVAILABLE, "the gateway takes no calls now")


def test_a_bug_of_the_lanes_does_not_end_the_thread(monkeypatch, caplog):
    bugs = [RuntimeError("a bug"), RuntimeError("another")]
    end_turn = GrpcLane.end_turn

    def end(lane: GrpcLane) -> None:
        if bugs:
            raise bugs.pop()
        end_turn(lane)

    monkeypatch.setattr(GrpcLane, "end_turn", end)
    monkeypatch.setattr(GrpcLane, "patience_s", 0.0)
    door = Door()

    assert door.client.call("Regress", REGRESS).predictions[0].value == 7
    assert caplog.text.count("what was to be done later failed") == 2
    assert not bugs
    door.stop()
