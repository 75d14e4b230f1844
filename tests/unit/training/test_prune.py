import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from training.errors import PruneRefused
from training.prune import prune, used_by_server
from training.store import versions
from training.stores import FolderStore


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model with versions 1 to 5."""
    for number in range(1, 6):
        (tmp_path / "fashion" / str(number)).mkdir(parents=True)
    return tmp_path / "fashion"


def unused() -> set[int]:
    return set()


def test_keeps_the_newest_n(model: Path) -> None:
    assert prune(FolderStore(model), 2, set(), unused, dry_run=False) == ({1, 2, 3}, {4, 5})
    assert list(versions(model)) == [4, 5]


def test_keeps_what_is_protected_and_what_a_server_uses(model: Path) -> None:
    assert prune(FolderStore(model), 1, {1, 99}, lambda: {3}, dry_run=False) == (
        {2, 4},
        {1, 3, 5},
    )
    assert list(versions(model)) == [1, 3, 5]


def test_a_dry_run_removes_nothing(model: Path) -> None:
    assert prune(FolderStore(model), 1, set(), unused, dry_run=True) == ({1, 2, 3, 4}, {5})
    assert list(versions(model)) == [1, 2, 3, 4, 5]


def test_removes_nothing_when_there_are_no_more_than_n(model: Path) -> None:
    assert prune(FolderStore(model), 9, set(), unused, dry_run=False) == (set(), {1, 2, 3, 4, 5})


def test_removes_nothing_when_it_cannot_be_told_what_is_used(model: Path) -> None:
    def away() -> set[int]:
        raise PruneRefused("away")

    with pytest.raises(PruneRefused):
        prune(FolderStore(model), 1, set(), away, dry_run=False)
    assert list(versions(model)) == [1, 2, 3, 4, 5]


@contextmanager
def model_server(status: int, body: bytes) -> Iterator[str]:
    """A REST port that gives one answer to a status call for fashion; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == "/v1/models/fashion"
            self.send_response(status if known else 418)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def status(version: str, state: str) -> dict[str, object]:
    return {"version": version, "state": state, "status": {"error_code": "OK", "error_message": ""}}


def test_a_version_in_any_state_but_end_is_in_use() -> None:
    states = ["START", "LOADING", "AVAILABLE", "UNLOADING", "END"]
    answer = {"model_version_status": [status(str(i), state) for i, state in enumerate(states, start=1)]}
    with model_server(200, json.dumps(answer).encode()) as url:
        assert used_by_server(f"{url}/", "fashion") == {1, 2, 3, 4}


def test_a_server_that_does_not_know_the_model_uses_no_version_of_it() -> None:
    with model_server(404, b'{"error": "Could not find any versions of model fashion"}') as url:
        assert used_by_server(url, "fashion") == set()


@pytest.mark.parametrize(
    ("code", "body"),
    [(404, b"not found"), (500, b""), (200, b"<html>"), (200, b"{}"), (200, b'{"model_version_status": [1]}')],
)
def test_an_answer_that_is_no_model_server_s_is_refused(code: int, body: bytes) -> None:
    with model_server(code, body) as url, pytest.raises(PruneRefused, match="nothing was removed"):
        used_by_server(url, "fashion")


def test_a_server_that_is_away_is_refused() -> None:
    with model_server(200, b"") as url:
        pass
    with pytest.raises(PruneRefused, match="nothing was removed: no status from http"):
        used_by_server(url, "fashion")
