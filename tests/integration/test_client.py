"""The client gives the same answers and the same refusals over both transports, from running doors."""

import base64
import dataclasses
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
    "tuples": lambda _: tuple(map(tuple, LEFT)),
    "an array": lambda _: np.array(LEFT, np.uint8),
    "an array of whole floats": lambda _: np.array(LEFT, float),
    "a flat array": lambda _: np.array(LEFT, np.uint8).ravel(),
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


@pytest.mark.parametrize(
    "house",
    [HOUSE, [3, 4], (3, 4), np.array([3, 4], np.float32), {name: np.float32(value) for name, value in HOUSE.items()}],
    ids=["object", "list", "tuple", "array", "object of NumPy numbers"],
)
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


A_PIXEL, A_NUMBER = "expected an integer from 0 to 255, got ", "expected a number, got "
NOT_FINITE = "expected a finite 32-bit number, got one that is not"
# Model, instance, and what is wrong with it where.
BROKEN: dict[str, tuple[str, Any, list[tuple[str, str]]]] = {
    "a large pixel": ("pictures", [[256, 0, 0], [0, 0, 0]], [("/0/0", f"{A_PIXEL}a larger number")]),
    "a fraction": (
        "pictures",
        np.full((2, 3), 0.5),
        [(f"/{i}/{j}", f"{A_PIXEL}a fraction") for i, j in np.ndindex(2, 3)],
    ),
    "texts for pixels": ("pictures", [1, 2, 3, 4, 5, "secret"], [("/5", f"{A_PIXEL}a string")]),
    "a boolean pixel": ("pictures", [[1, True, 0], [0, 0, 0]], [("/0/1", f"{A_PIXEL}a boolean")]),
    "an array of booleans": (
        "pictures",
        np.eye(2, 3) == 1,
        [(f"/{i}/{j}", f"{A_PIXEL}a boolean") for i, j in np.ndindex(2, 3)],
    ),
    "pixels turned": ("pictures", [[0, 0]] * 3, [("", "expected an array of 2, got one of 3")]),
    "a channel too much": (
        "pictures",
        np.zeros((2, 3, 1), int),
        [(f"/{i}/{j}", f"{A_PIXEL}an array") for i, j in np.ndindex(2, 3)],
    ),
    "a batch as one": ("pictures", [LEFT], [("", "expected an array of 2, got one of 1")]),
    "ragged rows": (
        "pictures",
        [[0] * 4, [0] * 2],
        [("/0", "expected an array of 3, got one of 4"), ("/1", "expected an array of 3, got one of 2")],
    ),
    "no base64": (
        "pictures",
        {"b64": "!!"},
        [("/b64", "expected a PNG or JPEG in base64, got a string that is not base64")],
    ),
    "nothing": ("houses", None, [("", "expected an object by feature name or an array of 2 numbers, got null")]),
    "a text for a number": ("houses", {"rooms": "secret", "age": 1}, [("/rooms", f"{A_NUMBER}a string")]),
    "a boolean for a number": ("houses", [True, 4], [("/0", f"{A_NUMBER}a boolean")]),
    "no number": ("houses", {"rooms": 3, "age": float("nan")}, [("/age", NOT_FINITE)]),
    "no number in an array": ("houses", np.array([np.inf, 4]), [("/0", NOT_FINITE)]),
    "no number among pixels": ("pictures", [[0, 0, 0], [0, float("nan"), 0]], [("/1/1", NOT_FINITE)]),
    "beyond 32 bits": ("houses", [1e300, 4], [("/0", NOT_FINITE)]),
    "beyond 64 bits": ("houses", [10**400, 4], [("/0", NOT_FINITE)]),
    "what JSON has not": (
        "houses",
        [{3}, 4],
        [("/0", "expected numbers, arrays of them or an object, got a Python set")],
    ),
    "names that are none": ("houses", {1: 2, 3: 4}, [("", "expected strings as names, got a Python int")]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_both_transports_refuse_what_breaks_the_contract_in_the_same_words(client: Client, name: str):
    model, instance, errors = BROKEN[name]
    good = LEFT if model == "pictures" else HOUSE

    with pytest.raises(ProblemError) as refused:
        client.predict(model, [good, instance])

    assert refused.value.status == 422
    assert refused.value.errors == [(f"/instances/1{place}", detail) for place, detail in errors]
    assert "secret" not in str(refused.value)


def test_arrays_in_one_another_without_end_are_refused(client: Client):
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]

    with pytest.raises(ProblemError, match="expected at most 64 arrays in one another, got more"):
        client.predict("pictures", [deep])


TOP_K = "expected an integer from 1 to 3, got "


@pytest.mark.parametrize(
    ("top_k", "detail"),
    [
        (True, f"{TOP_K}a boolean"),
        (2.0, f"{TOP_K}a number"),
        ("2", f"{TOP_K}a string"),
        (0, f"{TOP_K}a smaller number"),
        (2**40, f"{TOP_K}a larger number"),
        pytest.param(10**400, NOT_FINITE, id="beyond 64 bits"),
    ],
)
def test_a_top_k_that_is_none_is_refused(client: Client, top_k: Any, detail: str):
    with pytest.raises(ProblemError) as refused:
        client.classify("pictures", [LEFT], top_k=top_k)

    assert (refused.value.status, refused.value.errors) == (422, [("/top_k", detail)])


@pytest.mark.parametrize("version", [2**63, "1" * 23, "١"], ids=["beyond 64 bits", "many digits", "another script"])
def test_a_version_that_no_model_can_have_is_unknown(client: Client, version: int | str):
    with pytest.raises(ProblemError) as refused:
        client.predict("houses", [HOUSE], version=version)

    assert refused.value.status == 404
    with pytest.raises(ProblemError):
        client.contract("houses", version)


def test_another_task_is_refused_before_the_instances(client: Client):
    with pytest.raises(ProblemError, match="model 'houses' does regression, so it does not classify") as refused:
        client.classify("houses", ["no house"])

    assert refused.value.status == 400


def test_instances_are_judged_by_the_version_that_answers_now(client: Client, doors: Doors):
    old = full_house_contract()
    features = (*old.input.features, dataclasses.replace(old.input.features[0], name="floors"))
    tensor = dataclasses.replace(old.input.tensors[0], features=tuple(feature.name for feature in features))
    new = dataclasses.replace(
        old,
        input=dataclasses.replace(old.input, features=features, tensors=(tensor,)),
        goldens=(dataclasses.replace(old.goldens[0], instance={**HOUSE, "floors": 0}),),
    )
    client.predict("houses", [[3, 4]])
    doors.server.fake.contracts["houses", 2] = new
    try:
        wait_until(lambda: version_on_offer(client, "houses") == "2")

        assert client.predict("houses", [[3, 4, 0]]).version == "2"
    finally:
        del doors.server.fake.contracts["houses", 2]
        wait_until(lambda: version_on_offer(client, "houses") == "1")


def version_on_offer(client: Client, model: str) -> str | None:
    return {one["name"]: one["version"] for one in client.models()["models"]}[model]


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
