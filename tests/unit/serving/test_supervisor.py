"""The supervisor, with real processes of a line each."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from serving.supervisor import Part, PartFailedToStart, Supervisor

SLEEPER = "import time; time.sleep(600)"
DEADLINE_S = 30


def part(tmp_path: Path, name: str, program: str, grace_period_s: float = 10) -> Part:
    """A part that is ready once it has written its own pid to a file named for it."""
    pid_file = tmp_path / name
    written = f"import os, pathlib; pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid()))\n{program}"

    def why_not_ready() -> str | None:
        return None if pid_file.exists() and pid_file.read_text() else "no pid yet"

    return Part(name, [sys.executable, "-c", written], os.environ, why_not_ready, grace_period_s)


def pid_of(tmp_path: Path, name: str) -> int:
    return int((tmp_path / name).read_text())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_starts_a_part_only_once_the_one_before_is_ready(tmp_path: Path) -> None:
    first = part(
        tmp_path,
        "first",
        f"import time; time.sleep(0.5); pathlib.Path({str(tmp_path / 'up')!r}).touch()\n{SLEEPER}",
    )
    first = Part(
        "first",
        first.command,
        first.environment,
        lambda: None if (tmp_path / "up").exists() else "starting",
        10,
    )
    second = part(tmp_path, "second", f"assert pathlib.Path({str(tmp_path / 'up')!r}).exists()\n{SLEEPER}")
    supervisor = Supervisor([first, second], print, lambda: False)
    try:
        assert supervisor.start()
        assert psutil.pid_exists(pid_of(tmp_path, "second"))
    finally:
        supervisor.stop()


def test_leaves_no_process_behind(tmp_path: Path) -> None:
    supervisor = Supervisor([part(tmp_path, "a", SLEEPER), part(tmp_path, "b", SLEEPER)], print, lambda: False)
    assert supervisor.start()
    supervisor.stop()
    assert not psutil.pid_exists(pid_of(tmp_path, "a"))
    assert not psutil.pid_exists(pid_of(tmp_path, "b"))


def test_stops_the_last_part_first(tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    program = textwrap.dedent(
        """
        import signal, sys, time
        def end(*_):
            with open({ended!r}, "a") as log: log.write({name!r})
            sys.exit(0)
        signal.signal(signal.SIGTERM, end)
        pathlib.Path({ready!r}).write_text("1")
        time.sleep(600)
        """
    )
    parts = []
    for name in "ab":
        ready = tmp_path / f"{name}-ready"
        made = part(tmp_path, name, program.format(ended=str(ended), name=name, ready=str(ready)))
        parts.append(
            Part(
                name,
                made.command,
                made.environment,
                lambda ready=ready: None if ready.exists() else "starting",
                10,
            )
        )
    supervisor = Supervisor(parts, print, lambda: False)
    assert supervisor.start()
    supervisor.stop()
    assert ended.read_text() == "ba"


def test_restarts_a_part_that_was_killed_and_says_so(tmp_path: Path) -> None:
    told: list[str] = []
    killed: list[int] = []
    deadline = time.monotonic() + DEADLINE_S

    def stopping() -> bool:
        assert time.monotonic() < deadline, "was never started again"
        return bool(killed) and pid_of(tmp_path, "worker") != killed[0]

    supervisor = Supervisor([part(tmp_path, "worker", SLEEPER)], told.append, stopping)
    assert supervisor.start()
    killed.append(pid_of(tmp_path, "worker"))
    os.kill(killed[0], signal.SIGKILL)
    try:
        supervisor.watch()
    finally:
        supervisor.stop()
    assert told == [
        "the worker was ended by SIGKILL; starting it again in 0.5 s",
        "starting the worker again",
    ]


def test_a_part_that_dies_while_the_next_one_is_waited_for_is_restarted(tmp_path: Path) -> None:
    killed: list[int] = []
    deadline = time.monotonic() + DEADLINE_S

    def why_the_gateway_is_not_ready() -> str | None:
        """It needs the worker, which dies when the gateway is asked first."""
        assert time.monotonic() < deadline, "the worker was never started again"
        if not killed:
            killed.append(pid_of(tmp_path, "worker"))
            os.kill(killed[0], signal.SIGKILL)
        answering = (tmp_path / "worker").read_text()
        return None if answering not in ("", str(killed[0])) else "the worker does not answer"

    sleeper = part(tmp_path, "gateway", SLEEPER)
    gateway = Part("gateway", sleeper.command, sleeper.environment, why_the_gateway_is_not_ready, 10)
    told: list[str] = []
    supervisor = Supervisor([part(tmp_path, "worker", SLEEPER), gateway], told.append, lambda: False)
    try:
        assert supervisor.start()
    finally:
        supervisor.stop()
    assert told == [
        "the worker was ended by SIGKILL; starting it again in 0.5 s",
        "starting the worker again",
    ]


def test_a_part_that_ends_before_it_is_ready_fails_the_start_and_is_named(tmp_path: Path) -> None:
    broken = Part("gateway", [sys.executable, "-c", "raise SystemExit(3)"], os.environ, lambda: "not yet", 10)
    supervisor = Supervisor([broken], print, lambda: False)
    with pytest.raises(PartFailedToStart, match="the gateway did not start: it exited with code 3"):
        supervisor.start()


def test_kills_a_part_that_outstays_its_grace_period(tmp_path: Path) -> None:
    told: list[str] = []
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); pathlib.Path({!r}).touch()\n" + SLEEPER
    ignoring = tmp_path / "ignoring"
    made = part(tmp_path, "deaf", deaf.format(str(ignoring)))
    stubborn = Part("deaf", made.command, made.environment, lambda: None if ignoring.exists() else "starting", 0.2)
    supervisor = Supervisor([stubborn], told.append, lambda: False)
    assert supervisor.start()
    supervisor.stop()
    assert not psutil.pid_exists(pid_of(tmp_path, "deaf"))
    assert told == ["the deaf did not stop within 0.2 s; killing it"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_parts_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    program = textwrap.dedent(
        f"""
        import os, pathlib, sys, time
        from serving.supervisor import Part, Supervisor
        pid_file = pathlib.Path({str(tmp_path / "orphan")!r})
        child = f"import os, pathlib; pathlib.Path({{str(pid_file)!r}}).write_text(str(os.getpid()))\\n{SLEEPER}"
        why_not_ready = lambda: None if pid_file.exists() and pid_file.read_text() else "starting"
        part = Part("orphan", [sys.executable, "-c", child], os.environ, why_not_ready, 10)
        Supervisor([part], print, lambda: False).start()
        print("up", flush=True)
        time.sleep(600)
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as supervising:
        assert supervising.stdout is not None
        assert supervising.stdout.readline() == b"up\n"
        supervising.kill()
    orphan = pid_of(tmp_path, "orphan")
    wait_until(lambda: not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE)
