"""`python -m tests.load` as a user runs it, for some seconds: a service is judged by its objectives."""

import subprocess
import sys
from pathlib import Path

from tests.e2e.local_stack import LocalStack
from tests.slow_proxy import slowed

# Of the two tasks that most users have; the others may not come up in so short a run.
OBJECTIVES = """
["http json 1"]
failure_share = 0.0
p95_ms = {http_ms}
p99_ms = {http_ms}

["grpc 1"]
failure_share = 0.0
p95_ms = 60000
p99_ms = 60000
"""
SLOW_S = 1.0


def load(
    stack: LocalStack, http_port: int, folder: Path, http_ms: int, *words: str
) -> subprocess.CompletedProcess[str]:
    """Its exit code and what it printed."""
    file = folder / "objectives.toml"
    file.write_text(OBJECTIVES.format(http_ms=http_ms))
    gateway = ["--host", f"http://127.0.0.1:{http_port}", "--grpc-address", f"127.0.0.1:{stack.grpc_port}"]
    run = ["--users", "6", "--run-time", "5s", "--objectives", str(file)]
    command = [sys.executable, "-m", "tests.load", *gateway, *run, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def row(printed: str, task: str) -> str:
    """The line of the table of objectives."""
    return next(line for line in printed.splitlines() if line.startswith(task))


def test_a_run_that_meets_its_objectives_ends_with_0(stack: LocalStack, tmp_path: Path) -> None:
    done = load(stack, stack.http_port, tmp_path, 60_000)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every objective is met" in done.stdout


def test_a_gateway_that_has_become_slow_ends_it_with_1_and_is_named(stack: LocalStack, tmp_path: Path) -> None:
    """No answer comes in less than a second, however quick the machine."""
    with slowed(stack.http_port, SLOW_S) as port:
        done = load(stack, port, tmp_path, int(900 * SLOW_S))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "MISSED  http json 1: p95, ms " in done.stdout
    assert row(done.stdout, "http json 1").endswith("MISSED")
    assert row(done.stdout, "grpc 1").endswith("met")


def test_a_shape_in_open_loop_reports_to_files(stack: LocalStack, tmp_path: Path) -> None:
    html, csv = tmp_path / "report.html", tmp_path / "run"
    shape = ("--shape", "spike", "--loop", "open", "--html", str(html), "--csv", str(csv))
    done = load(stack, stack.http_port, tmp_path, 60_000, *shape)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "http json 1" in html.read_text()
    assert "http json 1" in (tmp_path / "run_stats.csv").read_text()


def test_a_gateway_that_is_not_there_is_said_to_be_missing(stack: LocalStack, tmp_path: Path) -> None:
    with slowed(stack.http_port, 0) as closed:
        pass
    done = load(stack, closed, tmp_path, 60_000)
    assert done.returncode == 1
    assert f"no gateway is ready at http://127.0.0.1:{closed}" in done.stderr
