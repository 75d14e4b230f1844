import json
import time
from types import SimpleNamespace

import pytest
from gunicorn.config import Config

from serving.errors import DeadlineExceeded, ModelServerFault, ModelServerUnreachable
from serving.gateway.admission import Admission
from serving.gateway.http_lane import HttpLane
from serving.gateway.incoming import Incoming
from serving.gateway.lane import MAX_BODY_BYTES, MAX_ROWS, has_lane
from serving.gateway.metrics import Metrics
from serving.gateway.offers import Offers
from serving.gateway.parts import Parts
from serving.gateway.plain_requests import KnownHeads, PlainRequests
from serving.gateway.predictor import Predictor
from serving.gateway.settings import Settings
from tests.fakes import Clock, FakeModelServer, full_picture_contract, house_contract, with_raw_signature

LEFT, RIGHT = [9, 0, 0, 255, 0, 0], [[0, 0, 255], [0, 0, 0]]
HOUSE = {"rooms": 3, "age": 4}


class Lane:
    """A lane without a worker: what a loop would do is done by `run`."""

    def __init__(self, *, pictures=full_picture_contract(), **settings) -> None:  # noqa: B008
        self.server = FakeModelServer(pictures, house_contract())
        self.settings = Settings(("pictures", "houses"), **settings)
        offers = Offers(self.settings.models, self.server)
        for watch in offers.watches.values():
            watch.look()
        self.server.calls.clear()
        predictor = Predictor(offers, self.server, 100, admission=Admission(self.settings.threads))
        self.parts = Parts(self.settings, self.server, offers, predictor, Metrics())
        self.clock = Clock()
        self.lane = HttpLane(self.parts, self, self.clock)
        self._heads = KnownHeads(PlainRequests(self.settings.models, None).recognise)
        self._ended: list = []
        self.answers: dict[str, bytes] = {}
        self.explained: list[str] = []

    def defer(self, callback, trip) -> None:
        self._ended.append((callback, trip))

    def answer(self, connection, answer, *, is_last) -> None:
        self.answers[connection.name] = answer

    def hand_to_thread(self, connection) -> None:
        self.explained.append(connection.name)

    def take(self, name: str, path: str, document: object, content_type="application/json", *fields: str) -> bool:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        head = f"POST /v1/models/{path} HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\n" + "".join(
            f"{field}\r\n" for field in fields
        )
        incoming = Incoming(Config(), ("127.0.0.1", 1), 2**20, self._heads)
        incoming.receive(f"{head}X-Request-Id: {name}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        request = incoming.next_request()
        connection = SimpleNamespace(name=name, request=request, handed_over_at=self.clock())
        return self.lane.take(connection)

    def run(self, calls: int = 1) -> None:
        """End this turn, and answer what so many calls bring; nobody is waited for in vain."""
        for _ in range(calls):
            self.clock.now += self.settings.coalesce_wait_s
            self.lane.end_turn()
            until = time.monotonic() + 30
            while not self._ended:
                assert time.monotonic() < until
                time.sleep(0.001)
            callback, trip = self._ended.pop(0)
            callback(trip)

    def series(self, name: str) -> list[str]:
        return [line for line in self.parts.metrics.exposition().decode().splitlines() if line.startswith(name)]


@pytest.fixture
def lane():
    return Lane()


def told(answer: bytes) -> dict:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def test_all_that_a_turn_brings_goes_as_one_call_and_each_gets_its_own(lane):
    assert lane.take("left", "pictures:classify", {"instances": [LEFT]})
    assert lane.take("both", "pictures:predict", {"instances": [RIGHT, LEFT]})
    assert lane.take("house", "houses:regress", {"instances": [HOUSE]})
    lane.run(calls=2)

    assert sorted(lane.server.calls) == [("houses", 1, "serving_default"), ("pictures", 1, "serving_default")]
    names = {name: [p.get("class_name") for p in told(a)["predictions"]] for name, a in lane.answers.items()}
    assert names == {"left": ["left"], "both": ["right", "left"], "house": [None]}
    assert told(lane.answers["house"])["predictions"][0]["value"] == 7.0


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        ({"instances": [LEFT, RIGHT]}, "application/json"),
        (bytes([*LEFT, *RIGHT[0], *RIGHT[1]]), "application/octet-stream"),
    ],
)
def test_the_signature_that_the_contract_names_is_asked_and_answers_the_same(lane, document, content_type):
    raw = Lane(pictures=with_raw_signature(full_picture_contract(), "bytes"))
    for one in (lane, raw):
        assert one.take("it", "pictures:classify", document, content_type)
        one.run()

    assert [lane.server.calls, raw.server.calls] == [[("pictures", 1, "serving_default")], [("pictures", 1, "bytes")]]
    assert told(lane.answers["it"])["predictions"] == told(raw.answers["it"])["predictions"]


def test_who_comes_while_a_call_is_under_way_goes_with_the_next(lane):
    lane.take("a", "houses:regress", {"instances": [HOUSE]})
    lane.lane.end_turn()
    for name in "bc":
        lane.take(name, "houses:regress", {"instances": [HOUSE]})
    lane.run(calls=2)

    assert len(lane.server.calls) == 2
    assert sorted(lane.answers) == ["a", "b", "c"]
    assert 'atelier_coalesced_requests_sum{model="houses",version="1"} 3.0' in lane.series("atelier_coalesced")


def test_who_waits_goes_when_those_who_were_answered_have_come_again(lane):
    lane.take("a", "houses:regress", {"instances": [HOUSE]})
    lane.lane.end_turn()
    lane.take("b", "houses:regress", {"instances": [HOUSE]})
    lane.run()
    lane.lane.end_turn()
    assert list(lane.answers) == ["a"]
    assert len(lane.server.calls) == 1
    assert lane.lane.patience_s == pytest.approx(lane.settings.coalesce_wait_s)

    lane.take("a again", "houses:regress", {"instances": [HOUSE]})
    lane.lane.end_turn()
    assert len(lane.server.calls) == 2


def test_who_waits_goes_alone_where_nobody_comes(lane):
    lane.take("a", "houses:regress", {"instances": [HOUSE]})
    lane.lane.end_turn()
    lane.take("b", "houses:regress", {"instances": [HOUSE]})
    lane.run()
    lane.clock.now += lane.settings.coalesce_wait_s
    assert lane.lane.patience_s == 0
    lane.lane.end_turn()
    assert len(lane.server.calls) == 2


def test_without_a_wait_those_who_came_meanwhile_go_before_the_answers_are_sent():
    lane = Lane(coalesce_wait_s=0.0)
    lane.take("a", "houses:regress", {"instances": [HOUSE]})
    lane.lane.end_turn()
    lane.take("b", "houses:regress", {"instances": [HOUSE]})
    lane.run()
    assert list(lane.answers) == ["a"]
    assert len(lane.server.calls) == 2


def test_a_bug_in_sending_holds_up_nobody(lane, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    lane.take("a", "houses:regress", {"instances": [HOUSE]})
    lane.lane.end_turn()
    lane.take("b", "houses:regress", {"instances": [HOUSE]})
    monkeypatch.setattr(lane, "answer", fail)
    with pytest.raises(ZeroDivisionError):
        lane.run()
    monkeypatch.undo()
    lane.run()
    assert list(lane.answers) == ["b"]


@pytest.mark.parametrize(
    ("path", "document", "content_type"),
    [
        ("pictures:classify", {"instances": [LEFT]}, "application/json"),
        ("pictures:classify", {"instances": [RIGHT, [12.0, 0, 0, 0, 0, 0]]}, "application/json"),
        ("pictures:predict", bytes(12), "application/octet-stream"),
        ("pictures/versions/1:predict", {"instances": [LEFT]}, "application/json"),
        ("houses:regress", {"instances": [[3, 4.5]]}, "application/json"),
        ("houses:regress", {"instances": [HOUSE] * MAX_ROWS}, "application/json"),
    ],
)
def test_takes_ordinary_predictions(lane, path, document, content_type):
    assert lane.take("it", path, document, content_type)


@pytest.mark.parametrize(
    ("path", "document", "content_type"),
    [
        ("houses:classify", {"instances": [HOUSE]}, "application/json"),
        ("pictures/versions/2:predict", {"instances": [LEFT]}, "application/json"),
        ("pictures:classify", {"instances": [LEFT], "top_k": None}, "application/json"),
        ("pictures:classify", {"instances": []}, "application/json"),
        ("pictures:classify", {}, "application/json"),
        ("pictures:classify", [], "application/json"),
        ("pictures:classify", {"instances": [[True, 0, 0, 0, 0, 0]]}, "application/json"),
        ("pictures:classify", {"instances": [[256, 0, 0, 0, 0, 0]]}, "application/json"),
        ("pictures:classify", {"instances": [[-1, 0, 0, 0, 0, 0]]}, "application/json"),
        ("pictures:classify", {"instances": [[0.5, 0, 0, 0, 0, 0]]}, "application/json"),
        ("pictures:classify", {"instances": [6]}, "application/json"),
        ("pictures:classify", {"instances": [[3, 3]]}, "application/json"),
        ("pictures:classify", {"instances": [{"b64": ""}]}, "application/json"),
        ("pictures:classify", b'{"instances": [[9, 0', "application/json"),
        ("pictures:classify", b"", "application/json"),
        ("pictures:classify", b"", "application/octet-stream"),
        ("pictures:classify", bytes(7), "application/octet-stream"),
        ("houses:regress", bytes(2), "application/octet-stream"),
        ("houses:regress", {"instances": [{"rooms": True, "age": 1}]}, "application/json"),
        ("houses:regress", {"instances": [{"rooms": 1}]}, "application/json"),
        ("houses:regress", {"instances": [HOUSE] * (MAX_ROWS + 1)}, "application/json"),
        ("houses:regress", b" " * MAX_BODY_BYTES + b'{"instances": [[1, 2]]}', "application/json"),
    ],
)
def test_leaves_all_that_takes_words_or_time_to_the_application(lane, path, document, content_type):
    assert not lane.take("it", path, document, content_type)
    assert lane.parts.predictor.admission._under_way == 0


def test_a_version_that_is_not_on_offer_is_for_the_application(lane):
    lane.parts.offers.watches["houses"]._close("away")

    assert not lane.take("it", "houses:regress", {"instances": [HOUSE]})


@pytest.mark.parametrize(
    "error", [ModelServerUnreachable("away"), ModelServerFault("no"), DeadlineExceeded("late"), RuntimeError("a bug")]
)
def test_whatever_fails_is_explained_by_the_application(lane, error):
    lane.take("a", "houses:regress", {"instances": [HOUSE]})
    lane.take("b", "houses:regress", {"instances": [HOUSE]})
    lane.server.broken_predictions = error
    lane.run()

    assert lane.explained == ["a", "b"]
    assert not lane.answers
    assert lane.parts.predictor.admission._under_way == 0
    assert lane.series("atelier_requests_in_flight") == ["atelier_requests_in_flight 0.0"]
    assert lane.series("atelier_requests_total") == []


def test_a_version_that_is_gone_is_looked_for_by_the_application(lane):
    lane.take("a", "houses:regress", {"instances": [HOUSE]})
    del lane.server.contracts["houses", 1]
    lane.run()

    assert lane.explained == ["a"]


def test_an_answer_against_the_contract_is_explained_by_the_application(lane):
    lane.take("a", "houses:regress", {"instances": [[3e38, 3e38]]})
    lane.run()

    assert lane.explained == ["a"]


def test_whoever_waits_too_long_is_told_in_time_and_the_others_are_answered(lane):
    lane.take("soon", "houses:regress", {"instances": [HOUSE]}, "application/json", "X-Request-Timeout: 0.05")
    lane.take("later", "houses:regress", {"instances": [[1, 2]]})
    lane.lane.end_turn()
    assert lane.lane.patience_s == pytest.approx(0.05)
    lane.clock.now += 0.06
    lane.lane.end_turn()

    assert lane.explained == ["soon"]
    assert lane.lane.patience_s > 1
    lane.run()
    assert list(lane.answers) == ["later"]
    assert told(lane.answers["later"])["predictions"][0]["value"] == 3.0
    assert 'atelier_request_instances_count{model="houses"} 1.0' in lane.series("atelier_request_instances")


def test_whoever_waits_for_the_next_call_too_long_does_not_go_with_it(lane):
    lane.take("first", "houses:regress", {"instances": [HOUSE]})
    lane.lane.end_turn()
    lane.take("soon", "houses:regress", {"instances": [HOUSE]}, "application/json", "X-Request-Timeout: 0.01")
    lane.clock.now += 0.02
    lane.lane.end_turn()
    lane.run()

    assert lane.explained == ["soon"]
    assert list(lane.answers) == ["first"]
    assert len(lane.server.calls) == 1


def test_no_more_begin_than_the_gateway_takes():
    lane = Lane(threads=1)

    assert lane.take("a", "houses:regress", {"instances": [HOUSE]})
    assert not lane.take("b", "houses:regress", {"instances": [HOUSE]})
    lane.run()
    assert lane.take("c", "houses:regress", {"instances": [HOUSE]})


def test_enough_rows_go_beside_the_call_that_is_under_way_and_a_third_call_waits():
    lane = Lane(max_model_server_batch=4)
    for name, rows in (("a", 1), ("b", 1), ("c", 1), ("d", 4)):
        lane.take(name, "houses:regress", {"instances": [HOUSE] * rows})
        lane.lane.end_turn()
    assert len(lane.server.calls) == 2  # b has waited for c, and d waits

    lane.run(calls=3)
    assert sorted(lane.answers) == ["a", "b", "c", "d"]
    assert 'atelier_coalesced_requests_count{model="houses",version="1"} 3.0' in lane.series("atelier_coalesced")


def test_who_is_late_does_not_count_towards_enough_rows():
    lane = Lane(max_model_server_batch=4)
    lane.take("a", "houses:regress", {"instances": [HOUSE]})
    lane.lane.end_turn()
    lane.take("late", "houses:regress", {"instances": [HOUSE]}, "application/json", "X-Request-Timeout: 1")
    lane.clock.now += 2
    lane.lane.end_turn()
    lane.take("b", "houses:regress", {"instances": [HOUSE]})
    lane.lane.end_turn()
    assert len(lane.server.calls) == 1

    lane.run(calls=2)
    assert (sorted(lane.answers), lane.explained) == (["a", "b"], ["late"])


def test_a_call_has_no_more_rows_than_the_model_server_takes():
    lane = Lane(max_model_server_batch=3)

    assert not lane.take("four", "houses:regress", {"instances": [HOUSE] * 4})
    for name in "abc":
        assert lane.take(name, "houses:regress", {"instances": [HOUSE] * 2})
    lane.run(calls=3)

    assert sorted(lane.answers) == ["a", "b", "c"]
    assert len(lane.server.calls) == 3


def test_there_is_no_lane_where_requests_are_not_to_go_together():
    assert has_lane(Lane().parts)
    assert not has_lane(Lane(coalesce=False).parts)
