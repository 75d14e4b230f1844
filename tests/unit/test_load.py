"""A load test asks what it knows the answer to, and is judged by its objectives, all of them."""

import contextlib
import dataclasses
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.http_load import NEVER_SENT, Load, prepare, run
from tests.load import objectives
from tests.load.asks import Ask, draw
from tests.load.objectives import Measured, misses, table
from tests.load.questions import Question
from tests.load.shapes import LEVELS, users_at
from tests.ports import free_port

OBJECTIVES = objectives.read()
WELL = [Measured(task, 100, 0, one.p95_ms, one.p99_ms) for task, one in OBJECTIVES.items()]
BOOT = Question("fashion", [], {"class_id": 9})
HOUSE = Question("housing", [], {"value": 2.0}, tolerance=0.01)


def changed(**changes):
    return [dataclasses.replace(WELL[0], **changes), *WELL[1:]]


def test_a_run_within_its_objectives_misses_none():
    assert misses(OBJECTIVES, WELL) == []


def test_each_objective_can_be_missed_and_is_named():
    task, objective = WELL[0].task, OBJECTIVES[WELL[0].task]
    assert misses(OBJECTIVES, changed(failures=1)) == [f"{task}: share of failures 0.01, at most 0"]
    assert misses(OBJECTIVES, changed(p95_ms=objective.p95_ms + 1)) == [
        f"{task}: p95, ms {objective.p95_ms + 1:g}, at most {objective.p95_ms:g}"
    ]
    assert misses(OBJECTIVES, changed(p99_ms=9999)) == [f"{task}: p99, ms 9999, at most {objective.p99_ms:g}"]


def test_a_task_that_nobody_ran_is_a_miss():
    assert misses(OBJECTIVES, WELL[1:]) == [f"{WELL[0].task}: no request was made"]
    assert misses(OBJECTIVES, changed(requests=0)) == [f"{WELL[0].task}: no request was made"]


def test_the_table_shows_what_was_seen_beside_what_must_hold():
    [_, first, *others] = table(OBJECTIVES, changed(p95_ms=9999)).splitlines()
    assert f"9999 / {OBJECTIVES[WELL[0].task].p95_ms:g}" in first
    assert first.endswith("MISSED")
    assert all(line.endswith("met") for line in others)


def test_a_task_without_an_objective_is_shown_too():
    assert table({}, [Measured("else", 1, 0, 2, 3)]).splitlines()[1].endswith("none")


def test_objectives_that_say_something_else_are_refused_by_name(tmp_path: Path):
    file = tmp_path / "objectives.toml"
    file.write_text('["http json 1"]\np50_ms = 3\n')
    with pytest.raises(ValueError, match="http json 1: expected failure_share, p95_ms, p99_ms, got p50_ms"):
        objectives.read(file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("failure_share = 0.0\np95_ms = '250'\np99_ms = 500", "p95_ms: expected a number, not negative, got '250'"),
        ("failure_share = 0.0\np95_ms = 250\np99_ms = true", "p99_ms: expected a number, not negative, got True"),
        (
            "failure_share = -0.1\np95_ms = 250\np99_ms = 500",
            "failure_share: expected a number, not negative, got -0.1",
        ),
        ("failure_share = nan\np95_ms = 250\np99_ms = 500", "failure_share: expected a number, not negative, got nan"),
    ],
)
def test_an_objective_that_nothing_can_be_compared_with_is_refused(tmp_path: Path, text: str, said: str):
    file = tmp_path / "objectives.toml"
    file.write_text(f'["http json 1"]\n{text}\n')
    with pytest.raises(ValueError, match=f"http json 1: {said}"):
        objectives.read(file)


def told(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """What `python -m tests.load` says where nothing is served and, with such a setting, nothing can be."""
    nowhere = {"ATELIER_HTTP_PORT": str(free_port()), "ATELIER_WORKERS": "none"}
    command = [sys.executable, "-m", "tests.load", *words]
    environ = {**os.environ, **nowhere, **environ}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)


def test_nothing_is_started_where_locust_only_tells():
    for words, said in ((["--help"], "--objectives"), (["-V", "--users", "5"], "locust 2."), (["-l"], "HttpCaller")):
        done = told(*words)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout


@pytest.mark.parametrize(
    ("words", "environ", "said"),
    [
        (["--rate", "0"], {}, "argument --rate: expected a number above 0, got 0"),
        (["--rate=-1"], {}, "argument --rate: expected a number above 0, got -1"),
        ([], {"LOAD_RATE": "often"}, "argument --rate: expected a number above 0, got often"),
        (["--objectives", "none.toml"], {}, "argument --objectives: none.toml: No such file or directory"),
        (["--objectives", "Makefile"], {}, "argument --objectives: Makefile: Invalid statement"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_started(words: list[str], environ: dict[str, str], said: str):
    done = told(*words, **environ)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_users_who_stop_may_finish_what_they_ask():
    """Locust, who else would cut them off, parses in a process of its own: it changes the standard library."""
    script = "from locust.argument_parser import get_parser; print(get_parser().parse_args([]).stop_timeout)"
    command = [sys.executable, "-c", f"import tests.load.locustfile; {script}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "15\n", done.stderr


def test_a_wrong_class_or_value_is_a_fault_and_the_right_one_is_none():
    assert BOOT.fault({"class_id": 9}) is None
    assert BOOT.fault({"class_id": 5}) == "expected class_id 9, got 5"
    assert HOUSE.fault({"value": 2.005}) is None
    assert HOUSE.fault({"value": 2.5}) == "expected value 2, got 2.5"
    assert HOUSE.fault({"class_id": 9}) == "expected value 2, got None"


def test_every_prediction_of_a_batch_is_checked():
    ask = Ask("fashion", [BOOT, BOOT])
    assert ask.fault([{"class_id": 9}, {"class_id": 9}]) is None
    assert ask.fault([{"class_id": 9}, {"class_id": 0}]) == "expected class_id 9, got 0"
    assert ask.fault([{"class_id": 9}]) == "expected 2 predictions, got 1"


def test_users_draw_only_tasks_that_somebody_can_be_asked():
    """No model takes images, so there is no picture to send."""
    ask = Ask("housing", [HOUSE])
    assert {draw({"json": [ask], "png": []}, {"json": 1, "png": 100})[0] for _ in range(50)} == {"json"}


def test_steps_only_grow_and_a_spike_comes_back():
    passed = [one / 10 for one in range(10)]
    steps, spike = ([users_at(LEVELS[name], share, 50) for share in passed] for name in ("steps", "spike"))
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (10, 50)
    assert (spike[0], max(spike), spike[-1]) == (10, 50, 10)


@pytest.mark.parametrize("name", LEVELS)
def test_a_shape_ends_with_the_run(name: str):
    assert users_at(LEVELS[name], 0.999, 1) == 1
    assert users_at(LEVELS[name], 1.0, 1) is None


@pytest.mark.parametrize(("drains", "some_are_never_sent"), [(True, False), (False, True)])
def test_what_was_due_when_an_open_loop_ends_is_sent_only_where_it_drains(drains: bool, some_are_never_sent: bool):
    """One connection to a server that takes a tenth of a second, and fifty requests a second."""
    with answering_after(0.1) as port:
        exchanges = run(Load(port, prepare("/", b"{}"), 0.5, 1, rate=50, drains=drains))
    assert {one.status for one in exchanges} == ({200, NEVER_SENT} if some_are_never_sent else {200})
    assert (
        max(one.latency_s for one in exchanges if one.status == 200) > 0.2
    )  # from when it was due: it waited its turn


@contextlib.contextmanager
def answering_after(seconds: float) -> Iterator[int]:
    """A server's port. One thread answers, so one request at a time."""

    class Slow(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(seconds)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Slow) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()
