"""The client gives the same answers and the same refusals over both transports, from running doors."""

import base64
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.client import Client, ProblemError
from serving.errors import ModelServerUnreachable
from tests.fakes import FakeModelServer, WireModelServer, full_house_contract, full_picture_contract
from tests.gateway_process import gateway_process, wait_until
from tests.grpc_gateway import grpc_gateway_process
from tests.image_files import png
from tests.ports import free_port

MODELS = "pictures,houses"
LEFT, RIGHT = [[9, 0, 0], [255, 0, 0]], [[0, 0, 255], [0, 0, 0]]
HOUSE = {"rooms": 3, "age": 4}


@dataclass(frozen=True)
class Doors:
    """Both doors of one gateway, and the model server behind them."""

    server: WireModelServer
    urls: dict[str, str]

    def client(self, transport: str, **options: Any) -> Client:
        return Client(self.urls[transport], **options)


@pytest.fixture(scope="module")
def doors() -> Iterator[Doors]:
    server = WireModelServer(FakeModelServer(full_picture_contract(), full_house_contract()))
    with (
        gateway_process(server.address, MODELS, ATELIER_WORKERS="1", ATELIER_ACCESS_LOG="true") as http,
        grpc_gateway_process(server.address, MODELS) as grpc,
    ):
        wait_until(http.is_ready, http.log)
        yield Doors(server, {"http": f"http://127.0.0.1:{http.port}", "grpc": f"grpc://127.0.0.1:{grpc.port}"})
    server.stop()


@pytest.fixture(params=["http", "grpc"])
def client(request: pytest.FixtureRequest, doors: Doors) -> Iterator[Client]:
    with doors.client(request.param) as one:
        yield one


def picture_file(folder: Path) -> Path:
    (folder / "left.png").write_bytes(png(np.array(LEFT, np.uint8)))
    return folder / "left.png"


PICTURES = {
    "nested lists": lambda _: LEFT,
    "a flat list": lambda _: [*LEFT[0], *LEFT[1]],
    "base64": lambda folder: {"b64": base64.b64encode(picture_file(folder).read_bytes()).decode()},
    "an array": lambda _: np.array(LEFT, np.uint8),
    "raw bytes": lambda _: bytes([9, 0, 0, 255, 0, 0]),
    "a file's bytes": lambda folder: picture_file(folder).read_bytes(),
    "a path": picture_file,
}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_may_be_given_in_any_form(client: Client, kind: str, tmp_path: Path):
    answer = client.classify("pictures", [PICTURES[kind](tmp_path), RIGHT], top_k=2)

    assert [prediction["class_name"] for prediction in answer.predictions] == ["left", "right"]
    assert [entry["class_name"] for entry in answer.predictions[0]["top_k"]] == ["left", "middle"]
    assert (answer.model, answer.version, answer.digest) == ("pictures", "1", "sha256:0")


@pytest.mark.parametrize("house", [HOUSE, [3, 4], np.array([3, 4], np.float32)], ids=["object", "list", "array"])
def test_a_house_may_be_given_in_any_form(client: Client, house: Any):
    answer = client.predict("houses", [house])

    assert answer.predictions == [
        {
            "value": 7,
            "unit": "EUR",
            "interval": {"level": 0.9, "low": 6, "high": 9},
            "in_domain": True,
            "domain_score": 4,
        }
    ]


def test_both_transports_give_the_same_answers(doors: Doors):
    with doors.client("http") as http, doors.client("grpc") as grpc:
        for verb, model, instances in (
            ("predict", "pictures", [LEFT, RIGHT, [[1] * 3] * 2]),
            ("classify", "pictures", [[0, 1, 2, 3, 4, 254]]),
            ("regress", "houses", [HOUSE, [0.1, 0.2]]),
        ):
            asked = {"verb": verb, "model": model, "instances": instances, "request_id": "the-same"}
            assert http.ask(**asked) == grpc.ask(**asked)
        assert http.models() == grpc.models()
        assert http.contract("houses") == grpc.contract("houses", 1) == full_house_contract()
        assert http.readiness()[0] is grpc.readiness()[0] is True


REFUSALS: dict[str, tuple[str, dict[str, Any], int, list[str]]] = {
    "an unknown model": ("predict", {"model": "cars", "instances": [LEFT]}, 404, []),
    "an unknown version": ("predict", {"model": "pictures", "instances": [LEFT], "version": 7}, 404, []),
    "an unknown label": ("predict", {"model": "pictures", "instances": [LEFT], "version": "stable"}, 404, []),
    "another task": ("regress", {"model": "pictures", "instances": [LEFT]}, 400, []),
    "no instances": ("predict", {"model": "pictures", "instances": []}, 422, ["/instances"]),
    "a large top_k": ("classify", {"model": "pictures", "instances": [LEFT], "top_k": 9}, 422, ["/top_k"]),
    "a top_k of a value": ("predict", {"model": "houses", "instances": [HOUSE], "top_k": 1}, 422, ["/top_k"]),
    "a missing feature": (
        "predict",
        {"model": "houses", "instances": [HOUSE, {"age": 1}]},
        422,
        ["/instances/1/rooms"],
    ),
    "a short list": ("predict", {"model": "houses", "instances": [[1]]}, 422, ["/instances/0"]),
    "a short picture": ("predict", {"model": "pictures", "instances": [[1, 2]]}, 422, ["/instances/0"]),
    "no image": ("predict", {"model": "pictures", "instances": [b"boot"]}, 422, ["/instances/0"]),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_says_what_broke_and_where(client: Client, name: str):
    verb, asked, status, pointers = REFUSALS[name]

    with pytest.raises(ProblemError) as refused:
        client.ask(verb, **asked)

    assert refused.value.status == refused.value.problem["status"] == status
    assert [pointer for pointer, _ in refused.value.errors] == pointers
    assert refused.value.problem["detail"]
    assert refused.value.retry_after_s is None


@pytest.mark.parametrize(
    ("model", "instance"),
    [("pictures", [[256, 0, 0], [0, 0, 0]]), ("pictures", [["x"] * 3] * 2), ("houses", {"rooms": "secret", "age": 1})],
)
def test_what_grpc_cannot_carry_is_refused_before_it_is_sent_with_the_instances_place(
    client: Client, model: str, instance: Any
):
    with pytest.raises(ProblemError) as refused:
        client.predict(model, [instance])

    assert refused.value.status == 422
    assert refused.value.errors[0][0].startswith("/instances/0")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_a_refusal_for_now_is_followed_after_the_time_it_asks_for(doors: Doors, transport: str):
    fake = doors.server.fake
    fake.broken_predictions = ModelServerUnreachable("away")
    with doors.client(transport, retries=0) as impatient, pytest.raises(ProblemError) as refused:
        impatient.predict("houses", [HOUSE])
    assert (refused.value.status, refused.value.retry_after_s) == (503, 1)

    asked = len(fake.calls)
    repair = threading.Thread(
        target=lambda: (wait_until(lambda: len(fake.calls) > asked), setattr(fake, "broken_predictions", None))
    )
    repair.start()
    try:
        with doors.client(transport, retries=20) as patient:
            assert patient.predict("houses", [HOUSE]).predictions[0]["value"] == 7
    finally:
        fake.broken_predictions = None
        repair.join()


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_a_refusal_is_not_followed_beyond_the_time_given(doors: Doors, transport: str):
    doors.server.fake.broken_predictions = ModelServerUnreachable("away")
    try:
        with doors.client(transport, timeout_s=0.9, retries=1000) as hasty, pytest.raises((ProblemError, OSError)):
            hasty.predict("houses", [HOUSE])
    finally:
        doors.server.fake.broken_predictions = None


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_a_deadline_ends_the_call(doors: Doors, transport: str):
    with doors.client(transport) as client:
        assert client.predict("houses", [HOUSE]).predictions
        doors.server.hold.clear()
        try:
            with pytest.raises((ProblemError, TimeoutError)) as late:
                client.predict("houses", [HOUSE], timeout_s=0.3)
        finally:
            doors.server.hold.set()
        if isinstance(late.value, ProblemError):
            assert late.value.status == 504
        assert client.predict("houses", [HOUSE]).predictions[0]["value"] == 7


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_gateway_that_is_away_is_an_os_error(scheme: str):
    with Client(f"{scheme}://127.0.0.1:{free_port()}", timeout_s=5) as client, pytest.raises(ConnectionError):
        client.predict("houses", [HOUSE])


def test_a_url_of_another_kind_is_refused_by_name():
    with pytest.raises(ValueError, match=r"expected a URL like http.* or grpc.*, got"):
        Client("ftp://127.0.0.1")


def test_a_client_over_http_brings_no_grpc_and_no_numpy_with_it():
    program = (
        "import sys, serving.client; serving.client.Client('http://x'); print({'grpc', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
