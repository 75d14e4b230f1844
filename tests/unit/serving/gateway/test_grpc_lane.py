"""The gRPC door's lane: what goes together, what is for a thread, and that both ways answer and count alike."""

import hashlib
import logging
import re
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest

from serving.errors import DeadlineExceeded, ModelServerFault, ModelServerUnreachable
from serving.gateway import grpc_scope
from serving.gateway.access_log import log as access_log
from serving.gateway.admission import Admission
from serving.gateway.api_keys import ApiKey, ApiKeys
from serving.gateway.grpc_api import PREDICTIONS
from serving.gateway.grpc_lane import GrpcLane
from serving.gateway.grpc_questions import Question
from serving.gateway.lane import MAX_BODY_BYTES, MAX_ROWS
from serving.gateway.metrics import Metrics
from serving.gateway.offers import Offers
from serving.gateway.oip_grpc import PREDICTIONS as INFERENCES
from serving.gateway.parts import Parts
from serving.gateway.predictor import Predictor
from serving.gateway.settings import Settings
from serving.generated.atelier.prediction.v1 import prediction_pb2 as wire
from serving.generated.inference import open_inference_pb2 as oip
from tests.doors import CannotAsk, as_grpc, as_raw, as_typed
from tests.fakes import Clock, FakeModelServer, full_house_contract, full_picture_contract
from tests.image_files import png
from tests.questions import BAD, BAD_TENSORS, GOOD, MAX_INSTANCES, in_tensors

METHODS = {method.path.rpartition("/")[2]: method for method in (*PREDICTIONS, *INFERENCES)}
REPLIES = {"Classify": wire.ClassifyResponse, "Regress": wire.RegressResponse, "ModelInfer": oip.ModelInferResponse}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class FakeCall:
    """A call as the door has it, and what its client was told."""

    def __init__(self, request: bytes, metadata: dict[str, str], timeout_s: float, queue: deque) -> None:
        self.request = request
        self._metadata, self._timeout_s, self._queue = metadata, timeout_s, queue
        self.first: Any = None
        self.reply_bytes: bytes | None = None
        self.failure: Any = None  # code, details, trailing metadata

    def metadata(self, name: str) -> str | None:
        return self._metadata.get(name)

    def time_remaining_s(self) -> float:
        return self._timeout_s

    def send_first(self, metadata: Any) -> None:
        self.first = metadata

    def later(self, callback: Callable[[], None]) -> Callable[[], None]:
        return lambda: self._queue.append(callback)

    def reply(self, response: bytes) -> None:
        assert not self.is_answered
        self.reply_bytes = response

    def fail(self, code: int, details: str, metadata: Any = None) -> None:
        assert not self.is_answered
        self.failure = (code, details, metadata)

    @property
    def is_answered(self) -> bool:
        return self.reply_bytes is not None or self.failure is not None

    @property
    def told(self) -> tuple:
        return self.first, self.reply_bytes, self.failure


class Door:
    """A lane without a server: its queue is run by `run`, and what it hands to threads is kept."""

    def __init__(self, keys: ApiKeys | None = None, **settings: Any) -> None:
        self.server = FakeModelServer(full_picture_contract(), full_house_contract())
        self.server.contracts["houses", 2] = full_house_contract()
        self.server.labels |= {("pictures", "stable"): 1, ("houses", "stable"): 1, ("houses", "gone"): 7}
        self.settings = Settings(("pictures", "houses"), **settings)
        offers = Offers(self.settings.models, self.server)
        for watch in offers.watches.values():
            watch.look()
        self.server.calls.clear()
        self.admission = Admission(self.settings.threads)
        predictor = Predictor(offers, self.server, self.settings.max_instances, admission=self.admission)
        self.parts = Parts(self.settings, self.server, offers, predictor, Metrics(), keys)
        self.queue: deque[Callable[[], None]] = deque()
        self.handed: list[Question] = []
        self.lane = GrpcLane(self.parts, self.handed.append)

    def question(self, request: Any, *, timeout_s: float = 30.0, **metadata: str) -> Question:
        """As the door makes it of what has come."""
        method = METHODS[type(request).__name__.removesuffix("Request")]
        sent = {"x-request-id": "the-same"} | {name.replace("_", "-"): value for name, value in metadata.items()}
        call: Any = FakeCall(request.SerializeToString(), sent, timeout_s, self.queue)
        scope = grpc_scope.make(self.parts, method.verb, call.metadata, timeout_s)
        return Question(method, call, request, scope)

    def take(self, request: Any, **how: Any) -> Question:
        """One that the lane takes."""
        question = self.question(request, **how)
        assert self.lane.take(question)
        return question

    def refuses(self, request: Any, **how: Any) -> bool:
        """Whether it is for a thread; then nothing has come of it here."""
        question = self.question(request, **how)
        is_taken = self.lane.take(question)
        assert is_taken or not (self.queue or question.call.is_answered or self.in_flight or self.admitted)
        return not is_taken

    def step(self) -> None:
        """What is in the queue, but not what comes of it."""
        for _ in range(len(self.queue)):
            self.queue.popleft()()

    def run(self) -> None:
        """Until nothing more comes of what is in the queue, nor of who waits for company."""
        while self.queue or self.lane._lane._due:
            if not self.queue:
                time.sleep(self.settings.coalesce_wait_s)
                self.lane.end_turn_later()
            self.step()

    @property
    def admitted(self) -> int:
        return self.admission._under_way

    @property
    def in_flight(self) -> float:
        return self.parts.metrics.in_flight._value.get()

    def series(self, name: str) -> list[str]:
        return [line for line in self.parts.metrics.exposition().decode().splitlines() if line.startswith(name)]


@pytest.fixture
def door() -> Door:
    return Door()


def pixels(*values: int) -> wire.Instance:
    return wire.Instance(image=wire.Image(pixels=bytes(values)))


def house(rooms: float, age: float) -> wire.Instance:
    return wire.Instance(features=wire.Features(values={"rooms": rooms, "age": age}))


LEFT, RIGHT = pixels(9, 0, 0, 255, 0, 0), pixels(0, 0, 255, 0, 0, 0)
FILE = wire.Instance(image=wire.Image(encoded=png(np.zeros((2, 3), np.uint8))))


def classify(*instances: wire.Instance, **fields: Any) -> wire.ClassifyRequest:
    return wire.ClassifyRequest(model="pictures", instances=instances, **fields)


def regress(*instances: wire.Instance, **fields: Any) -> wire.RegressRequest:
    return wire.RegressRequest(**({"model": "houses", "instances": instances} | fields))


def infer(rows: int = 1, *, is_raw: bool = True, **fields: Any) -> oip.ModelInferRequest:
    request = oip.ModelInferRequest(**({"model_name": "houses", "id": "mine"} | fields))
    tensor = request.inputs.add(name="features", datatype="FP32", shape=[rows, 2])
    values = np.tile(np.array([3, 4], "<f4"), rows)
    if is_raw:
        request.raw_input_contents.append(values.tobytes())
    else:
        tensor.contents.fp32_contents.extend(values)
    return request


HOUSE = regress(house(3, 4))


def replied(question: Question) -> Any:
    reply = {"classify": wire.ClassifyResponse, "regress": wire.RegressResponse, "infer": oip.ModelInferResponse}
    assert question.call.failure is None
    return reply[question.method.verb].FromString(question.call.reply_bytes)


def classes(question: Question) -> list[str]:
    return [prediction.class_name for prediction in replied(question).predictions]


def values(question: Question) -> list[float]:
    return [prediction.value for prediction in replied(question).predictions]


def test_all_that_is_in_the_queue_goes_as_one_call_and_each_gets_its_own(door):
    left, both = door.take(classify(LEFT)), door.take(classify(RIGHT, LEFT, top_k=2))
    one, tensors = door.take(regress(house(1, 2))), door.take(infer(2))
    door.run()

    assert sorted(door.server.calls) == [("houses", 2, "serving_default"), ("pictures", 1, "serving_default")]
    assert (classes(left), classes(both), values(one)) == (["left"], ["right", "left"], [3.0])
    assert [len(prediction.top_k) for prediction in (*replied(left).predictions, *replied(both).predictions)] == [
        0,
        2,
        2,
    ]
    assert replied(tensors).id == "mine"
    assert np.frombuffer(replied(tensors).raw_output_contents[0], "<f4").tolist() == [7.0, 7.0]
    assert 'atelier_coalesced_requests_sum{model="houses",version="2"} 2.0' in door.series("atelier_coalesced")
    assert not door.handed


def test_who_comes_while_a_call_is_under_way_goes_with_the_next(door):
    first = door.take(HOUSE)
    door.step()  # the turn's end, and the call
    second = door.take(HOUSE)
    door.step()
    third = door.take(HOUSE)
    door.run()

    assert [values(question) for question in (first, second, third)] == [[7.0]] * 3
    assert len(door.server.calls) == 2


def test_the_turn_ends_once_however_many_come_in_it(door):
    for _ in range(5):
        door.take(HOUSE)
    assert len(door.queue) == 1
    assert (door.in_flight, door.admitted) == (5, 5)

    door.run()
    assert (door.in_flight, door.admitted) == (0, 0)


def test_who_waits_goes_when_those_who_were_answered_have_come_again(door):
    door.take(HOUSE)
    door.step()  # the turn's end, and the call
    waits = door.take(HOUSE)
    door.step()  # the call's end
    assert len(door.server.calls) == 1

    comes_again = door.take(HOUSE)
    door.run()
    assert [values(waits), values(comes_again)] == [[7.0]] * 2
    assert len(door.server.calls) == 2


def test_a_turn_of_a_queue_that_has_ended_ends_at_once(door, monkeypatch):
    def fail(*_: object) -> None:
        raise ValueError("the queue has ended")

    door.take(HOUSE)
    door.run()
    monkeypatch.setattr(FakeCall, "later", fail)
    door.lane.end_turn_later()
    assert not door.queue


@pytest.mark.parametrize(
    "request_",
    [
        classify(LEFT),
        classify(LEFT, top_k=1),
        classify(LEFT, version=1),
        HOUSE,
        regress(house(3, 4), version=1),
        regress(*[house(3, 4)] * MAX_ROWS),
        infer(),
        infer(is_raw=False),
        infer(MAX_ROWS, model_version="1"),
        infer(outputs=[oip.ModelInferRequest.InferRequestedOutputTensor(name="value")]),
    ],
)
def test_takes_ordinary_predictions(door, request_):
    question = door.take(request_)
    door.run()

    assert question.call.first == (("x-request-id", "the-same"),)
    assert replied(question)


NO_NUMBER = float("nan")


@pytest.mark.parametrize(
    "request_",
    [
        classify(FILE),
        classify(LEFT, FILE),
        classify(LEFT, version_label="stable"),
        classify(LEFT, version=2),
        classify(LEFT, top_k=0),
        classify(LEFT, top_k=4),
        classify(),
        classify(pixels(1, 2)),
        classify(wire.Instance()),
        classify(house(3, 4)),
        wire.ClassifyRequest(model="houses", instances=[house(3, 4)]),
        wire.ClassifyRequest(model="cars", instances=[LEFT]),
        regress(LEFT),
        regress(house(3, NO_NUMBER)),
        regress(wire.Instance(features=wire.Features(values={"rooms": 1}))),
        regress(*[house(3, 4)] * (MAX_ROWS + 1)),
        regress(house(3, 4), model="h" * MAX_BODY_BYTES),
        infer(MAX_ROWS + 1),
        infer(model_name="cars"),
        infer(model_version="9"),
        infer(model_version="stable"),
        infer(raw_input_contents=[b"more"]),
        infer(outputs=[oip.ModelInferRequest.InferRequestedOutputTensor(name="no")]),
    ],
)
def test_leaves_all_that_takes_words_or_time_to_a_thread(door, request_):
    assert door.refuses(request_)


def test_whoever_follows_a_trace_is_for_a_thread(door):
    assert door.refuses(HOUSE, traceparent=TRACE)


def test_a_version_that_is_not_on_offer_is_for_a_thread(door):
    door.parts.offers.watches["houses"]._close("away")

    assert door.refuses(HOUSE)


def test_a_bug_of_the_lanes_is_for_a_thread(door, monkeypatch, caplog):
    monkeypatch.setattr("serving.gateway.grpc_lane.prepare", lambda *_: 1 / 0)

    assert door.refuses(HOUSE)
    assert "the lane failed" in caplog.text


def fault(question: Question) -> tuple[str, str]:
    """The code and the first words of what a client was told."""
    code, details, _ = question.call.failure
    return next(one.name for one in grpc.StatusCode if one.value[0] == code), details


def test_no_more_begin_than_the_gateway_takes_and_the_others_hear_so_at_once():
    door = Door(threads=1)
    first = door.take(HOUSE)
    second = door.take(HOUSE)

    assert fault(second) == ("UNAVAILABLE", "the gateway has as many requests under way as it takes")
    assert second.call.first == (("x-request-id", "the-same"),)
    assert 'atelier_refusals_total{model="houses",reason="overloaded"} 1.0' in door.series("atelier_refusals")
    assert door.in_flight == door.admitted == 1

    door.run()
    assert values(first) == [7.0]
    third = door.take(HOUSE)
    door.run()
    assert values(third) == [7.0]


def ada(rate: float) -> ApiKeys:
    return ApiKeys((ApiKey("ada", hashlib.sha256(b"one").digest(), rate),), Clock())


def test_who_shows_no_key_or_a_wrong_one_is_for_a_thread():
    door = Door(ada(2.0))

    assert door.refuses(HOUSE)
    assert door.refuses(HOUSE, authorization="Bearer guessed")
    door.take(HOUSE, authorization="Bearer one")


def test_a_key_that_comes_too_often_hears_so_at_once():
    door = Door(ada(2.0))
    questions = [door.take(HOUSE, x_api_key="one") for _ in range(3)]
    door.run()

    assert [values(question) for question in questions[:2]] == [[7.0]] * 2
    assert fault(questions[2])[0] == "RESOURCE_EXHAUSTED"
    refusals = door.series("atelier_refusals_total")
    assert refusals == ['atelier_refusals_total{model="",reason="too-many-requests"} 1.0']
    assert door.in_flight == 0


def test_a_key_is_counted_once_where_a_thread_answers_after_all():
    door = Door(ada(2.0))
    given_up = door.take(HOUSE, x_api_key="one")
    door.server.broken_predictions = ModelServerUnreachable("away")
    door.run()
    door.server.broken_predictions = None
    file = door.question(classify(FILE), x_api_key="one")
    assert not door.lane.take(file)

    for question in (given_up, file):
        question.answer(door.parts)

    assert values(given_up) == [7.0]
    assert classes(file)
    assert fault(door.take(HOUSE, x_api_key="one"))[0] == "RESOURCE_EXHAUSTED"


@pytest.mark.parametrize(
    "error", [ModelServerUnreachable("away"), ModelServerFault("no"), DeadlineExceeded("late"), RuntimeError("a bug")]
)
def test_whatever_fails_is_explained_in_a_thread(door, error):
    questions = [door.take(HOUSE), door.take(infer())]
    door.server.broken_predictions = error
    door.run()

    assert door.handed == questions
    assert not any(question.call.is_answered for question in questions)
    assert (door.in_flight, door.admitted) == (0, 0)
    assert door.series("atelier_requests_total") == []

    for question in questions:
        question.answer(door.parts)
    assert all(question.call.failure for question in questions)
    assert door.in_flight == 0


def test_a_version_that_is_gone_is_looked_for_in_a_thread(door):
    question = door.take(HOUSE)
    del door.server.contracts["houses", 2]
    door.run()

    assert door.handed == [question]
    question.answer(door.parts)
    assert replied(question).model.version == 1


def test_an_answer_against_the_contract_is_explained_in_a_thread(door):
    question = door.take(regress(house(3e38, 3e38)))
    door.run()

    assert door.handed == [question]
    question.answer(door.parts)
    assert fault(question)[0] == "INTERNAL"


def hold(door: Door) -> Callable[[], None]:
    """The model server does not answer before what is returned is called."""
    held: list[Callable[[], None]] = []
    start = door.server.start_predict
    door.server.start_predict = lambda *given, **named: held.append(lambda: start(*given, **named))

    def let_go() -> None:
        for one in held:
            one()
        held.clear()

    return let_go


def test_whoever_waits_too_long_is_told_in_time_and_the_others_are_answered(door):
    let_go = hold(door)
    soon, later = door.take(HOUSE, timeout_s=0.05), door.take(regress(house(1, 2)))
    door.run()
    assert 0 <= door.lane.patience_s <= 0.05
    time.sleep(0.06)
    assert door.lane.patience_s == 0
    door.lane.end_turn()

    assert door.handed == [soon]
    assert door.lane.patience_s > 1
    soon.answer(door.parts)
    assert fault(soon) == ("DEADLINE_EXCEEDED", "the time for this request ran out")

    let_go()
    door.run()
    assert values(later) == [3.0]
    assert 'atelier_request_instances_count{model="houses"} 1.0' in door.series("atelier_request_instances")
    assert (door.in_flight, door.admitted) == (0, 0)


def test_whoever_is_late_hears_that_and_not_that_there_is_much_to_do(door):
    door.admission._share_s["houses"] = 10.0
    let_go = hold(door)
    soon = door.take(HOUSE, timeout_s=0.01)
    time.sleep(0.02)
    door.run()
    door.take(classify(LEFT))
    door.lane.end_turn()
    let_go()

    soon.answer(door.parts)

    assert fault(soon)[0] == "DEADLINE_EXCEEDED"


def test_whoever_waits_for_the_next_call_too_long_does_not_go_with_it(door):
    let_go = hold(door)
    first = door.take(HOUSE)
    door.run()
    soon = door.take(HOUSE, timeout_s=0.01)
    time.sleep(0.02)
    door.lane.end_turn()
    let_go()
    door.run()

    assert door.handed == [soon]
    assert values(first) == [7.0]
    assert len(door.server.calls) == 1


def test_whoever_comes_with_no_time_left_is_told_so_in_a_thread(door):
    question = door.take(HOUSE, timeout_s=0.0)
    door.run()

    assert door.handed == [question]
    assert not door.server.calls


def test_a_call_has_no_more_rows_than_the_model_server_takes():
    door = Door(max_model_server_batch=3)
    assert door.refuses(regress(*[house(3, 4)] * 4))

    questions = [door.take(regress(house(3, 4), house(1, 2))) for _ in range(3)]
    door.run()

    assert [values(question) for question in questions] == [[7.0, 3.0]] * 3
    assert len(door.server.calls) == 3


def requests() -> dict[str, Any]:
    """Every good and bad question, as each method can ask it."""
    asked: dict[str, Any] = {}
    for name, question in (GOOD | BAD).items():
        asked |= made(name, question, {"words": lambda question: as_grpc(question)[1]})
        if (tensors := in_tensors(question)) is not None:
            asked |= made(name, tensors, {"typed": as_typed, "raw": as_raw})
    for name, tensors in BAD_TENSORS.items():
        asked |= made(name, tensors, {"typed": as_typed, "raw": as_raw})
    return asked


def made(name: str, question: Any, ways: dict[str, Callable[[Any], Any]]) -> dict[str, Any]:
    asked = {}
    for way, make in ways.items():
        try:
            asked[f"{name}, {way}"] = make(question)
        except CannotAsk:
            continue
    return asked


REQUESTS = requests()


def by_lane(door: Door, request: Any) -> tuple:
    """What the client is told by the lane, or the thread that it leaves the question to."""
    question = door.question(request)
    if not door.lane.take(question):
        question.answer(door.parts)
    door.run()
    for given_up in door.handed:
        given_up.answer(door.parts)
    door.handed.clear()
    return told(question)


def by_thread(door: Door, request: Any) -> tuple:
    question = door.question(request)
    question.answer(door.parts)
    return told(question)


def told(question: Question) -> tuple:
    """A message's fields may come in any order."""
    first, reply, failure = question.call.told
    kind = REPLIES[question.method.path.rpartition("/")[2]]
    return first, None if reply is None else kind.FromString(reply), failure


@pytest.fixture(scope="module")
def doors() -> tuple[Door, Door]:
    return Door(max_instances=MAX_INSTANCES), Door(max_instances=MAX_INSTANCES)


@pytest.mark.parametrize("name", REQUESTS)
def test_the_lane_and_a_thread_answer_alike(doors, name):
    lane, threads = doors

    assert by_lane(lane, REQUESTS[name]) == by_thread(threads, REQUESTS[name])


def test_most_good_questions_are_the_lanes(doors):
    lane, _ = doors
    taken = [name for name, request in REQUESTS.items() if lane.lane.take(lane.question(request))]
    lane.run()

    assert {
        "a picture, words",
        "a picture with top_k, words",
        "a house, words",
        "houses, raw",
        "a picture, typed",
    } <= set(taken)
    assert not {name.rpartition(",")[0] for name in taken} & (BAD.keys() | BAD_TENSORS.keys())


def test_what_was_asked_alike_is_counted_alike():
    ways = [(Door(max_instances=MAX_INSTANCES), ask) for ask in (by_lane, by_thread)]
    for door, ask in ways:
        for request in REQUESTS.values():
            ask(door, request)

    counts = [counted(door) for door, _ in ways]

    assert counts[0] == counts[1]
    assert any(line.startswith("atelier_request_phase_duration_seconds_count") for line in counts[0])


def counted(door: Door) -> list[str]:
    """What is counted of requests, but not how long they took."""
    pattern = re.compile(r"atelier_(request|refus|predicted|out_of_domain)(?!.*seconds_(sum|bucket))(?!.*_created)")
    return sorted(line for line in door.series("atelier") if pattern.match(line))


def test_what_was_asked_alike_is_logged_alike(caplog, monkeypatch):
    monkeypatch.setattr(access_log, "disabled", False)
    caplog.set_level(logging.INFO, access_log.name)

    def logged(ask: Callable[[Door, Any], tuple]) -> list[dict[str, Any]]:
        caplog.clear()
        door = Door(ada(100.0), max_instances=MAX_INSTANCES)
        monkeypatch.setattr(door, "question", lambda request: Door.question(door, request, x_api_key="one"))
        for request in REQUESTS.values():
            ask(door, request)
        lines = [record.fields for record in caplog.records if record.name == access_log.name]
        return [fields | {"milliseconds": None} for fields in lines]

    lines = logged(by_lane)

    assert lines == logged(by_thread)
    assert len(lines) == len(REQUESTS)
    assert {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED"} <= {line["code"] for line in lines}


def test_nothing_is_logged_where_nobody_wants_it(door, caplog, monkeypatch):
    monkeypatch.setattr(access_log, "disabled", True)
    door.take(HOUSE)
    door.run()

    assert not caplog.records
