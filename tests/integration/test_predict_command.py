"""`python -m serving predict`: a person asks a running gateway about files."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.fakes import FakeModelServer, WireModelServer, full_house_contract, full_picture_contract, house_contract
from tests.gateway_process import DEADLINE_S, gateway_process, wait_until
from tests.image_files import png
from tests.ports import free_port

LEFT = [[9, 0, 0], [255, 0, 0]]


@dataclass(frozen=True)
class Done:
    """What the command printed, and how it ended."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="module")
def fake() -> FakeModelServer:
    return FakeModelServer(full_picture_contract(), full_house_contract())


@pytest.fixture(scope="module")
def url(fake: FakeModelServer) -> Iterator[str]:
    server = WireModelServer(fake)
    with gateway_process(server.address, "pictures,houses,more", ATELIER_WORKERS="1") as gateway:
        wait_until(lambda: gateway.request("GET", "/readyz").json["models"]["houses"]["version"] == 1, gateway.log)
        wait_until(lambda: gateway.request("GET", "/readyz").json["models"]["pictures"]["version"] == 1, gateway.log)
        yield f"http://127.0.0.1:{gateway.port}"
    server.stop()


def predict(folder: Path, *arguments: str) -> Done:
    command = [sys.executable, "-m", "serving", "predict", *arguments]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        command,
        cwd=folder,
        env={"PYTHONPATH": root, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE_S,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def write(folder: Path, name: str, content: object) -> str:
    data = (
        content
        if isinstance(content, bytes)
        else (content if isinstance(content, str) else json.dumps(content)).encode()
    )
    (folder / name).write_bytes(data)
    return name


def test_says_what_is_in_a_picture(tmp_path: Path, url: str):
    shoe = write(tmp_path, "shoe.png", png(np.array(LEFT, np.uint8)))

    done = predict(tmp_path, shoe, "--url", url)

    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        "shoe.png: left (100.0%)",
        "  left   100.0% ████████████████████████",
        "  middle   0.0%",
        "  right    0.0%",
        "(pictures version 1)",
    ]


def test_says_the_set_of_classes_and_warns_of_what_the_model_does_not_know(tmp_path: Path, url: str):
    bright = write(tmp_path, "bright.json", [[255, 255, 255], [255, 255, 255]])

    done = predict(tmp_path, bright, "--url", url, "--top-k", "1")

    assert done.out.splitlines() == [
        "bright.json: left (33.3%)",
        "  left  33.3% ████████",
        "  with 90% confidence one of: left, middle, right",
        "  warning: this is unlike the data the model was trained on; do not rely on the answer",
        "(pictures version 1)",
    ]


HOUSES = {
    "house.json": {"rooms": 3, "age": 4},
    "list.json": [3, 4],
    "instances.json": {"instances": [{"rooms": 3, "age": 4}]},
    "house.csv": "age,rooms\n4,3\n",
}


@pytest.mark.parametrize("name", HOUSES)
def test_says_what_a_house_costs(tmp_path: Path, url: str, name: str):
    done = predict(tmp_path, write(tmp_path, name, HOUSES[name]), "--url", url)

    place = "house.csv, line 2" if name == "house.csv" else name
    assert done.out.splitlines() == [
        f"{place}: 7.000 × EUR, with 90% confidence 6.000 to 9.000",
        "(houses version 1)",
    ]


def test_several_files_and_rows_are_answered_in_order(tmp_path: Path, url: str):
    rows = write(tmp_path, "houses.csv", "rooms,age\n1,2\n\n3,4\n")
    more = write(tmp_path, "more.json", [[5, 6], {"rooms": 7, "age": 8}])

    done = predict(tmp_path, rows, more, "--url", url)

    assert [line.partition(" × ")[0] for line in done.out.splitlines()[:-1]] == [
        "houses.csv, line 2: 3.000",
        "houses.csv, line 4: 7.000",
        "more.json, instance 0: 11.000",
        "more.json, instance 1: 15.000",
    ]


def test_gives_the_answer_as_json(tmp_path: Path, url: str):
    done = predict(tmp_path, write(tmp_path, "house.json", [3, 4]), "--url", url, "--json")

    answer = json.loads(done.out)
    assert (answer["model"], answer["version"], answer["predictions"][0]["value"]) == ("houses", "1", 7)


REFUSED = {
    "a wrong field": (
        ("house.csv", "rooms,age\n3,4\nthree,4\n"),
        ["house.csv, line 3, rooms: expected a number, got a string"],
    ),
    "a missing field": (
        ("house.json", {"rooms": 3}),
        ["house.json, age: expected a number, but the feature is missing"],
    ),
    "two wrong fields": (
        ("house.json", [{"rooms": 3, "age": 4}, {"rooms": None, "age": "x"}]),
        [
            "house.json, instance 1, rooms: expected a number, got null",
            "house.json, instance 1, age: expected a number, got a string",
        ],
    ),
    "no number": (
        ("house.json", '{"rooms": NaN, "age": 4}'),
        ["house.json, rooms: expected a finite 32-bit number, got one that is not"],
    ),
    "no number in a line": (
        ("house.csv", "rooms,age\n3,4\ninf,4\n"),
        ["house.csv, line 3, rooms: expected a finite 32-bit number, got one that is not"],
    ),
    "a number beyond all bounds": (
        ("house.json", "[[3, 4], [3, 1e400]]"),
        ["house.json, instance 1, 1: expected a finite 32-bit number, got one that is not"],
    ),
    "an integer beyond all bounds": (
        ("house.json", f"[3, 1{'0' * 400}]"),
        ["house.json, 1: expected a finite 32-bit number, got one that is not"],
    ),
    "a number in another script": (
        ("house.csv", "rooms,age\n٣,4\n"),
        ["house.csv, line 2, rooms: expected a number, got a string"],
    ),
    "a wrong pixel": (
        ("picture.json", [[0, 0, 0], [0, 0, 256]]),
        ["picture.json, 1/2: expected an integer from 0 to 255, got a larger number"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_the_file_and_the_field(tmp_path: Path, url: str, name: str):
    (file, content), words = REFUSED[name]

    done = predict(tmp_path, write(tmp_path, file, content), "--url", url)

    assert (done.status, done.out) == (1, "")
    assert done.err.splitlines() == [f"python -m serving predict: {line}" for line in words]


def test_a_named_model_refuses_by_itself(tmp_path: Path, url: str):
    house = write(tmp_path, "house.json", {"rooms": 3, "age": 4})

    assert "expected an array of pixels" in predict(tmp_path, house, "--url", url, "--model", "pictures").err
    unknown = predict(tmp_path, house, "--url", url, "--model", "cars")
    assert (unknown.status, unknown.err) == (
        1,
        "python -m serving predict: no such model; there are pictures, houses, more\n",
    )
    version = predict(tmp_path, house, "--url", url, "--version", "7")
    assert (version.status, version.err) == (1, "python -m serving predict: model 'houses' has no version 7\n")


MISUSES = {
    "a file that is not there": (("gone.png",), None, "gone.png: No such file or directory"),
    "no picture": (("boot.png",), ("boot.png", "boot"), "boot.png: expected a PNG or JPEG picture, JSON, or CSV"),
    "a ragged CSV": (("a.csv",), ("a.csv", "a,b\n1\n"), "a.csv, line 2: expected 2 values, got 1"),
    "a CSV without rows": (("a.csv",), ("a.csv", "a,b\n"), "expected a line of feature names, then a line a row"),
    "what no model takes": (("a.json",), ("a.json", [1, 2, 3]), "of pictures, houses, none does; use --model"),
    "a feature twice": (("a.csv",), ("a.csv", "rooms,age,rooms\n3,4,5\n"), "a.csv: expected each feature once"),
    "arrays without end": (
        ("a.json",),
        ("a.json", "[" * 200_000),
        "a.json: expected a PNG or JPEG picture, JSON, or CSV",
    ),
    "no time": (("a.json", "--timeout", "0"), None, "expected seconds above 0, at most 86400, got '0'"),
    "less than no time": (("a.json", "--timeout=-1"), None, "expected seconds above 0, at most 86400, got '-1'"),
    "time without end": (("a.json", "--timeout", "inf"), None, "expected seconds above 0, at most 86400, got 'inf'"),
    "time that is no number": (
        ("a.json", "--timeout", "nan"),
        None,
        "expected seconds above 0, at most 86400, got 'nan'",
    ),
    "another scheme": (("a.json", "--url", "ftp://x"), ("a.json", [3, 4]), "expected a URL like http"),
}


@pytest.mark.parametrize("name", MISUSES)
def test_wrong_arguments_are_named(tmp_path: Path, url: str, name: str):
    arguments, file, words = MISUSES[name]
    if file:
        write(tmp_path, *file)

    done = predict(tmp_path, "--url", url, *arguments)

    assert (done.status, done.out) == (2, "")
    assert words in done.err


def test_where_several_models_fit_one_must_be_named(tmp_path: Path, url: str, fake: FakeModelServer):
    fake.contracts["more", 1] = house_contract("more")
    house = write(tmp_path, "house.json", [3, 4])
    try:
        wait_until(lambda: "houses, more do; use --model" in predict(tmp_path, house, "--url", url).err)
        assert predict(tmp_path, house, "--url", url, "--model", "more").out.endswith("(more version 1)\n")
    finally:
        del fake.contracts["more", 1]


@pytest.mark.parametrize("scheme", ["http", "grpc"])
@pytest.mark.parametrize("content", [b"first-secret\nsecond-secret\n", b"first-secret\x1b[0m", b"first-secret\xff"])
def test_a_file_that_holds_more_than_a_key_is_named_and_not_repeated(tmp_path: Path, scheme: str, content: bytes):
    house, key = write(tmp_path, "house.json", [3, 4]), write(tmp_path, "key", content)

    done = predict(tmp_path, house, "--url", f"{scheme}://127.0.0.1:{free_port()}", "--api-key-file", key)

    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "python -m serving predict: --api-key-file: expected key to hold one line of printable ASCII characters\n"
    )


def test_while_no_model_is_on_offer_the_reasons_are_said(tmp_path: Path):
    house, server = write(tmp_path, "house.json", [3, 4]), WireModelServer(FakeModelServer())
    with gateway_process(server.address, "pictures,houses", ATELIER_WORKERS="1") as gateway:
        wait_until(lambda: gateway.request("GET", "/readyz").body.count(b"has no version") == 2, gateway.log)

        done = predict(tmp_path, house, "--url", f"http://127.0.0.1:{gateway.port}")
    server.stop()

    assert (done.status, done.out) == (3, "")
    assert done.err.splitlines() == [
        f"python -m serving predict: {model}: model '{model}' is not on offer: the model server has no version of it"
        for model in ("pictures", "houses")
    ]


def test_a_gateway_that_is_away_is_said(tmp_path: Path):
    house = write(tmp_path, "house.json", [3, 4])

    done = predict(tmp_path, house, "--url", f"http://127.0.0.1:{free_port()}")

    assert done.status == 3
    assert "does not answer" in done.err


def test_the_help_shows_both_ways_to_use_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "serving", "--help"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Serve the models of the store" in done.stdout
    assert "predict" in done.stdout
